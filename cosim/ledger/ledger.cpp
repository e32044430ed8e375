#include "cosim/ledger/ledger.h"

#include <algorithm>

namespace shootdown::cosim {

Ledger::Ledger(const EventLog& log)
    : log_(log),
      spaces_(log),
      tables_([this](arch::MmId mm, std::uint64_t first,
                     std::uint64_t last) { return cached_.oldest_use(mm, first, last); },
              [this] { return cached_.oldest_stray_use(); }),
      cached_(log, spaces_, tables_),
      maintenance_(log, stacks_) {}

void Ledger::reset() {
  ++generation_;
  spaces_.reset();
  tables_.reset();
  frames_.reset();
  stacks_.reset();
  cached_.reset();
  maintenance_.reset();
  just_dropped_ = {};
}

void Ledger::on_event(const Event& event) {
  event.payload.visit([&](const auto& payload) { on(event, payload); });
}

// ---- Software --------------------------------------------------------------------------------

void Ledger::on(const Event& event, const sw::FunctionEnter& e) {
  stacks_.entered(stamp_of(event), e.function);
}

void Ledger::on(const Event& event, const sw::FunctionExit&) { stacks_.left(event.thread); }

void Ledger::on(const Event&, const sw::MmCreated& e) {
  ++generation_;
  spaces_.created(e);
  tables_.created(e);
}

void Ledger::on(const Event&, const sw::SvaBound& e) {
  ++generation_;
  spaces_.bound(e);
}

void Ledger::on(const Event& event, const sw::PteStore& e) {
  ++generation_;
  const Stamp at = stamp_of(event);
  tables_.stored(e, at, stacks_.path(event.thread), maintenance_.stay(at));
}

void Ledger::on(const Event& event, const sw::FlushBegin& e) {
  ++generation_;
  tables_.flush_began(maintenance_.began(stamp_of(event), e));
}

void Ledger::on(const Event& event, const sw::FlushEnd& e) {
  ++generation_;
  if (const auto flush = maintenance_.ended(stamp_of(event), e)) tables_.flush_ended(*flush);
}

void Ledger::on(const Event& event, const sw::NotifierCalled& e) {
  ++generation_;
  maintenance_.notified(stamp_of(event), e);
  if (e.release) spaces_.released(e.mm);
}

void Ledger::on(const Event& event, const sw::CommandSubmitted& e) {
  ++generation_;
  maintenance_.submitted(stamp_of(event), e);
}

void Ledger::on(const Event&, const sw::PageAllocated& e) {
  ++generation_;
  tables_.allocated(e);
  frames_.allocated(e.page, e.order);
}

void Ledger::on(const Event& event, const sw::PageFreed& e) {
  ++generation_;
  frames_.freed(e.page, e.order, stamp_of(event));
}

void Ledger::on(const Event& event, const sw::ProtectionRemoved& e) {
  ++generation_;
  tables_.access_removed(e.mm, {.at = stamp_of(event),
                                .began = stacks_.entered_kernel(event.thread),
                                .start = e.start,
                                .limit = e.end,
                                .operation = e.operation});
}

void Ledger::on(const Event& event, const sw::IpiSent& e) {
  ++generation_;
  maintenance_.sent(stamp_of(event), e);
}

void Ledger::on(const Event& event, const sw::MmActive& e) {
  ++generation_;
  spaces_.activated(event.actor, e.mm);
}

void Ledger::on(const Event&, const sw::MmExiting& e) {
  ++generation_;
  spaces_.exiting(e.mm);
}

void Ledger::on(const Event& event, const sw::FlushPending& e) {
  maintenance_.pending(stamp_of(event), e);
}

// ---- Hardware --------------------------------------------------------------------------------

void Ledger::on(const Event& event, const hw::DescriptorUpdate& e) {
  ++generation_;
  if (const auto mm = spaces_.mm_of(event.actor, e.requester.asid)) tables_.updated(e, *mm);
}

void Ledger::on(const Event& event, const hw::TlbLookup& e) {
  cached_.looked_up(event, e, generation_);
}

void Ledger::on(const Event& event, const hw::WalkBegin& e) {
  cached_.walk_began(stamp_of(event), e);
}

void Ledger::on(const Event& event, const hw::WalkRead& e) {
  cached_.walk_read(stamp_of(event), e);
}

void Ledger::on(const Event& event, const hw::TlbFill& e) {
  ++generation_;
  cached_.filled(stamp_of(event), e);
}

void Ledger::on(const Event& event, const hw::TlbEvict& e) {
  ++generation_;
  cached_.evicted(stamp_of(event), e);
}

void Ledger::on(const Event& event, const hw::TlbInvalidate& e) {
  ++generation_;
  maintenance_.took_effect(stamp_of(event), e);
  just_dropped_ = cached_.invalidated(stamp_of(event), e);
}

void Ledger::on(const Event& event, const hw::AccessDone& e) {
  // An access through an ATC was looked up there and is reported by the device.
  const bool atc = e.source == hw::TranslationSource::kAtc;
  cached_.ended(atc ? cached_.atc_of(event.actor) : event.actor, e.access_id);
}

void Ledger::on(const Event& event, const hw::AccessHeld& e) {
  cached_.ended(event.actor, e.access_id);
}

void Ledger::on(const Event& event, const hw::TranslationFault& e) {
  cached_.ended(event.actor, e.access_id);
}

void Ledger::on(const Event& event, const hw::AtsAnswered& e) {
  cached_.answered(stamp_of(event), e);
}

void Ledger::on(const Event& event, const hw::CommandFetched& e) {
  ++generation_;
  maintenance_.fetched(stamp_of(event), e);
}

void Ledger::on(const Event& event, const hw::CommandError& e) {
  ++generation_;
  maintenance_.failed(stamp_of(event), e);
}

void Ledger::on(const Event& event, const hw::SyncCompleted& e) {
  ++generation_;
  maintenance_.completed(stamp_of(event), e);
}

void Ledger::on(const Event& event, const hw::AtcInvalidationCompleted& e) {
  ++generation_;
  maintenance_.answered(stamp_of(event), e);
}

void Ledger::on(const Event& event, const hw::TlbiIssued& e) {
  ++generation_;
  maintenance_.issued(stamp_of(event), e);
}

void Ledger::on(const Event& event, const hw::DsbCompleted& e) {
  ++generation_;
  maintenance_.barrier(stamp_of(event), e);
}

// ---- Questions -------------------------------------------------------------------------------

bool Ledger::belongs_to_another(arch::PhysAddr page, arch::MmId mm) const {
  return !frames_.free_since(page) && tables_.belongs_to_another(page, mm);
}

bool Ledger::private_to_another(arch::PhysAddr page, arch::MmId mm) const {
  return belongs_to_another(page, mm) && !tables_.is_file_page(page);
}

bool Ledger::flush_in_progress(arch::MmId mm, arch::VirtAddr va) const {
  const auto& open = maintenance_.open_flushes();
  if (open.empty()) return false;
  // Any page of a block stands for the block: compare by the leaf that maps the address.
  const std::uint64_t bytes =
      arch::page_bytes(arch::vmsa64::level_shift(tables_.leaf(mm, va).level));
  const std::uint64_t first = va.value & ~(bytes - 1);
  return std::any_of(open.begin(), open.end(), [&](const auto& flush) {
    return flush->mm == mm && flush->covers(first, first + (bytes - 1));
  });
}

ActorId Ledger::requester(ActorId actor, const hw::Requester& requester) const {
  const Binding* binding = spaces_.binding(actor, requester.stream_id);
  return binding != nullptr ? binding->device : actor;
}

}  // namespace shootdown::cosim
