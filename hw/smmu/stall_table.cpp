#include "hw/smmu/stall_table.h"

#include <algorithm>

namespace shootdown::hw {

std::optional<std::uint16_t> StallTable::allocate(const StallKey& key) {
  for (std::size_t stag = 0; stag < slots_.size(); ++stag) {
    if (slots_[stag].used) continue;
    slots_[stag] = {
        .used = true, .key = key, .thread = &simulation_.current(), .answer = std::nullopt};
    return static_cast<std::uint16_t>(stag);
  }
  return std::nullopt;
}

void StallTable::cancel(std::uint16_t stag) {
  slots_[stag] = {};
  changed_.wake_all();
}

std::optional<StallAnswer> StallTable::wait(std::uint16_t stag, std::uint64_t at_most_ps) {
  Slot& slot = slots_[stag];
  const std::uint64_t until_ps = simulation_.now_ps() + at_most_ps;
  while (!slot.answer) {
    if (at_most_ps == 0) {
      simulation_.block();
      continue;
    }
    const std::uint64_t now = simulation_.now_ps();
    if (now >= until_ps) return std::nullopt;
    simulation_.block_for_ps(until_ps - now);
  }
  const StallAnswer answer = *slot.answer;
  cancel(stag);
  return answer;
}

bool StallTable::wait_unreported(arch::StreamId stream_id) {
  Unreported self{.stream_id = stream_id};
  unreported_.push_back(&self);
  changed_.wait();
  std::erase(unreported_, &self);
  return !self.terminated;
}

void StallTable::leave(std::uint16_t stag) {
  if (slots_[stag].answer) {
    cancel(stag);
  } else {
    slots_[stag].thread = nullptr;
  }
}

bool StallTable::has_alike(const StallKey& key) const {
  return std::any_of(slots_.begin(), slots_.end(), [&](const Slot& slot) {
    return slot.used && !slot.answer && slot.key == key;
  });
}

void StallTable::answer(Slot& slot, StallAnswer answer) {
  if (slot.thread == nullptr) {
    slot = {};
    changed_.wake_all();
    return;
  }
  slot.answer = answer;
  slot.thread->wake();
}

bool StallTable::resume(arch::StreamId stream_id, std::uint16_t stag, StallAnswer given) {
  if (stag >= slots_.size()) return false;
  Slot& slot = slots_[stag];
  if (!slot.used || slot.key.stream_id != stream_id || slot.answer) return false;
  answer(slot, given);
  return true;
}

void StallTable::terminate(std::optional<arch::StreamId> stream_id) {
  for (Slot& slot : slots_) {
    if (!slot.used || slot.answer || (stream_id && slot.key.stream_id != *stream_id)) continue;
    answer(slot, StallAnswer::kAbort);
  }
  for (Unreported* one : unreported_) {
    if (!stream_id || one->stream_id == *stream_id) one->terminated = true;
  }
  changed_.wake_all();
}

void StallTable::reset() {
  for (Slot& slot : slots_) slot = {};
  changed_.reset();
  unreported_.clear();
}

}  // namespace shootdown::hw
