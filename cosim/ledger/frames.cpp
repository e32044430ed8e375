#include "cosim/ledger/frames.h"

namespace shootdown::cosim {

void Frames::allocated(arch::PhysAddr page, unsigned order) {
  for (std::uint64_t i = 0; i < std::uint64_t{1} << order; ++i) {
    const auto frame = frames_.find(page.value + i * arch::kPageSize);
    if (frame != frames_.end()) frame->second.free = false;
  }
}

void Frames::freed(arch::PhysAddr page, unsigned order, const Stamp& at) {
  for (std::uint64_t i = 0; i < std::uint64_t{1} << order; ++i) {
    frames_[page.value + i * arch::kPageSize] = {.freed = at, .free = true};
  }
}

Stamp Frames::free_since(arch::PhysAddr page) const {
  const auto frame = frames_.find(arch::page_of(page).value);
  return frame == frames_.end() || !frame->second.free ? Stamp{} : frame->second.freed;
}

Stamp Frames::last_freed(arch::PhysAddr page) const {
  const auto frame = frames_.find(arch::page_of(page).value);
  return frame == frames_.end() ? Stamp{} : frame->second.freed;
}

}  // namespace shootdown::cosim
