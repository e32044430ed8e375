#include "cosim/check/accounting_checker.h"

#include <fmt/format.h>

#include "cosim/observe/format.h"

namespace shootdown::cosim {

void AccountingChecker::on_event(const Event& event) {
  if (const auto* bad = event.payload.get<sw::BadPage>()) {
    report(&event, {bad->pointer},
           fmt::format("frees the struct page at {}, and there is none",
                       hex(arch::VirtAddr{bad->pointer})),
           "mask", std::string(bad->reason));
  } else if (const auto* allocated = event.payload.get<sw::PageAllocated>()) {
    pages_[allocated->page.value] = {
        .order = allocated->order, .use = allocated->use, .mapcount = 0};
  } else if (const auto* freed = event.payload.get<sw::PageFreed>()) {
    if (tables_.erase(freed->page.value) != 0) {
      report(&event, {}, fmt::format("frees table {} as an ordinary page", hex(freed->page)),
             "dtor", "its destructor has not run: page type and NR_PAGETABLE stay");
    }
    pages_.erase(freed->page.value);
  } else if (const auto* table = event.payload.get<sw::TableAccounted>()) {
    counted_ = table->tables;
    if (table->constructed) {
      tables_.insert(table->page.value);
    } else if (tables_.erase(table->page.value) == 0) {
      report(&event, {}, fmt::format("destructs table {} a second time", hex(table->page)), "dtor",
             "NR_PAGETABLE is one too low");
    }
  } else if (const auto* mapped = event.payload.get<sw::MapcountChanged>()) {
    pages_[mapped->page.value].mapcount = mapped->mapcount;
    if (mapped->mapcount < 0) {
      report(&event, {},
             fmt::format("takes the map count of {} to {}", hex(mapped->page), mapped->mapcount),
             "rmap", "an rmap entry was removed twice");
    }
  } else if (const auto* pending = event.payload.get<sw::FlushPending>()) {
    pending_[pending->mm] = pending->count;
  }
}

void AccountingChecker::on_end(bool quiet) {
  if (!quiet) return;
  for (const auto& [mm, count] : pending_) {
    if (count == 0) continue;
    report(nullptr, {}, fmt::format("mm {}: tlb_flush_pending is {} at the end", mm, count),
           "pending", "a gather, or another who owed a flush, never finished");
  }
  if (counted_ != tables_.size()) {
    report(nullptr, {},
           fmt::format("NR_PAGETABLE is {} with {} tables at the end", counted_, tables_.size()),
           "dtor", "a table was freed without its destructor");
  }
  const auto mapped = history_.tables().mapped_frames();
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
           "rmap", "map count and table entries disagree");
  }
}

void AccountingChecker::report(const Event* event, arch::VirtAddr address,
                               const std::string& headline, const std::string& hop,
                               const std::string& text) {
  const std::string actor = event == nullptr ? "kernel" : actor_name(event->actor);
  if (findings_.repeats("accounting", actor, headline)) return;
  Violation violation{.kind = "accounting",
                      .time_ps = event == nullptr ? history_.log().now_ps() : event->time_ps,
                      .actor = actor,
                      .address = address,
                      .headline = headline,
                      .missing_hop = hop,
                      .hop_text = text,
                      .chain = {},
                      .count = 1};
  if (event != nullptr) {
    const std::string where = history_.functions_of(event->thread);
    violation.chain.push_back({.time_ps = event->time_ps,
                               .happened = true,
                               .actor = actor,
                               .text = where.empty() ? headline : where,
                               .note = ""});
  }
  findings_.report(std::move(violation));
}

}  // namespace shootdown::cosim
