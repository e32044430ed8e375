// Which cached things a command removes for certain, and since when they are gone.
//
// Source: Arm IHI 0070, sections 4.3 (CFGI), 4.4 (TLBI, ranges, level hints), 4.7 (completion).
#ifndef SHOOTDOWN_CONFORM_REFERENCE_INVALIDATIONS_H
#define SHOOTDOWN_CONFORM_REFERENCE_INVALIDATIONS_H

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "conform/reference/reference_smmu.h"
#include "conform/reference/time_interval.h"

namespace shootdown::conform::reference {

/// Something a cache may hold, by the tags that an invalidation looks at.
struct Cached {
  enum class Kind : std::uint8_t { kL1std, kSte, kL1cd, kCd, kStage1, kStage2 };
  Kind kind{};

  // The structures. An L1STD serves all StreamIDs that agree above `block_shift`, an L1CD all
  // SubstreamIDs that do.
  std::uint32_t stream_id{};
  std::uint32_t substream_id{};
  unsigned block_shift{};

  // kStage1 (with what it got from stage 2, if there is one) and kStage2 (only IPA to PA).
  Fetch::World world{};
  std::uint16_t vmid{};
  std::uint16_t asid{};
  bool global{};          ///< a leaf of any ASID
  bool leaf{};            ///< else a table, which the walk goes through
  std::uint64_t base{};   ///< of the VA or IPA range that it translates
  unsigned span_shift{};  ///< log2 of that range's size; 64 is everything
  int level{};
  unsigned granule_shift{};
};

/// A part of a translation: what was read, and when at the latest.
struct CachedPart {
  Cached what;
  Time read_at{};
};

struct Invalidation {
  std::uint8_t opcode{};
  Time issued{};
  /// Since when nothing that it covers is used: known when a CMD_SYNC behind it is consumed.
  Time gone{kForever};

  std::uint32_t stream_id{};
  std::uint32_t substream_id{};
  unsigned range_shift{};  ///< CFGI_STE_RANGE: this many low bits of the StreamID are ignored

  std::uint16_t vmid{};
  std::uint16_t vmid_mask{};  ///< which bits are compared (IDR0.S2P, CR0.VMW)
  std::uint16_t asid{};
  bool leaf_only{};
  bool e2h{};
  std::uint64_t first{1}, last{0};  ///< addresses; none, if nothing can be relied on
  unsigned granule_shift{};         ///< 0: of any granule
  int leaf_level{-1};               ///< -1: of any level
};

/// No value: the command invalidates nothing here.
std::optional<Invalidation> decode_invalidation(const std::array<std::uint64_t, 2>& words,
                                                const Identification& id,
                                                const Registers& registers);
bool covers(const Invalidation& invalidation, const Cached& cached);

class InvalidationLog {
 public:
  void add(Invalidation invalidation, Time now);
  /// A CMD_SYNC has been consumed.
  ///
  /// The commands before it have no order among themselves, so that after CFGI, TLBI and SYNC there
  /// may be a translation that was made with the old configuration when the TLBI had been executed
  /// already, but not the CFGI. Here that takes a transaction between the first of the commands and
  /// the SYNC. (By the letter a speculative access would do. But then what software usually does to
  /// invalidate everything would never be enough.)
  void complete();
  /// Something may have been cached on account of a transaction or a prefetch.
  void used(Time now) { last_used_ = now; }
  bool pending_configuration() const { return configuration_.has_pending(); }
  bool pending_translation() const { return translation_.has_pending(); }

  /// When `cached`, read at `read_at` at the latest and made with the help of `parts`, is gone for
  /// certain. kForever: it may be there still.
  ///
  /// Section 4.7: a SYNC also ends walks that use what a TLBI removes. Therefore what was made of a
  /// doomed part between the command and its SYNC goes too, if the command covers both.
  Time gone_at(const Cached& cached, Time read_at, std::span<const CachedPart> parts) const;

  /// Whatever is like one of `examples`, of any level, and was read before, is gone: when the last
  /// completed command that covers them all was issued. 0 if there was none.
  Time all_gone_before(std::span<const Cached> examples) const;
  /// What was read of structures before, and all that was made of it, is gone.
  Time everything_gone_before(const Identification& id) const;

 private:
  struct Commands {
    std::vector<Invalidation> all;  ///< in order of `issued`, and therefore of `gone`
    std::size_t pending_from{0};
    bool has_pending() const { return pending_from < all.size(); }
    void complete(Time gone);
  };
  Commands configuration_;
  Commands translation_;
  Time first_pending_{kForever};
  Time last_used_{0};
};

}  // namespace shootdown::conform::reference

#endif
