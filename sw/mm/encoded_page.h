// struct encoded_page: what a gather keeps in a slot of a batch.
//
// The address of a struct page with two flags in its low bits, or the number of pages that belongs
// to the slot before (include/linux/mm_types.h; 7cc8f9c7146a, and d7f861b9c43a for the numbers).
#ifndef SHOOTDOWN_SW_MM_ENCODED_PAGE_H
#define SHOOTDOWN_SW_MM_ENCODED_PAGE_H

#include <cstdint>

#include "hw/arch/check.h"

namespace shootdown::sw {

/// Where a struct page is in the kernel's address space: a multiple of 4, never dereferenced here.
struct PageAddress {
  std::uint64_t value{};
  auto operator<=>(const PageAddress&) const = default;
};

class EncodedPage {
 public:
  /// ENCODED_PAGE_BIT_DELAY_RMAP: the page still owns its rmap entry.
  static constexpr std::uint64_t kDelayRmap = 1;
  /// ENCODED_PAGE_BIT_NR_PAGES_NEXT: the next slot is a number of pages.
  static constexpr std::uint64_t kNrPagesNext = 2;
  static constexpr std::uint64_t kBits = 3;

  EncodedPage() = default;
  /// encode_page()
  EncodedPage(PageAddress page, std::uint64_t flags) : value_(page.value | flags) {
    SHOOTDOWN_CHECK((page.value & kBits) == 0 && (flags & ~kBits) == 0, "flags in a page address");
  }
  /// encode_nr_pages()
  static EncodedPage of_number(std::uint64_t pages) {
    EncodedPage result;
    result.value_ = pages << 2;
    return result;
  }

  /// encoded_page_flags()
  std::uint64_t flags() const { return value_ & kBits; }
  /// encoded_page_ptr()
  PageAddress page() const { return {value_ & ~kBits}; }
  /// encoded_nr_pages()
  std::uint64_t number() const { return value_ >> 2; }
  /// The whole word: what a reader that forgets to mask would take for the address.
  std::uint64_t raw() const { return value_; }

 private:
  std::uint64_t value_{};
};
static_assert(sizeof(EncodedPage) == 8);

}  // namespace shootdown::sw

#endif
