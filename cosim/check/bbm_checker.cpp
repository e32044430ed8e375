#include "cosim/check/bbm_checker.h"

#include <fmt/format.h>

#include "cosim/observe/format.h"

namespace shootdown::cosim {

namespace vmsa64 = arch::vmsa64;

void BbmChecker::on_event(const Event& event) {
  if (history_.tables().format() != arch::TableFormat::kVmsa64) return;
  if (const auto* store = event.payload.get<sw::PteStore>()) {
    on_store(event, *store);
  } else if (const auto* fill = event.payload.get<hw::TlbFill>()) {
    on_fill(event, *fill);
  }
}

void BbmChecker::on_fill(const Event& event, const hw::TlbFill& fill) {
  const auto mm = history_.mm_of(event.actor, fill.requester.asid);
  if (!mm || fill.dropped) return;
  const int level = fill.page_shift == arch::kPageShift ? 3 : fill.page_shift == 21 ? 2 : 1;
  for (const auto& [tlb, entry] : history_.live_at(*mm, fill.page, level)) {
    if (tlb != event.actor || entry->fill.page_shift == fill.page_shift) continue;
    const std::string& name = actor_name(event.actor);
    if (findings_.repeats("break-before-make", name, fill.page)) return;
    const StaleEntry stale = stale_entry(history_, tlb, *entry, *mm);
    const MissingHop missing = find_missing_hop(history_, stale);
    findings_.report({.kind = "break-before-make",
                      .time_ps = event.time_ps,
                      .actor = name,
                      .address = fill.page,
                      .headline = fmt::format("{} holds two translations of {}, of different sizes",
                                              name, hex(fill.page)),
                      .missing_hop = missing.hop,
                      .hop_text = missing.text,
                      .chain = build_chain(history_, stale, missing),
                      .count = 1});
    return;
  }
}

void BbmChecker::on_store(const Event& event, const sw::PteStore& store) {
  const bool was_live = vmsa64::is_valid(store.before);
  if (!vmsa64::is_valid(store.after)) return;
  const bool was_table = vmsa64::is_table(store.before, store.level);
  const bool is_table = vmsa64::is_table(store.after, store.level);
  const auto output = [](std::uint64_t entry) { return vmsa64::next_table(entry); };
  if (was_live && (was_table != is_table || output(store.before) != output(store.after))) {
    MissingHop missing;
    missing.hop = "break";
    missing.text = "no invalid entry and no flush in between";
    missing.items.push_back({.time_ps = 0,
                             .happened = false,
                             .actor = actor_name(event.actor),
                             .text = "an invalid entry and its flush before the new one",
                             .note = "MISSING"});
    StaleEntry none{};
    none.tlb = event.actor;
    none.va = store.va;
    report(event, store, "directly", missing, none);
    return;
  }
  if (was_live || is_table) return;
  // The break was made: is the old translation gone from everywhere?
  for (const auto& [tlb, entry] : history_.live_at(store.mm, store.va, store.level)) {
    const arch::VirtAddr va = std::max(store.va, entry->fill.page);
    const PageTables::Leaf made{.entry = store.after, .level = store.level};
    const std::uint64_t offset = va.value - entry->fill.page.value;
    if (made.output(va).value == entry->fill.output.value + offset) continue;
    const bool owed =
        history_.flush_pending(store.mm) || history_.flush_in_progress(store.mm, store.va);
    findings_.note({.kind = "early-make",
                    .text = fmt::format(
                        "{} maps {} anew while {} still has the old translation, {}",
                        actor_name(event.actor), hex(store.va), actor_name(tlb),
                        owed ? "whose flush is under way or owed" : "which no flush has reached")});
  }
}

void BbmChecker::report(const Event& event, const sw::PteStore& store, const std::string& what,
                        const MissingHop& missing, const StaleEntry& stale) {
  const std::string actor = actor_name(event.actor);
  if (findings_.repeats("break-before-make", actor, store.va)) return;
  Violation violation{
      .kind = "break-before-make",
      .time_ps = event.time_ps,
      .actor = actor,
      .address = store.va,
      .headline = fmt::format("{} makes {} lead elsewhere {}", actor, hex(store.va), what),
      .missing_hop = missing.hop,
      .hop_text = missing.text,
      .chain = build_chain(history_, stale, missing),
      .count = 1};
  violation.chain.push_back(
      {.time_ps = event.time_ps,
       .happened = true,
       .actor = actor,
       .text =
           fmt::format("PTE {} -> {}: {} -> {}", hex(arch::PhysAddr{store.before}),
                       hex(arch::PhysAddr{store.after}), describe_entry(store.before, store.level),
                       describe_entry(store.after, store.level)),
       .note = ""});
  findings_.report(std::move(violation));
}

}  // namespace shootdown::cosim
