// The SMMU's side of a queue that it fills: event queue and PRI queue. Writes records to memory and
// moves PROD. Source: Arm IHI 0070, section 3.5.
#ifndef SHOOTDOWN_HW_SMMU_OUTPUT_QUEUE_H
#define SHOOTDOWN_HW_SMMU_OUTPUT_QUEUE_H

#include <algorithm>
#include <cstdint>

#include "hw/interconnect/bus.h"
#include "hw/smmu/register_file.h"

namespace shootdown::hw {

class OutputQueue {
 public:
  /// Where one of the two queues lives.
  struct Place {
    std::uint32_t base;  ///< register offsets
    std::uint32_t prod;
    std::uint32_t cons;
    std::uint64_t enable;       ///< in CR0
    std::uint64_t abort_error;  ///< in GERROR
    unsigned max_log2;          ///< of its entries
    unsigned record_bytes;
    bool align;  ///< the base to the size of the queue, whatever the register says
  };
  OutputQueue(BusMaster& bus, RegisterFile& registers, const Place& place)
      : bus_(bus), registers_(registers), place_(place) {}

  const Place& place() const { return place_; }
  bool enabled() const { return registers_.enabled(place_.enable); }
  bool full() const {
    return arch::smmuv3::QueueIndex::full(prod(), registers_.get(place_.cons), log2_size());
  }
  bool empty() const {
    return arch::smmuv3::QueueIndex::empty(prod(), registers_.get(place_.cons), log2_size());
  }
  bool aborted() const { return (registers_.active_errors() & place_.abort_error) != 0; }
  /// An overflow has been noted that software has not acknowledged.
  bool overflow_pending() const {
    using arch::smmuv3::eventq::Overflow;
    return Overflow::get(prod()) != Overflow::get(registers_.get(place_.cons));
  }
  /// Toggles OVFLG, unless an overflow is pending already.
  void note_overflow() {
    if (overflow_pending()) return;
    const auto mask = static_cast<std::uint32_t>(arch::smmuv3::eventq::Overflow::kMask);
    registers_.set(place_.prod, prod() ^ mask);
  }
  enum class Pushed : std::uint8_t {
    kAborted,   ///< a bus error: nothing was published
    kAppended,  ///< behind records that software has not taken
    kFirst,     ///< into what was an empty queue when PROD moved
  };
  /// Writes a record and moves PROD; blocks. Only while not full(): only software makes it emptier.
  Pushed push(const void* record) {
    using arch::smmuv3::QueueIndex;
    const unsigned log2 = log2_size();
    const std::uint64_t slot = QueueIndex::slot(prod(), log2);
    const std::uint64_t base =
        arch::smmuv3::queue_start(registers_.get64(place_.base),
                                  place_.align ? std::uint64_t{place_.record_bytes} << log2 : 0);
    if (!bus_.write({base + slot * place_.record_bytes}, record, place_.record_bytes)) {
      return Pushed::kAborted;
    }
    // What counts is what is true when PROD is published: software may have emptied it meanwhile.
    const bool first = empty();
    const auto overflow = static_cast<std::uint32_t>(arch::smmuv3::eventq::Overflow::kMask);
    registers_.set(place_.prod, QueueIndex::next(prod(), log2) | (prod() & overflow));
    return first ? Pushed::kFirst : Pushed::kAppended;
  }

 private:
  std::uint32_t prod() const { return registers_.get(place_.prod); }
  unsigned log2_size() const {
    const auto wanted =
        static_cast<unsigned>(arch::smmuv3::queue_base::Log2Size::get(registers_.get(place_.base)));
    return std::min(wanted, place_.max_log2);
  }

  BusMaster& bus_;
  RegisterFile& registers_;
  Place place_;
};

}  // namespace shootdown::hw

#endif
