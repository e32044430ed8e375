#include "cosim/check/accounting_checker.h"

#include <fmt/format.h>

#include "cosim/observe/format.h"

namespace shootdown::cosim {

void AccountingChecker::on_event(const Event& event) {
  if (const auto* bad = event.payload.get<sw::BadPage>()) {
    report(&event, {bad->pointer.value},
           fmt::format("frees the struct page at {}, and there is none",
                       hex(arch::VirtAddr{bad->pointer.value})),
           Hop::kMask, std::string(bad->reason));
  } else if (const auto* allocated = event.payload.get<sw::PageAllocated>()) {
    pages_[allocated->page.value] = {
        .order = allocated->order, .use = allocated->use, .mapcount = 0};
  } else if (const auto* freed = event.payload.get<sw::PageFreed>()) {
    if (tables_.erase(freed->page.value) != 0) {
      report(&event, {}, fmt::format("frees table {} as an ordinary page", hex(freed->page)),
             Hop::kDtor, "its destructor has not run: page type and NR_PAGETABLE stay");
    }
    pages_.erase(freed->page.value);
  } else if (const auto* table = event.payload.get<sw::TableAccounted>()) {
    counted_ = table->tables;
    if (table->constructed) {
      tables_.insert(table->page.value);
    } else if (tables_.erase(table->page.value) == 0) {
      report(&event, {}, fmt::format("destructs table {} a second time", hex(table->page)),
             Hop::kDtor, "NR_PAGETABLE is one too low");
    }
  } else if (const auto* mapped = event.payload.get<sw::MapcountChanged>()) {
    pages_[mapped->page.value].mapcount = mapped->mapcount;
    if (mapped->mapcount < 0) {
      report(&event, {},
             fmt::format("takes the map count of {} to {}", hex(mapped->page), mapped->mapcount),
             Hop::kRmap, "an rmap entry was removed twice");
    }
  } else if (const auto* pending = event.payload.get<sw::FlushPending>()) {
    pending_[pending->mm] = pending->count;
  }
}

void AccountingChecker::on_end(bool quiet) {
  if (!quiet) return;
  for (const auto& [mm, count] : pending_) {
    if (count == 0) continue;
    report(nullptr, {}, fmt::format("mm {}: tlb_flush_pending is {} at the end", mm.value, count),
           Hop::kPending, "a gather, or another who owed a flush, never finished");
  }
  if (counted_ != tables_.size()) {
    report(nullptr, {},
           fmt::format("NR_PAGETABLE is {} with {} tables at the end", counted_, tables_.size()),
           Hop::kDtor, "a table was freed without its destructor");
  }
  const auto mapped = ledger_.tables().mapped_frames();
  for (const auto& [page, count] : pages_) {
    if (count.use != sw::PageUse::kAnonymous && count.use != sw::PageUse::kFile) continue;
    int entries = 0;
    const auto first = mapped.lower_bound(page);
    const auto last = mapped.lower_bound(page + (arch::kPageSize << count.order));
    for (auto it = first; it != last; ++it) entries += it->second;
    if (entries == count.mapcount) continue;
    report(nullptr, {},
           fmt::format("page {} has map count {} with {} entries at the end",
                       hex(arch::PhysAddr{page}), count.mapcount, entries),
           Hop::kRmap, "map count and table entries disagree");
  }
}

void AccountingChecker::report(const Event* event, arch::VirtAddr address,
                               const std::string& headline, Hop hop, const std::string& text) {
  const ActorId actor = event == nullptr ? kNoActor : event->actor;
  if (findings_.repeats(ViolationKind::kAccounting, actor, headline)) return;
  Chain story = chain();
  if (event != nullptr) {
    const std::string where = ledger_.stacks().text(ledger_.stacks().path(event->thread));
    story.add(ChainRole::kFunctions, stamp_of(*event), where.empty() ? headline : where);
  }
  findings_.report({.kind = ViolationKind::kAccounting,
                    .missing_hop = hop,
                    .sequence = event == nullptr ? 0 : event->sequence,
                    .time_ps = event == nullptr ? ledger_.log().now_ps() : event->time_ps,
                    .actor = actor,
                    .actor_name = name(actor),
                    .address = address,
                    .headline = headline,
                    .hop_text = text,
                    .chain = std::move(story.items()),
                    .count = 1});
}

}  // namespace shootdown::cosim
