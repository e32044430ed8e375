#include "cosim/check/table_checker.h"

#include <fmt/format.h>

#include "cosim/check/hops/missing_hop.h"
#include "cosim/observe/format.h"

namespace shootdown::cosim {

namespace vmsa64 = arch::vmsa64;

void TableChecker::on_event(const Event& event) {
  if (const auto* allocated = event.payload.get<sw::PageAllocated>()) {
    ++allocations_;
    for (std::uint64_t i = 0; i < std::uint64_t{1} << allocated->order; ++i) {
      pages_[allocated->page.value + i * arch::kPageSize] = {
          .allocation = allocations_, .use = allocated->use, .freed = {}};
    }
  } else if (const auto* freed = event.payload.get<sw::PageFreed>()) {
    for (std::uint64_t i = 0; i < std::uint64_t{1} << freed->order; ++i) {
      pages_[freed->page.value + i * arch::kPageSize].freed = stamp_of(event);
    }
  } else if (const auto* mm = event.payload.get<sw::MmCreated>()) {
    roots_[{mm->asid.value, mm->pgd.value}] = pages_[mm->pgd.value].allocation;
  } else if (const auto* begin = event.payload.get<hw::WalkBegin>()) {
    walks_[{event.actor, begin->access_id}] = begin->requester.asid.value;
  } else if (const auto* end = event.payload.get<hw::WalkEnd>()) {
    walks_.erase({event.actor, end->access_id});
  } else if (const auto* walk = event.payload.get<hw::WalkRead>()) {
    on_read(event, walk->address, walk->level,
            walk->level == 0 ? root_meant(event, *walk) : link_seen(event, walk->address), false);
    follow(event, arch::to_vmsa64(ledger_.tables().format(), walk->descriptor.value, walk->level),
           walk->level);
  } else if (const auto* read = event.payload.get<sw::LocklessRead>()) {
    // A thread holds its mm, and so the first table.
    on_read(event, read->entry, read->level, read->level == 0 ? 0 : link_seen(event, read->entry),
            true);
    if (taken_over(event, *read)) {
      report(event, read->entry, read->level, pages_[arch::page_of(read->entry).value], true);
    }
    follow(event, arch::to_vmsa64(ledger_.tables().format(), read->value.value, read->level),
           read->level);
  }
}

bool TableChecker::taken_over(const Event& event, const sw::LocklessRead& read) const {
  if (ledger_.tables().taken_out(read.entry, read.mm, read.va, event.sequence) == nullptr)
    return false;
  const std::uint64_t entry =
      arch::to_vmsa64(ledger_.tables().format(), read.value.value, read.level);
  if (vmsa64::is_table(entry, read.level)) return true;
  const arch::PhysAddr output = vmsa64::leaf_output(entry, read.level);
  const auto page = pages_.find(output.value);
  return vmsa64::is_leaf(entry, read.level) && page != pages_.end() &&
         page->second.use == sw::PageUse::kAnonymous && ledger_.belongs_to_another(output, read.mm);
}

std::uint64_t TableChecker::root_meant(const Event& event, const hw::WalkRead& read) const {
  const auto walk = walks_.find({event.actor, read.access_id});
  if (walk == walks_.end()) return 0;
  const auto root = roots_.find({walk->second, arch::page_of(read.address).value});
  return root == roots_.end() ? 0 : root->second;
}

namespace {

/// A thread that reads without a lock and the walker of its CPU are two walkers.
std::uint32_t walker_of(const Event& event) {
  const bool lockless = event.payload.get<sw::LocklessRead>() != nullptr;
  return std::uint32_t{event.actor} << 16 | (lockless ? event.thread : kNoThread);
}

}  // namespace

std::uint64_t TableChecker::link_seen(const Event& event, arch::PhysAddr address) const {
  const auto seen = seen_.find({walker_of(event), arch::page_of(address).value});
  return seen == seen_.end() ? 0 : seen->second;
}

void TableChecker::follow(const Event& event, std::uint64_t link, int level) {
  if (!vmsa64::is_table(link, level)) return;
  const std::uint64_t next = vmsa64::next_table(link).value;
  if (const auto table = pages_.find(next); table != pages_.end()) {
    seen_[{walker_of(event), next}] = table->second.allocation;
  }
}

void TableChecker::on_read(const Event& event, arch::PhysAddr address, int level,
                           std::uint64_t meant, bool lockless) {
  const auto found = pages_.find(arch::page_of(address).value);
  if (found == pages_.end()) return;  // tables of the driver before the log began
  const PageState& state = found->second;
  if (state.freed || state.use != sw::PageUse::kTable ||
      (meant != 0 && meant != state.allocation)) {
    report(event, address, level, state, lockless);
  }
}

namespace {

std::uint64_t access_of(const Event& event) {
  const auto* read = event.payload.get<hw::WalkRead>();
  return read == nullptr ? 0 : read->access_id;
}

}  // namespace

TableChecker::Blame TableChecker::blame(const Event& event, const PageState& page,
                                        const StoreRecord& unhook, bool from_here,
                                        bool lockless) const {
  const FlushRecord* flush = unhook.flushes.empty() ? nullptr : unhook.flushes.front().flush.get();
  if (lockless) {
    return {.hop = Hop::kTableSync,
            .text = "nobody waited for walkers with interrupts off",
            .missing = "tlb_remove_table_sync_one() or an RCU grace period: not waited for",
            .items = chain()};
  }
  if (flush == nullptr || !flush->end ||
      (page.freed && flush->end.sequence > page.freed.sequence)) {
    const std::string text = "the table was freed before walk caches were flushed";
    return {.hop = Hop::kFlush, .text = text, .missing = text, .items = chain()};
  }
  if (from_here) {
    StaleEntry stale;
    stale.where = where_of(ledger_, event.actor);
    stale.tlb = event.actor;
    stale.requester.asid.value = walks_.at({event.actor, access_of(event)});
    stale.mm = unhook.mm;
    stale.va = unhook.va;
    stale.store = &unhook;
    stale.from_unlinked_table = true;
    MissingHop missing = find_missing_hop(ledger_, stale);
    return {.hop = missing.hop, .text = missing.text, .missing = {}, .items = missing.items};
  }
  const bool cpu = where_of(ledger_, event.actor) == StaleEntry::Where::kCpu;
  const std::string text = "the flush left this walker's walk cache the way to the table";
  return {
      .hop = cpu ? Hop::kCpuTlbi : Hop::kCommand, .text = text, .missing = text, .items = chain()};
}

void TableChecker::report(const Event& event, arch::PhysAddr address, int level,
                          const PageState& page, bool lockless) {
  const ActorId walker = lockless ? event.thread : event.actor;
  const arch::PhysAddr table = arch::page_of(address);
  const std::string what = page.freed ? "was freed at " + microseconds(page.freed.time_ps)
                           : page.use == sw::PageUse::kTable
                               ? std::string("serves another by now")
                               : fmt::format("is a page of kind {} by now", name_of(page.use));
  std::string headline = fmt::format("{} reads the level-{} table {}, which {}", name(walker),
                                     level, hex(table), what);
  if (findings_.repeats(ViolationKind::kTableUseAfterFree, walker, headline)) return;
  Blame found{.hop = Hop::kUnknown,
              .text = "the checker cannot tell which store unhooked the table",
              .missing = {},
              .items = chain()};
  // Where this walker came from, if that is known: others may have unhooked it elsewhere.
  const StoreRecord* unhook = walks_.contains({event.actor, access_of(event)})
                                  ? ledger_.cached().unlinked_table(event.actor, access_of(event))
                                  : nullptr;
  const bool from_here = unhook != nullptr;
  if (!from_here) unhook = ledger_.tables().unhooked(table);
  Chain story = chain();
  if (unhook != nullptr) {
    story.add(ChainRole::kStore, unhook->at,
              ledger_.stacks().text(unhook->path) + ": table " + hex(table) + " unhooked");
    if (!unhook->flushes.empty()) {
      const FlushRecord& flush = *unhook->flushes.front().flush;
      story.add(ChainRole::kFlush, flush.begin, "flush " + ledger_.stacks().text(flush.path));
    }
    found = blame(event, page, *unhook, from_here, lockless);
    story.append(found.items);
    if (!found.missing.empty()) {
      story.add_missing(ChainRole::kOther, unhook->at.actor, found.missing);
    }
  }
  if (page.freed) story.add(ChainRole::kFree, page.freed, "table " + hex(table) + " freed");
  story.add(ChainRole::kUse, stamp_of(event), walker, "reads an entry of it at " + hex(address));
  findings_.report({.kind = ViolationKind::kTableUseAfterFree,
                    .missing_hop = found.hop,
                    .sequence = event.sequence,
                    .time_ps = event.time_ps,
                    .actor = walker,
                    .actor_name = name(walker),
                    .address = unhook == nullptr ? arch::VirtAddr{} : unhook->va,
                    .headline = std::move(headline),
                    .hop_text = found.text,
                    .chain = std::move(story.items()),
                    .count = 1});
}

}  // namespace shootdown::cosim
