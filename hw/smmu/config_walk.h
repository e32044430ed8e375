// From a StreamID and SubstreamID through stream table and CD table to a StreamConfig.
//
// Source: Arm IHI 0070, sections 3.3, 5.1 to 5.4 and the order of configuration errors in 7.3.1.
#ifndef SHOOTDOWN_HW_SMMU_CONFIG_WALK_H
#define SHOOTDOWN_HW_SMMU_CONFIG_WALK_H

#include <cstdint>
#include <optional>
#include <variant>

#include "hw/arch/smmuv3_tables.h"
#include "hw/arch/types.h"
#include "hw/smmu/ste.h"
#include "hw/smmu/stream_config.h"

namespace shootdown::hw {

/// STRTAB_BASE and STRTAB_BASE_CFG.
struct StreamTable {
  arch::PhysAddr base{};
  unsigned log2_size{};
  bool two_level{};
  unsigned split{};  ///< StreamID bits of the second level

  /// As the registers say it: reserved values of SPLIT count as 6, the base is aligned.
  static StreamTable of(std::uint64_t strtab_base, std::uint32_t strtab_base_cfg,
                        const SmmuFeatures& features);
};

/// Where a walk gets the structures from: caches and memory. Calls may block.
class StructureSource {
 public:
  using Ipa = std::variant<arch::PhysAddr, TranslationProblem>;
  virtual ~StructureSource() = default;
  virtual const arch::smmuv3::Ste* cached_ste(arch::StreamId sid) = 0;
  virtual const arch::smmuv3::Cd* cached_cd(arch::StreamId sid, arch::SubstreamId ssid) = 0;
  /// First-level descriptors by the first StreamID, or SubstreamID, that they lead to.
  virtual const std::uint64_t* cached_l1std(arch::StreamId first) = 0;
  virtual const std::uint64_t* cached_l1cd(arch::StreamId sid, arch::SubstreamId first) = 0;
  virtual void fetched_ste(arch::StreamId sid, const arch::smmuv3::Ste& ste) = 0;
  virtual void fetched_cd(arch::StreamId sid, arch::SubstreamId ssid,
                          const arch::smmuv3::Cd& cd) = 0;
  virtual void fetched_l1std(arch::StreamId first, std::uint64_t descriptor) = 0;
  virtual void fetched_l1cd(arch::StreamId sid, arch::SubstreamId first,
                            std::uint64_t descriptor) = 0;
  /// False on a bus error.
  virtual bool read(arch::PhysAddr address, std::uint64_t* words, unsigned count) = 0;
  virtual Ipa translate(const Stage2Context& context, arch::IpaAddr ipa) = 0;
};

using ConfigResult = std::variant<StreamConfig, ConfigFault>;

ConfigResult walk_configuration(const StructureRules& rules, const StreamTable& table,
                                arch::StreamId sid, std::optional<arch::SubstreamId> ssid,
                                StructureSource& source);
/// What the STE says without a CD, as translated traffic is checked (section 3.9.1.3): no CD is
/// read. Of the context only stage 2 is there.
ConfigResult walk_stream_entry(const StructureRules& rules, const StreamTable& table,
                               arch::StreamId sid, StructureSource& source);

}  // namespace shootdown::hw

#endif
