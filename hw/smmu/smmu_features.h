// What an SMMU can do: the fields of IDR0 to IDR5, as plain data, and their encoding.
// Source: Arm IHI 0070, section 6.3.
#ifndef SHOOTDOWN_HW_SMMU_SMMU_FEATURES_H
#define SHOOTDOWN_HW_SMMU_SMMU_FEATURES_H

#include <cstdint>

#include "hw/arch/smmuv3_registers.h"
#include "hw/arch/vmsa64.h"

namespace shootdown::hw {

/// IDR0.STALL_MODEL.
enum class StallModel : std::uint8_t { kStallAndTerminate, kTerminateOnly, kStallForced };
/// IDR0.HTTU.
enum class HardwareUpdate : std::uint8_t { kNone, kAccessFlag, kAccessFlagAndDirty };

struct SmmuFeatures {
  // IDR0
  bool stage1{true};
  bool stage2{};
  bool coherent{true};
  bool broadcast{};  ///< BTM
  HardwareUpdate hardware_update{HardwareUpdate::kNone};
  bool hyp{};
  bool ats{true};
  bool split_stage_ats{};  ///< NS1ATS = 0, where ATS and both stages exist
  bool asid16{true};
  bool msi{};
  bool sev{};
  bool pri{};
  bool vmid_wildcard{};  ///< VMW
  bool vmid16{};
  bool two_level_cd{true};    ///< CD2L
  bool ats_records_errors{};  ///< ATSRECERR
  StallModel stall_model{};
  bool abort_only{};                  ///< TERM_MODEL
  bool two_level_stream_table{true};  ///< ST_LEVEL
  // IDR1
  unsigned sid_bits{16};
  unsigned ssid_bits{8};
  unsigned command_queue_log2{8};  ///< log2 of the largest queue, 0 to 19
  unsigned event_queue_log2{7};
  unsigned pri_queue_log2{7};
  bool permission_overrides{};  ///< ATTR_PERMS_OVR: STE.PRIVCFG and INSTCFG
  bool type_overrides{};        ///< ATTR_TYPES_OVR
  // IDR3
  bool hierarchy_disable{};           ///< HAD
  bool execute_never_by_privilege{};  ///< XNX
  bool small_tables{};                ///< STT: TxSZ up to 48 (47 with 64 KiB)
  bool range_invalidation{true};      ///< RIL
  unsigned bbm_level{2};              ///< BBML
  // IDR5
  unsigned output_bits{48};  ///< OAS: 32, 36, 40, 42, 44, 48, 52
  bool granule4k{true};
  bool granule16k{};
  bool granule64k{};
  bool wide_addresses{};  ///< VAX: 52-bit virtual addresses (64 KiB granule)
  unsigned stall_max{64};
  // Others
  std::uint32_t iidr{};
  unsigned minor_version{2};  ///< AIDR: SMMUv3.n

  bool can_stall() const { return stall_model != StallModel::kTerminateOnly; }
  bool wide_output() const { return output_bits == 52; }
  bool has(arch::vmsa64::Granule granule) const {
    using arch::vmsa64::Granule;
    return granule == Granule::k4k ? granule4k : granule == Granule::k16k ? granule16k : granule64k;
  }
};

struct IdRegisters {
  std::uint32_t idr0{}, idr1{}, idr3{}, idr5{}, iidr{}, aidr{};
};
IdRegisters id_registers(const SmmuFeatures& features);
/// The features that ID registers name. What is not modelled is left out.
SmmuFeatures features_of(const IdRegisters& registers);

}  // namespace shootdown::hw

#endif
