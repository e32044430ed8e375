#include "sw/mm/swap.h"

#include "sw/mm/page_alloc.h"

namespace shootdown::sw {

std::uint64_t SwapSpace::allocate() {
  ++last_;
  slots_[last_].references = 1;
  return last_;
}

Page* SwapSpace::put(std::uint64_t slot) {
  const auto found = slots_.find(slot);
  if (found == slots_.end() || --found->second.references != 0) return nullptr;
  Page* cached = found->second.cached;
  slots_.erase(found);
  return cached;
}

void SwapSpace::set_cached(std::uint64_t slot, Page* page) {
  const auto found = slots_.find(slot);
  if (found != slots_.end()) found->second.cached = page;
}

Page* SwapSpace::cached(std::uint64_t slot) const {
  const auto found = slots_.find(slot);
  return found == slots_.end() ? nullptr : found->second.cached;
}

void SwapSpace::write(Cpu& cpu, std::uint64_t slot, const Page& page) {
  std::array<std::uint64_t, arch::kPageSize / 8> contents{};
  for (std::uint64_t i = 0; i < contents.size(); ++i) contents[i] = cpu.load(page.address + i * 8);
  slots_[slot].contents = contents;
}

void SwapSpace::read(Cpu& cpu, std::uint64_t slot, const Page& page) const {
  const auto found = slots_.find(slot);
  if (found == slots_.end()) return;
  // A copy: the slot may go while the stores take their time.
  const auto contents = found->second.contents;
  for (std::uint64_t i = 0; i < contents.size(); ++i) {
    cpu.store(page.address + i * 8, contents[i]);
  }
}

}  // namespace shootdown::sw
