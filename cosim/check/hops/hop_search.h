// What the chains have in common while they look for the missing hop. A chain is a function in a
// file of its own: it follows its part and either says what is missing, or hands on.
#ifndef SHOOTDOWN_COSIM_CHECK_HOPS_HOP_SEARCH_H
#define SHOOTDOWN_COSIM_CHECK_HOPS_HOP_SEARCH_H

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cosim/check/hops/missing_hop.h"
#include "cosim/observe/format.h"

namespace shootdown::cosim {

struct HopSearch {
  HopSearch(const Ledger& of, const StaleEntry& what);

  const Ledger& ledger;
  const StaleEntry& stale;
  std::uint64_t first{};  ///< of what the stale translation maps
  std::uint64_t last{};
  std::uint64_t since{};     ///< the store that made it stale
  const FlushRecord* due{};  ///< the flush that owes the rest; null: there is none
  /// The next flush of its thread, whose hops are not those of `due`; ~0: there is none.
  std::uint64_t next_flush{~std::uint64_t{0}};
  std::vector<const Stay*> stays;  ///< where its hops are to be found: that of `due`, the store's
  MissingHop result;

  void happened(ChainRole role, const Stamp& at, std::string text, std::string note = {}) {
    result.items.add(role, at, std::move(text), std::move(note));
  }
  void missing(Hop hop, std::string text, ChainRole role, ActorId actor, std::string what) {
    result.hop = hop;
    result.text = std::move(text);
    result.items.add_missing(role, actor, std::move(what));
  }
  void kept_by_hardware(unsigned removed);
  void nobody_flushed();

  std::string page() const { return hex(arch::page_of(stale.va)); }
  const std::string& name(ActorId actor) const { return ledger.log().name(actor); }
  ActorId store_actor() const { return stale.store != nullptr ? stale.store->at.actor : kNoActor; }
  /// The innermost function of the due flush, or nothing.
  std::string flush_function() const;
  /// What the secondary MMU of the stale translation calls its commands.
  const arch::MaintenanceWords& words() const;

  bool covers(arch::VirtAddr start, arch::VirtAddr limit) const {
    return start.value <= last && (first < limit.value || limit.value == ~std::uint64_t{0});
  }
  bool covers(const arch::Invalidation& what) const {
    return what.covers(first, last, stale.requester.asid, false);
  }
  /// Whether it removes the translation.
  bool matches(const arch::Invalidation& what) const {
    return covers(what) && !(what.leaf_only && stale.from_unlinked_table);
  }
  bool matches_but_for_asid(arch::Invalidation what) const {
    what.asid = stale.requester.asid;
    return matches(what);
  }
  /// Whether it removes the CPUs' translations; a secondary MMU may know the process by another
  /// ASID.
  bool tells_cpus(const arch::Invalidation& what) const {
    return what.covers(first, last, ledger.spaces().cpu_asid(stale.mm), false) &&
           !(what.leaf_only && stale.from_unlinked_table);
  }
  /// Whether `at` lies within the due flush.
  bool within_due(const Stamp& at) const {
    return due != nullptr && at.sequence > due->begin.sequence &&
           (!due->end || at.sequence < due->end.sequence);
  }
};

// The chains. Each ends with a missing hop in `search.result`.
/// Broadcast TLBI and DSB, to the TLB of `stale`.
void follow_broadcast(HopSearch& search);
/// IPI and the invalidation by the interrupted CPU itself.
void follow_ipi(HopSearch& search);
/// Notifier, then commands or ATC.
void follow_notifier(HopSearch& search);

/// One call of a notifier, and the stay it happened in.
struct NotifierCall {
  const NotifierRecord* record{};
  const Stay* stay{};
  /// Commands of the driver that this call has led to, up to the next call.
  std::vector<const CommandRecord*> commands() const;
};
/// The driver's invalidation of the MMU's TLB. Null: it is missing, and the search has ended.
const CommandRecord* follow_command(HopSearch& search, const NotifierCall& call);
/// CMD_ATC_INV, after `tlbi` (null: the MMU follows broadcasts).
void follow_atc(HopSearch& search, const NotifierCall& call, const CommandRecord* tlbi);
/// The barrier behind `invalidation`, and its effect in the TLB of `stale`.
void follow_sync(HopSearch& search, const NotifierCall& call, const CommandRecord& invalidation);

/// "CMD_TLBI_NH_VA ASID 3 0x... to 0x..."
std::string command_text(const CommandRecord& command);
std::string range_text(arch::VirtAddr start, arch::VirtAddr limit);

}  // namespace shootdown::cosim

#endif
