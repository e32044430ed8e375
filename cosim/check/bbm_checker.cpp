#include "cosim/check/bbm_checker.h"

#include <fmt/format.h>

#include <algorithm>

#include "cosim/observe/format.h"

namespace shootdown::cosim {

namespace vmsa64 = arch::vmsa64;

namespace {

/// The level of a leaf that maps 2^page_shift bytes.
int level_of(unsigned page_shift) {
  int level = vmsa64::kLastLevel;
  while (level > 1 && vmsa64::level_shift(level) < page_shift) --level;
  return level;
}

}  // namespace

void BbmChecker::on_event(const Event& event) {
  if (ledger_.tables().format() != arch::TableFormat::kVmsa64) return;
  if (const auto* store = event.payload.get<sw::PteStore>()) {
    on_store(event, *store);
  } else if (const auto* fill = event.payload.get<hw::TlbFill>()) {
    on_fill(event, *fill);
  }
}

bool BbmChecker::flush_is_owed(arch::MmId mm, arch::VirtAddr va) const {
  return ledger_.maintenance().flush_pending(mm) || ledger_.flush_in_progress(mm, va);
}

void BbmChecker::on_fill(const Event& event, const hw::TlbFill& fill) {
  const auto mm = ledger_.spaces().mm_of(event.actor, fill.requester.asid);
  if (!mm || fill.dropped) return;
  for (const auto& [tlb, entry] :
       ledger_.cached().live_at(*mm, fill.page, level_of(fill.page_shift))) {
    if (tlb != event.actor || entry->fill.page_shift == fill.page_shift) continue;
    if (flush_is_owed(*mm, fill.page)) {
      // What a fault has made meanwhile got here first: on_store().
      if (findings_.noted(NoteKind::kEarlyMake)) return;
      findings_.note({.kind = NoteKind::kEarlyMake,
                      .text = fmt::format("{} holds two translations of {}, of different sizes, "
                                          "while the flush of one is under way or owed",
                                          name(event.actor), hex(fill.page))});
      return;
    }
    if (findings_.repeats(ViolationKind::kBreakBeforeMake, event.actor, fill.page)) return;
    const StaleEntry stale = stale_entry(ledger_, tlb, *entry, *mm);
    const MissingHop missing = find_missing_hop(ledger_, stale);
    Chain story = build_chain(ledger_, stale, missing);
    findings_.report({.kind = ViolationKind::kBreakBeforeMake,
                      .missing_hop = missing.hop,
                      .sequence = event.sequence,
                      .time_ps = event.time_ps,
                      .actor = event.actor,
                      .actor_name = name(event.actor),
                      .address = fill.page,
                      .headline = fmt::format("{} holds two translations of {}, of different sizes",
                                              name(event.actor), hex(fill.page)),
                      .hop_text = missing.text,
                      .chain = std::move(story.items()),
                      .count = 1});
    return;
  }
}

void BbmChecker::on_store(const Event& event, const sw::PteStore& store) {
  const std::uint64_t before = store.before.value;
  const std::uint64_t after = store.after.value;
  if (!vmsa64::is_valid(after)) return;
  const bool was_live = vmsa64::is_valid(before);
  const bool is_table = vmsa64::is_table(after, store.level);
  const bool leads_elsewhere = vmsa64::is_table(before, store.level) != is_table ||
                               vmsa64::next_table(before) != vmsa64::next_table(after);
  if (was_live && leads_elsewhere) return report_replacement(event, store);
  if (was_live || is_table) return;
  if (findings_.noted(NoteKind::kEarlyMake)) return;
  // The break was made: is the old translation gone from everywhere?
  for (const auto& [tlb, entry] : ledger_.cached().live_at(store.mm, store.va, store.level)) {
    const arch::VirtAddr va = std::max(store.va, entry->fill.page);
    const PageTables::Leaf made{.entry = after, .level = store.level};
    const std::uint64_t offset = va.value - entry->first();
    if (made.output(va).value == entry->fill.output.value + offset) continue;
    const bool owed = flush_is_owed(store.mm, store.va);
    findings_.note({.kind = NoteKind::kEarlyMake,
                    .text = fmt::format(
                        "{} maps {} anew while {} still has the old translation, {}",
                        name(event.actor), hex(store.va), name(tlb),
                        owed ? "whose flush is under way or owed" : "which no flush has reached")});
  }
}

void BbmChecker::report_replacement(const Event& event, const sw::PteStore& store) {
  if (findings_.repeats(ViolationKind::kBreakBeforeMake, event.actor, store.va)) return;
  Chain story = chain();
  story.add_missing(ChainRole::kStore, event.actor,
                    "an invalid entry and its flush before the new one");
  story.add(ChainRole::kStore, stamp_of(event),
            fmt::format("PTE {} -> {}: {} -> {}", hex(store.before.value), hex(store.after.value),
                        describe_entry(store.before.value, store.level),
                        describe_entry(store.after.value, store.level)));
  findings_.report({.kind = ViolationKind::kBreakBeforeMake,
                    .missing_hop = Hop::kBreak,
                    .sequence = event.sequence,
                    .time_ps = event.time_ps,
                    .actor = event.actor,
                    .actor_name = name(event.actor),
                    .address = store.va,
                    .headline = fmt::format("{} makes {} lead elsewhere directly",
                                            name(event.actor), hex(store.va)),
                    .hop_text = "no invalid entry and no flush in between",
                    .chain = std::move(story.items()),
                    .count = 1});
}

}  // namespace shootdown::cosim
