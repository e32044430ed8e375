// Physical page frames: allocation, reference and map counts, page cache.
#ifndef SHOOTDOWN_SW_MM_PAGE_ALLOC_H
#define SHOOTDOWN_SW_MM_PAGE_ALLOC_H

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "hw/arch/types.h"
#include "sw/kernel/cpu.h"

namespace shootdown::sw {

/// struct page, of the head page for higher orders. Fields that the kernel keeps elsewhere (page
/// flags, folio) are members here.
struct Page {
  arch::PhysAddr address{};
  unsigned order{};
  PageUse use{};
  int refcount{};
  int mapcount{};
  bool dirty{};
};

/// alloc_pages()/free_pages() over one contiguous region. Freed pages are reused last in, first
/// out, as the per-CPU lists do: a stale translation meets its page's new owner soon.
class PageAllocator {
 public:
  PageAllocator(arch::PhysAddr base, std::uint64_t bytes) : base_(base), bytes_(bytes) {}

  /// A page of 2^order base pages, aligned to its size, refcount 1; not cleared. Null if none is
  /// left.
  Page* alloc_pages(Cpu& cpu, unsigned order, PageUse use);
  /// Contiguous pages for a driver's tables, aligned to their size rounded up to a power of two.
  Page* alloc_contiguous(Cpu& cpu, std::uint64_t bytes);
  void get_page(Page& page) { ++page.refcount; }
  /// Drops a reference; the last one frees the page.
  void put_page(Cpu& cpu, Page& page);
  /// The allocated page that contains `address`, or null.
  Page* find(arch::PhysAddr address);
  std::uint64_t allocated() const { return live_.size(); }

 private:
  static constexpr unsigned kMaxOrder = 10;
  arch::PhysAddr base_;
  std::uint64_t bytes_;
  std::uint64_t next_{};  // offset of the first byte never handed out
  std::array<std::vector<std::uint64_t>, kMaxOrder + 1> free_;
  std::map<std::uint64_t, std::unique_ptr<Page>> live_;
};

/// A file's page cache. Pages are read in (zero-filled) at first use and stay.
struct File {
  std::map<std::uint64_t, Page*> pages;  ///< by offset in bytes
};

}  // namespace shootdown::sw

#endif
