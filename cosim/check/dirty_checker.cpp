#include "cosim/check/dirty_checker.h"

#include <fmt/format.h>

#include "cosim/observe/format.h"

namespace shootdown::cosim {

template <class Action>
void DirtyChecker::for_each_frame(arch::PhysAddr head, Action&& action) {
  const auto found = heads_.find(head.value);
  if (found == heads_.end()) return;
  for (std::uint64_t i = 0; i < std::uint64_t{1} << found->second.order; ++i) {
    const auto frame = frames_.find(head.value + i * arch::kPageSize);
    if (frame != frames_.end()) action(arch::PhysAddr{frame->first}, frame->second);
  }
}

void DirtyChecker::nobody_wants(arch::PhysAddr page, const Stamp& now) {
  for_each_frame(page, [&](arch::PhysAddr, Frame& frame) {
    frame.saved = now;
    frame.written_back = false;
  });
}

void DirtyChecker::on_event(const Event& event) {
  const Stamp now{event.sequence, event.time_ps, event.actor, event.thread};
  if (const auto* done = event.payload.get<hw::AccessDone>()) {
    if (done->access != arch::Access::kWrite || done->bytes == 0) return;
    const auto frame = frames_.find(arch::page_of(done->pa).value);
    if (frame == frames_.end()) return;
    frame->second.written = now;
    frame->second.writer = requester_name(event.actor, done->requester);
    frame->second.va = done->va;
    frame->second.mm = history_.mm_of(event.actor, done->requester.asid).value_or(0);
  } else if (const auto* allocated = event.payload.get<sw::PageAllocated>()) {
    const bool file = allocated->use == sw::PageUse::kFile;
    const bool keep = file || allocated->use == sw::PageUse::kAnonymous;
    heads_[allocated->page.value] = {.dirty = false, .order = allocated->order};
    for (std::uint64_t i = 0; i < std::uint64_t{1} << allocated->order; ++i) {
      const std::uint64_t address = allocated->page.value + i * arch::kPageSize;
      frames_.erase(address);
      if (!keep) continue;
      frames_[address].head = allocated->page.value;
      frames_[address].file = file;
    }
  } else if (const auto* dirtied = event.payload.get<sw::FolioDirtied>()) {
    heads_[dirtied->page.value].dirty = true;
  } else if (const auto* written = event.payload.get<sw::FolioWritten>()) {
    heads_[written->page.value].dirty = false;
    for_each_frame(written->page, [&](arch::PhysAddr, Frame& frame) {
      frame.saved = now;
      frame.written_back = true;
    });
  } else if (const auto* moved = event.payload.get<sw::FolioMoved>()) {
    const auto from = frames_.find(moved->from.value);
    const auto to = frames_.find(moved->to.value);
    if (from == frames_.end() || to == frames_.end()) return;
    const std::uint64_t head = to->second.head;
    to->second = from->second;
    to->second.head = head;
    from->second.saved = now;
  } else if (const auto* given_up = event.payload.get<sw::FolioGivenUp>()) {
    nobody_wants(given_up->page, now);
  } else if (const auto* truncated = event.payload.get<sw::FolioTruncated>()) {
    nobody_wants(truncated->page, now);
  } else if (const auto* discarded = event.payload.get<sw::FolioDiscarded>()) {
    for_each_frame(discarded->page, [&](arch::PhysAddr address, Frame& frame) {
      if (frame.written.sequence > frame.saved.sequence) {
        report(frame, address, now, "dropped");
      }
    });
  }
}

void DirtyChecker::on_end(bool quiet) {
  if (!quiet) return;
  for (const auto& [address, frame] : frames_) {
    if (!frame.file || frame.written.sequence <= frame.saved.sequence) continue;
    if (history_.freed({address}) || heads_[frame.head].dirty) continue;
    if (history_.tables().dirty_entry_maps({address})) continue;
    report(frame, {address}, {}, "clean to the kernel at the end");
  }
}

void DirtyChecker::report(const Frame& frame, arch::PhysAddr page, const Stamp& lost,
                          const std::string& how) {
  if (findings_.repeats("lost-dirty", frame.writer, frame.va)) return;
  Violation violation{
      .kind = "lost-dirty",
      .time_ps = frame.written.time_ps,
      .actor = frame.writer,
      .address = frame.va,
      .headline = fmt::format("{} wrote {} at {} at {}; no entry and no folio remembers it, and "
                              "the page is {}",
                              frame.writer, hex(frame.va), hex(page),
                              microseconds(frame.written.time_ps), how),
      .missing_hop = "flush",
      .hop_text = "the page was taken for clean while a TLB could still write to it",
      .chain = {},
      .count = 1};
  const auto add = [&](const Stamp& at, std::string text) {
    violation.chain.push_back({.time_ps = at.time_ps,
                               .happened = true,
                               .actor = actor_name(at.actor),
                               .text = std::move(text),
                               .note = ""});
  };
  // The last store before the write that took its entry's dirty flag away, and the flush it owed.
  const StoreRecord* cleaned = nullptr;
  for (const StoreRecord* store : history_.tables().stores(frame.mm, frame.va)) {
    if (store->at.sequence < frame.written.sequence) cleaned = store;
  }
  if (cleaned != nullptr) add(cleaned->at, cleaned->functions + ": the entry is cleared");
  const bool saved_after_clear =
      frame.written_back && cleaned != nullptr && frame.saved.sequence > cleaned->at.sequence;
  if (saved_after_clear) {
    violation.missing_hop = "rmap";
    violation.hop_text =
        "writeback found nobody mapping the page before its translations were flushed";
    violation.chain.push_back({.time_ps = 0,
                               .happened = false,
                               .actor = actor_name(cleaned->at.actor),
                               .text = "flush before the rmap is removed",
                               .note = "MISSING"});
  }
  if (frame.saved) add(frame.saved, "contents of " + hex(page) + " written back");
  violation.chain.push_back({.time_ps = frame.written.time_ps,
                             .happened = true,
                             .actor = frame.writer,
                             .text = "writes " + hex(frame.va) + " through its translation",
                             .note = ""});
  if (cleaned != nullptr) {
    const FlushRecord* flush = history_.flush_after(*cleaned);
    if (flush != nullptr) add(flush->begin, "flush " + flush->functions);
  }
  if (lost) add(lost, "page dropped");
  findings_.report(std::move(violation));
}

}  // namespace shootdown::cosim
