// What the driver makes of the ID registers. Mirrors arm_smmu_device_hw_probe(),
// arm_smmu_device_iidr_probe() and arm_smmu_sva_supported() of arm-smmu-v3.
#ifndef SHOOTDOWN_SW_SMMU_FEATURES_H
#define SHOOTDOWN_SW_SMMU_FEATURES_H

#include <cstdint>
#include <optional>

#include "hw/arch/types.h"

namespace shootdown::sw::smmu {

/// The registers as read.
struct IdRegisterValues {
  std::uint32_t idr0{}, idr1{}, idr3{}, idr5{}, iidr{};
};

/// The machine around the SMMU, and how the kernel was built.
struct HostProperties {
  bool coherent{true};  ///< firmware says that the SMMU's accesses are coherent
  bool vhe{};           ///< the kernel runs at EL2 with HCR_EL2.E2H
  bool pci_pri{true};   ///< CONFIG_PCI_PRI
  unsigned page_shift{arch::kPageShift};
  unsigned va_bits{48};
  unsigned cpu_pa_bits{48};  ///< ID_AA64MMFR0_EL1.PARange
  unsigned cpu_asid_bits{16};
  bool looks_for_type_overrides{};  ///< ec9098d6bffe
  bool looks_for_httu{};            ///< 2f8d6178b4fe
};

/// ARM_SMMU_FEAT_* and ARM_SMMU_OPT_*, and the sizes.
struct Features {
  bool two_level_stream_table{};
  bool two_level_cd{};
  bool little_endian{};
  bool big_endian{};
  bool pri{};
  bool ats{};
  bool sev{};
  bool msi{};
  bool coherent{};
  bool stage1{};
  bool stage2{};
  bool stalls{};
  bool hyp{};
  bool stall_forced{};
  bool wide_addresses{};  ///< VAX
  bool range_invalidation{};
  bool broadcast{};  ///< BTM. Mainline never sets it: the user of the driver may
  bool sva{};
  bool e2h{};
  bool nesting{};
  bool type_overrides{};  ///< ATTR_TYPES_OVR, from ec9098d6bffe on
  bool writes_shcfg{};    ///< STE.SHCFG, which older releases write whether it is there or not
  bool access_flag{};     ///< HA
  bool dirty{};           ///< HD
  // Options.
  bool msi_polling{};
  bool force_sync{};  ///< CMDQ_FORCE_SYNC: no batch without a CMD_SYNC (MMU-700)
  // Sizes.
  unsigned asid_bits{};
  unsigned vmid_bits{};
  unsigned ssid_bits{};
  unsigned sid_bits{};
  unsigned cmdq_log2{};
  unsigned evtq_log2{};
  unsigned priq_log2{};
  unsigned input_bits{};   ///< ias
  unsigned output_bits{};  ///< oas
  std::uint64_t pgsize_bitmap{};
};

/// Nothing if the driver cannot use this SMMU.
std::optional<Features> probe_features(const IdRegisterValues& id, const HostProperties& host);

/// The page sizes of a page table: those of the granule that suits the host best
/// (arm_lpae_restrict_pgsizes()).
std::uint64_t restrict_page_sizes(std::uint64_t pgsize_bitmap, unsigned host_page_shift);

}  // namespace shootdown::sw::smmu

#endif
