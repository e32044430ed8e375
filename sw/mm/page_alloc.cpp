#include "sw/mm/page_alloc.h"

#include <bit>
#include <stdexcept>

#include "hw/arch/check.h"

namespace shootdown::sw {

PageAllocator::PageAllocator(arch::PhysAddr base, std::uint64_t bytes)
    : base_(base), bytes_(bytes), sections_((bytes >> (arch::kPageShift + kSectionShift)) + 1) {}

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
  const std::uint64_t number = offset >> arch::kPageShift;
  for (std::uint64_t i = 0; i < std::uint64_t{1} << order; ++i)
    entry(number + i).head = static_cast<std::uint32_t>(number);
  Page& page = entry(number).page;
  page = {};
  page.address = base_ + offset;
  page.refcount = 1;
  page.order = static_cast<std::uint8_t>(order);
  page.use = use;
  ++allocated_;
  cpu.trace(PageAllocated{.page = page.address, .order = order, .use = use});
  return &page;
}

Page* PageAllocator::alloc_cleared(Cpu& cpu, std::uint64_t bytes) {
  const std::uint64_t pages = (bytes + arch::kPageSize - 1) / arch::kPageSize;
  const auto order = static_cast<unsigned>(std::bit_width(pages - 1));
  if (order > kMaxOrder) return nullptr;
  Page* const memory = alloc_pages(cpu, order, PageUse::kDriver);
  if (memory == nullptr) return nullptr;
  for (std::uint64_t i = 0; i < pages; ++i) {
    cpu.clear_page(memory->address + i * arch::kPageSize);
  }
  return memory;
}

void PageAllocator::put_page(Cpu& cpu, Page& page) {
  SHOOTDOWN_CHECK(page.refcount > 0, "page reference count below zero");
  if (--page.refcount != 0) return;
  cpu.trace(PageFreed{.page = page.address, .order = page.order, .use = page.use});
  free_[page.order].push_back(page.address.value - base_.value);
  --allocated_;
}

Page* PageAllocator::find(arch::PhysAddr address) {
  const std::uint64_t offset = address.value - base_.value;
  if (address.value < base_.value || offset >= next_) return nullptr;
  const std::uint64_t number = offset >> arch::kPageShift;
  const std::uint64_t head = entry(number).head;
  Page& page = entry(head).page;
  // The head may have been freed, and allocated again in a smaller order.
  const bool inside = page.refcount != 0 && number - head < std::uint64_t{1} << page.order;
  return inside ? &page : nullptr;
}

Page& PageAllocator::page(PageAddress address) {
  const std::uint64_t offset = address.value - kVmemmap;
  const std::uint64_t number = offset >> kStructShift;
  const bool good = address.value >= kVmemmap && number << kStructShift == offset &&
                    number << arch::kPageShift < next_;
  if (!good) throw std::logic_error("no struct page is there");
  return entry(number).page;
}

}  // namespace shootdown::sw
