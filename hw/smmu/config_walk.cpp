#include "hw/smmu/config_walk.h"

#include <algorithm>

#include "hw/smmu/cd.h"
#include "hw/smmu/fault_events.h"

namespace shootdown::hw {

namespace smmuv3 = arch::smmuv3;
using smmuv3::EventType;

StreamTable StreamTable::of(std::uint64_t strtab_base, std::uint32_t strtab_base_cfg,
                            const SmmuFeatures& features) {
  namespace cfg = smmuv3::strtab_base_cfg;
  StreamTable table;
  table.log2_size =
      std::min(static_cast<unsigned>(cfg::Log2Size::get(strtab_base_cfg)), features.sid_bits);
  table.two_level = features.two_level_stream_table && cfg::Fmt::get(strtab_base_cfg) == 1;
  const auto split = static_cast<unsigned>(cfg::Split::get(strtab_base_cfg));
  table.split = split == 8 || split == 10 ? split : 6;
  constexpr unsigned kSteLog2 = 6;
  constexpr unsigned kL1Log2 = 3;
  unsigned bytes_log2 = table.log2_size + kSteLog2;
  if (table.two_level) {
    const unsigned entries = table.log2_size > table.split ? table.log2_size - table.split : 0;
    bytes_log2 = std::max(kSteLog2, entries + kL1Log2);
  }
  table.base = {arch::align_down(smmuv3::strtab_base::Addr::get(strtab_base), bytes_log2)};
  return table;
}

namespace {

/// One walk, with what it has found so far. Each step returns a fault or nothing.
class ConfigWalk {
 public:
  ConfigWalk(const StructureRules& rules, const StreamTable& table, arch::StreamId sid,
             std::optional<arch::SubstreamId> ssid, StructureSource& source)
      : rules_(rules), table_(table), sid_(sid), ssid_(ssid), source_(source) {}

  ConfigResult run() {
    if (auto fault = find_ste()) return *fault;
    StreamConfig config = of_stream();
    if (config.kind == StreamConfig::Kind::kAbort) return config;
    arch::SubstreamId cd{};
    bool bypass_stage1 = false;
    if (auto fault = choose_cd(cd, bypass_stage1)) return *fault;
    if (!stream_.stage1 || bypass_stage1) return config;
    smmuv3::Cd words{};
    if (auto fault = find_cd(cd, words)) return *fault;
    const auto context = decode_cd(words, stream_, rules_);
    if (!context) return ConfigFault{.type = EventType::kCBadCd};
    config.kind = StreamConfig::Kind::kTranslate;
    config.context = stream_.stage2
                         ? TranslationContext::of(context->context, stream_.stage2_context)
                         : TranslationContext::of(context->context);
    config.stage1_faults = context->faults;
    return config;
  }

  ConfigResult run_without_cd() {
    if (auto fault = find_ste()) return *fault;
    const StreamConfig config = of_stream();
    arch::SubstreamId cd{};
    bool bypass_stage1 = false;
    // What EATS forbids is said so, whatever S1DSS makes of it.
    if (config.kind != StreamConfig::Kind::kAbort && config.ats != StreamConfig::Ats::kNone) {
      if (auto fault = choose_cd(cd, bypass_stage1)) return *fault;
    }
    return config;
  }

 private:
  using Fault = std::optional<ConfigFault>;

  /// What the STE says; as if stage 1 were bypassed.
  StreamConfig of_stream() const {
    StreamConfig config;
    config.ats = stream_.ats;
    config.merge_events = stream_.merge_events;
    config.overrides = stream_.overrides;
    if (stream_.kind == StreamEntry::Kind::kAbort) return config;
    config.stage2_faults = stream_.stage2_faults;
    config.kind = stream_.stage2 ? StreamConfig::Kind::kTranslate : StreamConfig::Kind::kBypass;
    if (stream_.stage2) config.context = TranslationContext::of(stream_.stage2_context);
    return config;
  }

  Fault find_ste() {
    if (std::uint64_t{sid_.value} >> table_.log2_size != 0) {
      return ConfigFault{.type = EventType::kCBadStreamid};
    }
    smmuv3::Ste words{};
    if (const smmuv3::Ste* cached = source_.cached_ste(sid_)) {
      words = *cached;
    } else {
      arch::PhysAddr address = table_.base + std::uint64_t{sid_.value} * smmuv3::kSteBytes;
      if (table_.two_level) {
        if (auto fault = find_second_level(address)) return fault;
      }
      if (!source_.read(address, words.data(), smmuv3::kStructureWords)) {
        return ConfigFault{.type = EventType::kFSteFetch, .fetch_address = address};
      }
      source_.fetched_ste(sid_, words);
    }
    const auto entry = decode_ste(words, rules_);
    if (!entry) return ConfigFault{.type = EventType::kCBadSte};
    stream_ = *entry;
    return std::nullopt;
  }

  Fault find_second_level(arch::PhysAddr& ste_address) {
    const std::uint32_t index = sid_.value >> table_.split;
    const arch::StreamId first{index << table_.split};
    std::uint64_t descriptor = 0;
    if (const std::uint64_t* cached = source_.cached_l1std(first)) {
      descriptor = *cached;
    } else {
      const arch::PhysAddr address = table_.base + index * smmuv3::kL1DescriptorBytes;
      if (!source_.read(address, &descriptor, 1)) {
        return ConfigFault{.type = EventType::kFSteFetch, .fetch_address = address};
      }
      source_.fetched_l1std(first, descriptor);
    }
    auto span = static_cast<unsigned>(smmuv3::l1std::Span::get(descriptor));
    if (span > smmuv3::kL1stdSpanMax || span > table_.split + 1) span = 0;
    const std::uint32_t offset = sid_.value - first.value;
    if (span == 0 || offset >> (span - 1) != 0) {
      return ConfigFault{.type = EventType::kCBadStreamid};
    }
    constexpr unsigned kSteLog2 = 6;
    const std::uint64_t base =
        arch::align_down(smmuv3::l1std::L2Ptr::get(descriptor), span - 1 + kSteLog2);
    ste_address = {base + offset * smmuv3::kSteBytes};
    // Beyond the physical addresses: not read. Truncation would be as good (section 3.4.3).
    if (ste_address.value >> rules_.features.output_bits != 0) {
      const std::uint64_t mask = (std::uint64_t{1} << rules_.features.output_bits) - 1;
      return ConfigFault{.type = EventType::kFSteFetch,
                         .fetch_address = {ste_address.value & mask}};
    }
    return std::nullopt;
  }

  /// Which CD the transaction uses, or that it bypasses stage 1.
  Fault choose_cd(arch::SubstreamId& cd, bool& bypass) const {
    const bool substreams = stream_.stage1 && stream_.cd_max != 0;
    if (ssid_) {
      if (!substreams || std::uint64_t{ssid_->value} >> stream_.cd_max != 0) {
        return ConfigFault{.type = EventType::kCBadSubstreamid};
      }
      if (stream_.default_substream == smmuv3::kS1DssSsid0 && ssid_->value == 0) {
        return ConfigFault{.type = EventType::kFStreamDisabled};
      }
      cd = *ssid_;
      return std::nullopt;
    }
    if (!substreams) return std::nullopt;
    if (stream_.default_substream == smmuv3::kS1DssBypass) {
      bypass = true;
    } else if (stream_.default_substream != smmuv3::kS1DssSsid0) {
      return ConfigFault{.type = EventType::kFStreamDisabled};
    }
    return std::nullopt;
  }

  Fault find_cd(arch::SubstreamId cd, smmuv3::Cd& words) {
    if (const smmuv3::Cd* cached = source_.cached_cd(sid_, cd)) {
      words = *cached;
      return std::nullopt;
    }
    std::uint64_t address = stream_.context_ptr;
    if (stream_.cd_max != 0) {
      const bool linear = stream_.cd_format == smmuv3::kS1FmtLinear;
      // Tables are aligned to their size, whatever the pointer says.
      constexpr unsigned kCdLog2 = 6;
      address = arch::align_down(address, linear ? stream_.cd_max + kCdLog2 : l1_log2());
      const Fault fault = linear ? Fault{} : find_leaf_table(cd, address);
      if (fault) return fault;
      const std::uint32_t index = linear ? cd.value : cd.value & ((1U << leaf_bits()) - 1);
      address += std::uint64_t{index} * smmuv3::kCdBytes;
    }
    if (auto fault = fetch(address, words.data(), smmuv3::kStructureWords)) return fault;
    source_.fetched_cd(sid_, cd, words);
    return std::nullopt;
  }

  unsigned leaf_bits() const { return stream_.cd_format == smmuv3::kS1Fmt4kLeaf ? 6 : 10; }

  unsigned l1_log2() const {
    constexpr unsigned kMinLog2 = 6;
    constexpr unsigned kEntryLog2 = 3;
    const unsigned entries = stream_.cd_max > leaf_bits() ? stream_.cd_max - leaf_bits() : 0;
    return std::max(kMinLog2, entries + kEntryLog2);
  }

  Fault find_leaf_table(arch::SubstreamId cd, std::uint64_t& address) {
    const std::uint32_t index = cd.value >> leaf_bits();
    const arch::SubstreamId first{index << leaf_bits()};
    std::uint64_t descriptor = 0;
    if (const std::uint64_t* cached = source_.cached_l1cd(sid_, first)) {
      descriptor = *cached;
    } else {
      const std::uint64_t where = address + index * smmuv3::kL1DescriptorBytes;
      if (auto fault = fetch(where, &descriptor, 1)) return fault;
      source_.fetched_l1cd(sid_, first, descriptor);
    }
    if (smmuv3::l1cd::Valid::get(descriptor) == 0) {
      return ConfigFault{.type = EventType::kCBadSubstreamid};
    }
    const unsigned leaf_log2 = leaf_bits() + 6;
    address = arch::align_down(smmuv3::l1cd::L2Ptr::get(descriptor), leaf_log2);
    if (address >> rules_.features.output_bits != 0) {
      return ConfigFault{.type = EventType::kCBadSubstreamid};
    }
    return std::nullopt;
  }

  /// Reads a CD or L1CD, through stage 2 if there is one.
  Fault fetch(std::uint64_t address, std::uint64_t* words, unsigned count) {
    arch::PhysAddr physical{address};
    if (stream_.stage2) {
      const auto found = source_.translate(stream_.stage2_context, {address});
      if (const auto* problem = std::get_if<TranslationProblem>(&found)) {
        if (problem->type == arch::FaultKind::kWalkAbort) {
          return ConfigFault{.type = event_type_of(problem->type),
                             .fetch_address = problem->fetch_address,
                             .stage2 = true,
                             .ipa = {address},
                             .overrides = stream_.overrides};
        }
        return ConfigFault{.type = event_type_of(problem->type),
                           .fetch_address = {},
                           .stage2 = true,
                           .ipa = {address},
                           .policy = stream_.stage2_faults,
                           .overrides = stream_.overrides};
      }
      physical = std::get<arch::PhysAddr>(found);
    }
    if (!source_.read(physical, words, count)) {
      return ConfigFault{.type = EventType::kFCdFetch, .fetch_address = physical};
    }
    return std::nullopt;
  }

  const StructureRules& rules_;
  const StreamTable& table_;
  arch::StreamId sid_;
  std::optional<arch::SubstreamId> ssid_;
  StructureSource& source_;
  StreamEntry stream_;
};

}  // namespace

ConfigResult walk_configuration(const StructureRules& rules, const StreamTable& table,
                                arch::StreamId sid, std::optional<arch::SubstreamId> ssid,
                                StructureSource& source) {
  return ConfigWalk(rules, table, sid, ssid, source).run();
}

ConfigResult walk_stream_entry(const StructureRules& rules, const StreamTable& table,
                               arch::StreamId sid, StructureSource& source) {
  return ConfigWalk(rules, table, sid, std::nullopt, source).run_without_cd();
}

}  // namespace shootdown::hw
