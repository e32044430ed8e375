#include "hw/smmu/event_queue.h"

namespace shootdown::hw {

namespace smmuv3 = arch::smmuv3;
namespace reg = arch::smmuv3::reg;

namespace {

/// Alike but for the offset within a page.
bool same_but_offset(const smmuv3::EventRecord& a, const smmuv3::EventRecord& b) {
  return a[0] == b[0] && a[1] == b[1] && a[2] >> arch::kPageShift == b[2] >> arch::kPageShift &&
         a[3] == b[3];
}

}  // namespace

EventQueue::EventQueue(Simulation& simulation, BusMaster& bus, EventPort& events,
                       RegisterFile& registers, Interrupts& interrupts, unsigned max_log2,
                       bool merge, bool align)
    : events_(events),
      interrupts_(interrupts),
      queue_(bus, registers,
             {.base = reg::kEventqBase,
              .prod = reg::kEventqProd,
              .cons = reg::kEventqCons,
              .enable = smmuv3::cr0::Eventqen::kMask,
              .abort_error = smmuv3::gerror::EventqAbt::kMask,
              .max_log2 = max_log2,
              .record_bytes = smmuv3::kEventBytes,
              .align = align}),
      merge_(merge),
      writer_(simulation) {}

EventQueue::Written EventQueue::write(const smmuv3::EventRecord& record, bool may_merge) {
  return write(record, nullptr, may_merge);
}

EventQueue::Written EventQueue::write_stalled(const smmuv3::EventRecord& record,
                                              const TranslationFault& fault) {
  return write(record, &fault, false);
}

EventQueue::Written EventQueue::write(const smmuv3::EventRecord& record,
                                      const TranslationFault* stalled, bool may_merge) {
  const ArbiterHold hold(writer_);
  if (!queue_.enabled() || queue_.aborted()) return Written::kNotWritable;
  if (merge_ && may_merge && stalled == nullptr && !queue_.empty() &&
      same_but_offset(record, last_)) {
    return Written::kYes;
  }
  if (queue_.full()) {
    // Stalled events wait and never count as an overflow.
    if (stalled == nullptr) queue_.note_overflow();
    return Written::kNotWritable;
  }
  const OutputQueue::Pushed pushed = queue_.push(record.data());
  if (stalled != nullptr) events_.write(*stalled);
  if (pushed == OutputQueue::Pushed::kAborted) {
    interrupts_.error(queue_.place().abort_error);
    return Written::kAborted;
  }
  last_ = record;
  const auto type = static_cast<smmuv3::EventType>(smmuv3::event0::Type::get(record[0]));
  events_.write(EventRecorded{.type = name_of(type),
                              .dw0 = {record[0]},
                              .dw1 = {record[1]},
                              .dw2 = {record[2]},
                              .dw3 = {record[3]}});
  if (pushed == OutputQueue::Pushed::kFirst) interrupts_.raise(Interrupts::Source::kEventQueue);
  return Written::kYes;
}

void EventQueue::drain() { const ArbiterHold hold(writer_); }

void EventQueue::reset() {
  last_ = {};
  writer_.reset();
}

}  // namespace shootdown::hw
