#include "cosim/check/table_checker.h"

#include <fmt/format.h>

#include "cosim/check/hops.h"
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
      pages_[freed->page.value + i * arch::kPageSize].freed = {event.sequence, event.time_ps,
                                                               event.actor, event.thread};
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
    follow(event, arch::to_vmsa64(history_.tables().format(), walk->descriptor, walk->level),
           walk->level);
  } else if (const auto* read = event.payload.get<sw::LocklessRead>()) {
    // A thread holds its mm, and so the first table.
    on_read(event, read->entry, read->level, read->level == 0 ? 0 : link_seen(event, read->entry),
            true);
    if (taken_over(event, *read)) {
      report(event, read->entry, read->level, pages_[arch::page_of(read->entry).value], true);
    }
    follow(event, arch::to_vmsa64(history_.tables().format(), read->value, read->level),
           read->level);
  }
}

bool TableChecker::taken_over(const Event& event, const sw::LocklessRead& read) const {
  if (history_.tables().taken_out(read.entry, read.mm, read.va, event.sequence) == nullptr)
    return false;
  const std::uint64_t entry = arch::to_vmsa64(history_.tables().format(), read.value, read.level);
  if (vmsa64::is_table(entry, read.level)) return true;
  const arch::PhysAddr output = vmsa64::leaf_output(entry, read.level);
  const auto page = pages_.find(output.value);
  return vmsa64::is_leaf(entry, read.level) && page != pages_.end() &&
         page->second.use == sw::PageUse::kAnonymous &&
         history_.belongs_to_another(output, read.mm);
}

std::uint64_t TableChecker::root_meant(const Event& event, const hw::WalkRead& read) const {
  const auto walk = walks_.find({event.actor, read.access_id});
  if (walk == walks_.end()) return 0;
  const auto root = roots_.find({walk->second, arch::page_of(read.address).value});
  return root == roots_.end() ? 0 : root->second;
}

namespace {

/// A thread and the walker of its CPU are two walkers.
std::uint32_t walker_of(const Event& event) {
  return std::uint32_t{event.actor} << 16 | event.thread;
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

void TableChecker::report(const Event& event, arch::PhysAddr address, int level,
                          const PageState& page, bool lockless) {
  const std::string walker =
      lockless ? history_.log().thread_name(event.thread) : actor_name(event.actor);
  const arch::PhysAddr table = arch::page_of(address);
  const std::string what = page.freed ? "was freed at " + microseconds(page.freed.time_ps)
                           : page.use == sw::PageUse::kTable
                               ? std::string("serves another by now")
                               : fmt::format("is a page of kind {} by now", name_of(page.use));
  const std::string headline =
      fmt::format("{} reads the level-{} table {}, which {}", walker, level, hex(table), what);
  if (findings_.repeats("table-use-after-free", walker, headline)) return;
  Violation violation{.kind = "table-use-after-free",
                      .time_ps = event.time_ps,
                      .actor = walker,
                      .address = {},
                      .headline = headline,
                      .missing_hop = "unknown",
                      .hop_text = "the checker cannot tell which store unhooked the table",
                      .chain = {},
                      .count = 1};
  const auto walk = walks_.find({event.actor, access_of(event)});
  // Where this walker came from, if that is known: others may have unhooked it elsewhere.
  const StoreRecord* unhook =
      walk == walks_.end() ? nullptr : history_.unlinked_table(event.actor, access_of(event));
  const bool from_here = unhook != nullptr;
  if (!from_here) unhook = history_.tables().unhooked(table);
  if (unhook != nullptr) {
    violation.address = unhook->va;
    violation.chain.push_back({.time_ps = unhook->at.time_ps,
                               .happened = true,
                               .actor = actor_name(unhook->at.actor),
                               .text = unhook->functions + ": table " + hex(table) + " unhooked",
                               .note = ""});
    const FlushRecord* flush = history_.flush_after(*unhook);
    if (flush != nullptr) {
      violation.chain.push_back({.time_ps = flush->begin.time_ps,
                                 .happened = true,
                                 .actor = actor_name(flush->begin.actor),
                                 .text = "flush " + flush->functions,
                                 .note = ""});
    }
    MissingHop missing;
    if (lockless) {
      violation.missing_hop = "table-sync";
      violation.hop_text = "nobody waited for walkers with interrupts off";
    } else if (flush == nullptr || !flush->end ||
               (page.freed && flush->end.sequence > page.freed.sequence)) {
      violation.missing_hop = "flush";
      violation.hop_text = "the table was freed before walk caches were flushed";
    } else if (from_here) {
      missing = find_missing_hop(history_, {.where = where_of(history_, event.actor),
                                            .tlb = event.actor,
                                            .requester = {.asid = walk->second},
                                            .mm = unhook->mm,
                                            .va = unhook->va,
                                            .entry = nullptr,
                                            .store = unhook,
                                            .from_unlinked_table = true,
                                            .freed = {}});
      violation.missing_hop = missing.hop;
      violation.hop_text = missing.text;
      violation.chain.insert(violation.chain.end(), missing.items.begin(), missing.items.end());
    } else {
      violation.missing_hop = history_.is_cpu(event.actor) ? "cpu-tlbi" : "command";
      violation.hop_text = "the flush left this walker's walk cache the way to the table";
    }
    if (missing.items.empty()) {
      violation.chain.push_back(
          {.time_ps = 0,
           .happened = false,
           .actor = actor_name(unhook->at.actor),
           .text = lockless ? "tlb_remove_table_sync_one() or an RCU grace period: not waited for"
                            : violation.hop_text,
           .note = "MISSING"});
    }
  }
  if (page.freed) {
    violation.chain.push_back({.time_ps = page.freed.time_ps,
                               .happened = true,
                               .actor = actor_name(page.freed.actor),
                               .text = "table " + hex(table) + " freed",
                               .note = ""});
  }
  violation.chain.push_back({.time_ps = event.time_ps,
                             .happened = true,
                             .actor = walker,
                             .text = "reads an entry of it at " + hex(address),
                             .note = ""});
  findings_.report(std::move(violation));
}

}  // namespace shootdown::cosim
