#include "sw/mm/page_alloc.h"

#include <bit>

#include "hw/arch/check.h"

namespace shootdown::sw {

Page* PageAllocator::alloc_pages(Cpu& cpu, unsigned order, PageUse use) {
  SHOOTDOWN_CHECK(order <= kMaxOrder, "page order too large");
  std::uint64_t offset = 0;
  if (!free_[order].empty()) {
    offset = free_[order].back();
    free_[order].pop_back();
  } else {
    const std::uint64_t size = arch::kPageSize << order;
    offset = arch::align_up(next_, arch::kPageShift + order);
    if (offset + size > bytes_) return nullptr;
    // What alignment skips stays usable as single pages.
    for (std::uint64_t hole = next_; hole < offset; hole += arch::kPageSize) {
      free_[0].push_back(hole);
    }
    next_ = offset + size;
  }
  const arch::PhysAddr address = base_ + offset;
  auto page =
      std::make_unique<Page>(Page{.address = address, .order = order, .use = use, .refcount = 1});
  Page* raw = page.get();
  live_[address.value] = std::move(page);
  cpu.trace(PageAllocated{.page = address, .order = order, .use = use});
  return raw;
}

Page* PageAllocator::alloc_contiguous(Cpu& cpu, std::uint64_t bytes) {
  const std::uint64_t pages = (bytes + arch::kPageSize - 1) / arch::kPageSize;
  return alloc_pages(cpu, static_cast<unsigned>(std::bit_width(pages - 1)), PageUse::kDriver);
}

void PageAllocator::put_page(Cpu& cpu, Page& page) {
  SHOOTDOWN_CHECK(page.refcount > 0, "page reference count below zero");
  if (--page.refcount != 0) return;
  SHOOTDOWN_CHECK(page.mapcount == 0, "page freed while it is mapped");
  cpu.trace(PageFreed{.page = page.address, .order = page.order, .use = page.use});
  free_[page.order].push_back(page.address.value - base_.value);
  live_.erase(page.address.value);
}

Page* PageAllocator::find(arch::PhysAddr address) {
  auto next = live_.upper_bound(address.value);
  if (next == live_.begin()) return nullptr;
  Page& page = *std::prev(next)->second;
  return address.value < page.address.value + (arch::kPageSize << page.order) ? &page : nullptr;
}

}  // namespace shootdown::sw
