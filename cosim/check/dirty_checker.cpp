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
  const Stamp now = stamp_of(event);
  if (const auto* done = event.payload.get<hw::AccessDone>()) {
    if (done->access != arch::Access::kWrite || done->bytes == 0) return;
    const auto frame = frames_.find(arch::page_of(done->pa).value);
    if (frame == frames_.end()) return;
    const bool atc = done->source == hw::TranslationSource::kAtc;
    Frame& written = frame->second;
    written.written = now;
    written.writer = ledger_.requester(event.actor, done->requester);
    written.tlb = atc ? ledger_.cached().atc_of(event.actor) : event.actor;
    written.requester = done->requester;
    const OpenAccess& access = ledger_.cached().last_ended();
    written.looked_up = access.looked_up;
    written.read = access.hit_read.at ? access.hit_read.at : access.looked_up;
    written.va = done->va;
    written.mm = ledger_.spaces().mm_of(event.actor, done->requester.asid).value_or(arch::MmId{});
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
    if (ledger_.frames().free_since({address}) || heads_[frame.head].dirty) continue;
    if (ledger_.tables().dirty_entry_maps({address})) continue;
    report(frame, {address}, {}, "clean to the kernel at the end");
  }
}

MissingHop DirtyChecker::missing_hop(const Frame& frame, const StoreRecord* cleaned) const {
  MissingHop missing{.hop = Hop::kFlush,
                     .text = "the page was taken for clean while a TLB could still write to it",
                     .items = chain()};
  if (cleaned == nullptr) return missing;
  const FlushRecord* over = nullptr;
  const FlushRecord* late = nullptr;
  for (const FlushInStay& one : cleaned->flushes) {
    const bool before = one.flush->end && one.flush->end.sequence < frame.written.sequence;
    if (before && over == nullptr) over = one.flush.get();
    if (!before && late == nullptr) late = one.flush.get();
  }
  if (over != nullptr) {
    // The flush was over: what it left undone is what a stale access would name.
    StaleEntry stale;
    stale.where = where_of(ledger_, frame.tlb);
    stale.tlb = frame.tlb;
    stale.requester = frame.requester;
    stale.mm = frame.mm;
    stale.va = frame.va;
    stale.store = cleaned;
    stale.used = frame.looked_up;
    stale.due = over;
    return find_missing_hop(ledger_, stale);
  }
  if (frame.written_back && frame.saved.sequence > cleaned->at.sequence) {
    missing.hop = Hop::kRmap;
    missing.text = "writeback found nobody mapping the page before its translations were flushed";
    missing.items.add_missing(ChainRole::kOther, cleaned->at.actor,
                              "flush before the rmap is removed");
  }
  if (late != nullptr) {
    missing.items.add(ChainRole::kFlush, late->begin, "flush " + ledger_.stacks().text(late->path));
  }
  return missing;
}

const StoreRecord* DirtyChecker::cleaning_store(const Frame& frame, arch::PhysAddr page) const {
  const StoreRecord* cleaned = nullptr;
  const StoreRecord* last = nullptr;
  for (const StoreRecord* store : ledger_.tables().stores(frame.mm, frame.va)) {
    if (store->at.sequence >= frame.written.sequence) break;
    last = store;
    if (store->at.sequence <= frame.read.sequence) continue;
    const PageTables::Leaf after{.entry = store->after, .level = store->level};
    const bool good =
        arch::vmsa64::is_leaf(after.entry, after.level) &&
        arch::page_of(after.output(frame.va)) == page &&
        arch::vmsa64::leaf_permissions(after.entry, {}).permits(arch::Access::kWrite, false);
    if (good) {
      cleaned = nullptr;
    } else if (cleaned == nullptr) {
      cleaned = store;
    }
  }
  return cleaned != nullptr ? cleaned : last;
}

void DirtyChecker::report(const Frame& frame, arch::PhysAddr page, const Stamp& lost,
                          const std::string& how) {
  if (findings_.repeats(ViolationKind::kLostDirty, frame.writer, frame.va)) return;
  const StoreRecord* cleaned = cleaning_store(frame, page);
  const MissingHop missing = missing_hop(frame, cleaned);
  Chain story = chain();
  if (cleaned != nullptr) {
    story.add(ChainRole::kStore, cleaned->at,
              ledger_.stacks().text(cleaned->path) + ": the entry is cleared");
  }
  story.append(missing.items);
  if (frame.saved) {
    story.add(ChainRole::kOther, frame.saved, "contents of " + hex(page) + " written back");
  }
  story.add(ChainRole::kUse, frame.written, frame.writer,
            "writes " + hex(frame.va) + " through its translation");
  if (lost) story.add(ChainRole::kFree, lost, "page dropped");
  story.sort_by_time();
  const Stamp& found = lost ? lost : frame.written;
  findings_.report(
      {.kind = ViolationKind::kLostDirty,
       .missing_hop = missing.hop,
       .sequence = found.sequence,
       .time_ps = found.time_ps,
       .actor = frame.writer,
       .actor_name = name(frame.writer),
       .address = frame.va,
       .headline = fmt::format("{} wrote {} at {} at {}; no entry and no folio remembers it, and "
                               "the page is {}",
                               name(frame.writer), hex(frame.va), hex(page),
                               microseconds(frame.written.time_ps), how),
       .hop_text = missing.text,
       .chain = std::move(story.items()),
       .count = 1});
}

}  // namespace shootdown::cosim
