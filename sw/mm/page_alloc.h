// Physical page frames: allocation, reference and map counts, page cache.
#ifndef SHOOTDOWN_SW_MM_PAGE_ALLOC_H
#define SHOOTDOWN_SW_MM_PAGE_ALLOC_H

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "hw/arch/types.h"
#include "sw/kernel/cpu.h"
#include "sw/mm/encoded_page.h"

namespace shootdown::sw {

class AddressSpace;

/// struct page, of the head page for higher orders. Fields that the kernel keeps elsewhere (page
/// flags, folio) are members here.
struct Page {
  arch::PhysAddr address{};
  AddressSpace* mapping{};
  std::uint64_t index{};  ///< in `mapping`, bytes
  int refcount{};
  int mapcount{};
  std::int16_t pins{};  ///< references of FOLL_PIN
  std::uint8_t order{};
  PageUse use{};
  bool dirty{};
  bool locked{};    ///< PG_locked
  bool lazyfree{};  ///< MADV_FREE: not PG_swapbacked
  bool table{};     ///< PageTable(): between a table's constructor and destructor
};

/// alloc_pages()/free_pages() over one contiguous region. Freed pages are reused last in, first
/// out, as the per-CPU lists do: a stale translation meets its page's new owner soon.
///
/// Every base page has a struct page, in an array as the kernel's vmemmap is; page_address() is
/// where the kernel would have it.
class PageAllocator {
 public:
  PageAllocator(arch::PhysAddr base, std::uint64_t bytes);

  /// A page of 2^order base pages, aligned to its size, refcount 1; not cleared. Null if none is
  /// left.
  Page* alloc_pages(Cpu& cpu, unsigned order, PageUse use);
  /// dma_alloc_coherent(): contiguous cleared pages for a driver's tables, aligned to their size
  /// rounded up to a power of two. Null if there are not as many in one piece.
  Page* alloc_cleared(Cpu& cpu, std::uint64_t bytes);
  void get_page(Page& page) { ++page.refcount; }
  /// Drops a reference; the last one frees the page.
  void put_page(Cpu& cpu, Page& page);
  /// The allocated page that contains `address`, or null.
  Page* find(arch::PhysAddr address);

  /// The struct page in the kernel's address space.
  PageAddress page_address(const Page& page) const {
    return {kVmemmap + (((page.address.value - base_.value) >> arch::kPageShift) << kStructShift)};
  }
  /// The page whose struct is there. Throws std::logic_error for any other address.
  Page& page(PageAddress address);
  std::uint64_t allocated() const { return allocated_; }

 private:
  static constexpr unsigned kMaxOrder = 10;
  static constexpr std::uint64_t kVmemmap = 0xffff'fc00'0000'0000;  // VMEMMAP_START of arm64
  static constexpr unsigned kStructShift = 6;                       // sizeof(struct page)
  static constexpr unsigned kSectionShift = 9;                      // base pages: 2 MiB

  struct Entry {
    Page page;             ///< of a head page; refcount 0: not allocated
    std::uint32_t head{};  ///< number of the head, while it is allocated
  };
  // Unmapping is a walk through these: what they take in caches is what it takes in time.
  static_assert(sizeof(Entry) <= 48);
  Entry& entry(std::uint64_t number) {
    auto& section = sections_[number >> kSectionShift];
    if (!section) section = std::make_unique<Entry[]>(std::size_t{1} << kSectionShift);
    return section[number & ((std::uint64_t{1} << kSectionShift) - 1)];
  }

  arch::PhysAddr base_;
  std::uint64_t bytes_;
  std::uint64_t next_{};  // offset of the first byte never handed out
  std::array<std::vector<std::uint64_t>, kMaxOrder + 1> free_;
  std::vector<std::unique_ptr<Entry[]>> sections_;
  std::uint64_t allocated_{};
};

}  // namespace shootdown::sw

#endif
