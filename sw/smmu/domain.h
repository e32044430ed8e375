// Devices behind the SMMU and the domains that they are attached to: struct arm_smmu_master and
// struct arm_smmu_domain.
#ifndef SHOOTDOWN_SW_SMMU_DOMAIN_H
#define SHOOTDOWN_SW_SMMU_DOMAIN_H

#include <functional>
#include <vector>

#include "hw/arch/types.h"
#include "sw/smmu/cd_table.h"
#include "sw/smmu/io_pgtable.h"

namespace shootdown::sw::smmu {

struct Domain;

/// IOMMU_NO_PASID: transactions without a SubstreamID.
inline constexpr arch::SubstreamId kNoPasid{0};

/// What firmware and the bus say of a device.
struct DeviceProperties {
  std::vector<arch::StreamId> streams;
  bool ats{};             ///< it has an ATC, and the bus lets it be used
  unsigned pasid_bits{};  ///< log2 of its PASIDs; 0: none
  bool can_stall{};       ///< dma-can-stall
  /// pci_enable_ats(), pci_disable_ats(): the device's ATS capability is switched. May be empty.
  std::function<void(bool on)> switch_ats;
};

struct Master {
  DeviceProperties device;
  unsigned ssid_bits{};
  bool stall_enabled{};
  bool ats_enabled{};
  Domain* domain{};        ///< of transactions without a PASID; null: none yet
  CdTable cd_table;        ///< from v6.7 on (10e4968cd511)
  bool cd_in_ste{};        ///< the STE leads to cd_table
  bool ste_ats_enabled{};  ///< STE.EATS
};

/// A master in a domain, by its StreamIDs or by a PASID (struct arm_smmu_master_domain).
struct Attachment {
  Master* master{};
  arch::SubstreamId ssid{kNoPasid};
};

struct Domain {
  enum class Stage { kBypass, kBlocked, kStage1, kStage2, kSva };
  explicit Domain(Stage what = Stage::kStage1) : stage(what) {}

  Stage stage;
  IoPgtable table;                        ///< kStage1, kStage2
  arch::Asid asid{};                      ///< kStage1, kSva
  arch::Vmid vmid{};                      ///< kStage2
  unsigned leaf_shift{arch::kPageShift};  ///< smallest page of pgsize_bitmap
  std::vector<Attachment> devices;        ///< the last attached first
  unsigned nr_ats_masters{};
  // Before v6.7: the CDs of all its masters.
  CdTable cd_table;
  bool stall_enabled{};
  bool finalised{};       ///< has its table and identifier
  bool dirty_tracking{};  ///< IO_PGTABLE_QUIRK_ARM_HD: CD.HA and HD

  /// arm_smmu_domain that takes part in invalidations: neither identity nor blocked.
  bool translates() const { return stage != Stage::kBypass && stage != Stage::kBlocked; }
};

}  // namespace shootdown::sw::smmu

#endif
