// What TLBs, ATCs and walk caches hold, as the log tells of fills, evictions and invalidations, and
// the accesses that are on their way. Entries of only stage 2 are no translations of a process,
// and are left out.
//
// Memory: what the TLBs hold, what accesses on their way have used, and the tables that walkers
// came to when they were linked no more.
#ifndef SHOOTDOWN_COSIM_LEDGER_CACHED_TRANSLATIONS_H
#define SHOOTDOWN_COSIM_LEDGER_CACHED_TRANSLATIONS_H

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "cosim/ledger/address_spaces.h"
#include "cosim/ledger/page_tables.h"
#include "cosim/ledger/stamp.h"
#include "hw/events.h"

namespace shootdown::cosim {

/// Where a translation comes from: one read of a leaf descriptor.
struct DescriptorRead {
  Stamp at;
  /// Its table, if a walk cache led there when it was not linked any more; else 0. `at` is then the
  /// last moment that it was.
  std::uint64_t unlinked_table{};
};

/// A translation that a TLB or ATC holds or held.
struct CachedEntry {
  Stamp filled;
  DescriptorRead read;
  Stamp removed;
  hw::TlbFill fill;
  bool matches(arch::VirtAddr va, arch::Asid asid) const {
    return arch::page_of(va, fill.page_shift) == fill.page &&
           (fill.global || fill.requester.asid == asid);
  }
  std::uint64_t first() const { return fill.page.value; }
  std::uint64_t last() const { return fill.page.value + (arch::page_bytes(fill.page_shift) - 1); }
};

/// An access between its look-up and its end.
struct OpenAccess {
  std::uint64_t access_id{};
  Stamp looked_up;
  hw::Requester requester;
  arch::VirtAddr va{};
  DescriptorRead hit_read;  ///< of a hit: that of the entry, as it was then
};

/// What one invalidation dropped.
struct Dropped {
  unsigned dropped{};
  unsigned needless{};  ///< translations that memory still says
};

class CachedTranslations {
 public:
  /// All outlive this object.
  CachedTranslations(const EventLog& log, const AddressSpaces& spaces, const PageTables& tables)
      : log_(&log), spaces_(&spaces), tables_(&tables) {}

  // What happens.
  /// `generation` changes with every event except look-ups and accesses.
  void looked_up(const Event& event, const hw::TlbLookup& e, std::uint64_t generation);
  void walk_began(const Stamp& at, const hw::WalkBegin& e);
  void walk_read(const Stamp& at, const hw::WalkRead& e);
  void filled(const Stamp& at, const hw::TlbFill& e);
  void evicted(const Stamp& at, const hw::TlbEvict& e);
  /// What it dropped. A TLB that removed fewer than it holds is not believed: its entries stay.
  Dropped invalidated(const Stamp& at, const hw::TlbInvalidate& e);
  void answered(const Stamp& at, const hw::AtsAnswered& e);
  /// The access has ended: done, refused, or put back.
  void ended(ActorId tlb, std::uint64_t access_id);

  // What is. `actor` is the TLB: a CPU, a secondary MMU or an ATC.
  /// The ATC that an access of `device` through its ATC looked up in; the device itself if none.
  ActorId atc_of(ActorId device) const;
  /// The entry that `actor` used for (va, asid): a live one, else the last one removed, as long as
  /// an access that may have used it is on its way.
  const CachedEntry* cached(ActorId actor, arch::VirtAddr va, arch::Asid asid) const;
  // A TLB that does not tell of evictions may or may not hold what it has filled: it is asked by
  // cached() only.
  /// Live entries of `mm` that translate a part of what the entry of `level` at `va` maps, and that
  /// their TLB can use.
  std::vector<std::pair<ActorId, const CachedEntry*>> live_at(arch::MmId mm, arch::VirtAddr va,
                                                              int level) const;
  /// Live entries that lead into [page, page + bytes).
  std::vector<std::pair<ActorId, const CachedEntry*>> live_into(arch::PhysAddr page,
                                                                std::uint64_t bytes) const;
  bool reachable(ActorId actor, const CachedEntry& entry) const {
    return spaces_->reachable(actor, spaces_->mm_of(actor, entry.fill.requester.asid));
  }
  const std::vector<OpenAccess>& open_accesses(ActorId actor) const;
  /// The look-up and the fill of the access that ended last: valid during the event of its end.
  const OpenAccess& last_ended() const { return last_ended_; }
  const CachedEntry* last_ended_fill() const {
    return last_ended_fill_ ? &*last_ended_fill_ : nullptr;
  }
  /// The store that took the entry's table out before it was read through a walk cache, or null.
  const StoreRecord* unlinked_table(const CachedEntry& entry) const;
  /// Likewise for the last descriptor that the walk of `access_id` read, while that is on its way
  /// or has just ended.
  const StoreRecord* unlinked_table(ActorId actor, std::uint64_t access_id) const;

  /// See OldestUse. No mm: whatever the address space.
  std::uint64_t oldest_use(arch::MmId mm, std::uint64_t first, std::uint64_t last) const;
  /// See OldestStrayUse.
  std::uint64_t oldest_stray_use() const;
  /// Entries and accesses that are remembered: of use to the tests of its bounds.
  std::size_t remembered() const;

  void reset() { *this = CachedTranslations(*log_, *spaces_, *tables_); }

 private:
  /// What a walk comes from, and the last descriptor that it has read.
  struct Walk {
    Stamp began;
    arch::Asid asid{};
    arch::VirtAddr va{};
    DescriptorRead last;
  };
  struct OfActor {
    std::vector<CachedEntry> live;
    std::vector<CachedEntry> retired;     // the last one by page and ASID; see forget_retired()
    std::vector<OpenAccess> open;         // few at a time
    std::map<std::uint64_t, Walk> walks;  // by access
    std::map<std::uint64_t, CachedEntry> filled;  // by access
    /// Tables that the walker, or its walk cache, came to by way of one that was linked no more:
    /// that one, by ASID and table.
    std::map<std::pair<std::uint16_t, std::uint64_t>, std::uint64_t> strays;
  };
  OfActor& of(ActorId actor);
  /// The first look-up of the accesses on their way; ~0: none is.
  static std::uint64_t oldest_open(const OfActor& actor);
  const DescriptorRead& read_of_hit(ActorId actor, const hw::TlbLookup& lookup,
                                    std::uint64_t generation);
  void retire(CachedEntry& entry, const Stamp& at);
  bool still_good(const CachedEntry& entry) const;
  const StoreRecord* unlinked_by(ActorId actor, const DescriptorRead& read, arch::Asid asid,
                                 arch::VirtAddr va) const;
  /// The table that is linked no more, by which the walk came to read at `slot`; or 0.
  std::uint64_t unlinked_table_of(ActorId actor, const Walk& walk, arch::PhysAddr slot,
                                  std::uint64_t sequence) const;

  const EventLog* log_;
  const AddressSpaces* spaces_;
  const PageTables* tables_;
  std::vector<OfActor> actors_;
  OpenAccess last_ended_;
  std::optional<CachedEntry> last_ended_fill_;
  std::optional<Walk> last_ended_walk_;
  ActorId last_ended_actor_{kNoActor};
  /// What an ATS answer was read from, by access of a device.
  std::map<std::uint64_t, DescriptorRead> ats_reads_;
  /// The read of the entry last hit, while nothing else happens.
  struct HitMemo {
    std::uint64_t generation{};
    std::uint64_t page{};
    ActorId actor{};
    std::uint16_t asid{};
    DescriptorRead read;
  };
  std::array<HitMemo, 64> hit_memo_{};
};

}  // namespace shootdown::cosim

#endif
