#include "hw/smmu/event_queue.h"

#include <algorithm>

#include "hw/arch/smmuv3_registers.h"

namespace shootdown::hw {

namespace smmuv3 = arch::smmuv3;
namespace reg = arch::smmuv3::reg;

unsigned EventQueue::log2_size() const {
  const auto wanted = smmuv3::queue_base::Log2Size::get(registers_.get(reg::kEventqBase));
  const auto limit = smmuv3::idr1::Eventqs::get(registers_.get(reg::kIdr1));
  return static_cast<unsigned>(std::min(wanted, limit));
}

bool EventQueue::full() const {
  return smmuv3::QueueIndex::full(registers_.get(reg::kEventqProd),
                                  registers_.get(reg::kEventqCons), log2_size());
}

bool EventQueue::writable() const {
  return registers_.enabled(smmuv3::cr0::Eventqen::kMask) && !full();
}

EventQueue::Written EventQueue::write(const smmuv3::EventRecord& record, bool stalled) {
  const ArbiterHold hold(writer_);
  if (!registers_.enabled(smmuv3::cr0::Eventqen::kMask)) return Written::kNotWritable;
  std::uint32_t prod = registers_.get(reg::kEventqProd);
  const std::uint32_t cons = registers_.get(reg::kEventqCons);
  using smmuv3::eventq::Overflow;
  if (full()) {
    // Stalled events wait and never count as an overflow.
    if (!stalled && Overflow::get(prod) == Overflow::get(cons)) {
      registers_.set(reg::kEventqProd, prod ^ static_cast<std::uint32_t>(Overflow::kMask));
    }
    return Written::kNotWritable;
  }
  const unsigned log2 = log2_size();
  const arch::PhysAddr base{smmuv3::queue_base::Addr::get(registers_.get64(reg::kEventqBase))};
  const std::uint64_t slot = smmuv3::QueueIndex::slot(prod, log2);
  const bool written =
      bus_.write(base + slot * smmuv3::kEventBytes, record.data(), smmuv3::kEventBytes);
  if (!written) {
    const auto active = registers_.get(reg::kGerror) ^ registers_.get(reg::kGerrorN);
    if (smmuv3::gerror::EventqAbt::get(active) == 0) {
      registers_.set(reg::kGerror,
                     registers_.get(reg::kGerror) ^
                         static_cast<std::uint32_t>(smmuv3::gerror::EventqAbt::kMask));
      if (smmuv3::irq_ctrl::Gerror::get(registers_.get(reg::kIrqCtrlAck)) != 0) {
        events_.write(InterruptRaised{.line = "gerror"});
        gerror_interrupt_.raise();
      }
    }
    return Written::kAborted;
  }
  const bool was_empty = smmuv3::QueueIndex::empty(prod, registers_.get(reg::kEventqCons), log2);
  prod = registers_.get(reg::kEventqProd);
  const std::uint32_t next = smmuv3::QueueIndex::next(prod, log2);
  registers_.set(reg::kEventqProd, next | (prod & static_cast<std::uint32_t>(Overflow::kMask)));
  events_.write(EventRecorded{.record = record});
  if (was_empty && smmuv3::irq_ctrl::Eventq::get(registers_.get(reg::kIrqCtrlAck)) != 0) {
    events_.write(InterruptRaised{.line = "evtq"});
    interrupt_.raise();
  }
  return Written::kYes;
}

void EventQueue::reset() {
  writer_.reset();
  space_.reset();
}

}  // namespace shootdown::hw
