#include "hw/smmu/stall_table.h"

namespace shootdown::hw {

std::optional<std::uint16_t> StallTable::allocate(arch::StreamId stream_id) {
  for (std::size_t stag = 0; stag < slots_.size(); ++stag) {
    if (slots_[stag].used) continue;
    slots_[stag] = {.used = true,
                    .stream_id = stream_id,
                    .process = &simulation_.current(),
                    .answer = std::nullopt};
    return static_cast<std::uint16_t>(stag);
  }
  return std::nullopt;
}

void StallTable::cancel(std::uint16_t stag) {
  slots_[stag] = {};
  freed_.wake_all();
}

StallAnswer StallTable::wait(std::uint16_t stag) {
  Slot& slot = slots_[stag];
  while (!slot.answer) simulation_.block();
  const StallAnswer answer = *slot.answer;
  slot = {};
  freed_.wake_all();
  return answer;
}

bool StallTable::resume(arch::StreamId stream_id, std::uint16_t stag, StallAnswer answer) {
  if (stag >= slots_.size()) return false;
  Slot& slot = slots_[stag];
  if (!slot.used || slot.stream_id != stream_id || slot.answer) return false;
  slot.answer = answer;
  slot.process->wake();
  return true;
}

void StallTable::terminate(std::optional<arch::StreamId> stream_id) {
  for (Slot& slot : slots_) {
    if (!slot.used || slot.answer || (stream_id && slot.stream_id != *stream_id)) continue;
    slot.answer = StallAnswer::kAbort;
    slot.process->wake();
  }
}

void StallTable::reset() {
  for (Slot& slot : slots_) slot = {};
  freed_.reset();
}

}  // namespace shootdown::hw
