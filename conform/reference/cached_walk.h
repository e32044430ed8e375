// One run of translate() as caches may answer it: with a chosen configuration, and for every
// descriptor a chosen one of the values that may still be cached.
//
// Source: Arm IHI 0070, sections 3.17 (TLB tags), 3.12 (faults) and 16.2.
#ifndef SHOOTDOWN_CONFORM_REFERENCE_CACHED_WALK_H
#define SHOOTDOWN_CONFORM_REFERENCE_CACHED_WALK_H

#include <array>
#include <cstdint>
#include <optional>
#include <unordered_set>
#include <vector>

#include "conform/reference/cached_prefix.h"
#include "conform/reference/choices.h"
#include "conform/reference/configuration_history.h"
#include "conform/reference/descriptor_choices.h"

namespace shootdown::conform::reference {

/// Under which configuration the cached part of a translation was made, as seen by a stream.
struct WalkSource {
  StructureWords ste{};  ///< merged with the stream's own, see ste_with_entry()
  StructureWords cd{};
  bool stage1{};
  bool stage2{};
  bool own{};                    ///< it is the stream's own: a walk can also begin with it now
  bool global_only{};            ///< of another ASID: only global leaves match
  bool no_global{};              ///< of another ASET: global leaves do not match
  std::vector<Interval> usable;  ///< when a walk could begin with it
  std::vector<Interval> stage2_usable;  ///< when a stage 2 walk could
  Time not_before{};                    ///< what was read of its tables before is gone
};

class CachedWalk : public Memory {
 public:
  /// The walk begins during `begin`. `record_all`: with faults recorded whatever the configuration
  /// says.
  CachedWalk(const History& history, const ConfigurationChain& lookup, const WalkSource& source,
             const Interval& begin, bool record_all, Choices& choices);

  bool read(const Fetch& fetch, std::uint64_t* words) override;
  bool compare_exchange(const Fetch& fetch, std::uint64_t expected, std::uint64_t desired) override;

  /// May it be what a transaction meets now? `fault` is the event that `outcome` has, or would have
  /// if it were recorded.
  bool permits(const Outcome& outcome,
               const std::optional<std::array<std::uint64_t, 4>>& fault) const;
  bool has_read_descriptors() const { return reads_ != 0; }

 private:
  bool refuse() {
    impossible_ = true;
    return false;
  }
  void begin_again();
  void read_structure(const Fetch& fetch, std::uint64_t* words) const;
  bool read_descriptor(const Fetch& fetch, std::uint64_t* word);
  bool begin_stage2(const Fetch& fetch);
  void finish_stage2();
  bool permits_fault(bool in_stage2, bool abort) const;
  bool permits_result() const;

  const History& history_;
  const ConfigurationChain& lookup_;
  const WalkSource& source_;
  Interval begin_;
  StructureWords ste_{};
  StructureWords cd_{};
  Choices& choices_;
  std::vector<DescriptorChoice> found_;

  CachedPrefix stage1_;  ///< or the configuration, as long as no descriptor was read
  Cached stage1_as_;     ///< how that is cached
  int stage1_reads_{0};
  std::optional<CachedPrefix> stage2_;  ///< a stage 2 walk whose result is not yet used
  Fetch::For stage2_for_{};
  int stage2_reads_{0};
  std::optional<DescriptorChoice> stage1_leaf_;

  int reads_{0};
  Fetch last_;
  bool last_now_{false};
  std::unordered_set<std::uint64_t> must_be_current_;
  bool impossible_{false};
};

}  // namespace shootdown::conform::reference

#endif
