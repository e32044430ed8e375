// Where the pages of a file, or of anonymous memory, are mapped: struct address_space and struct
// anon_vma, each with the tree of areas that rmap walks go through.
#ifndef SHOOTDOWN_SW_MM_ADDRESS_SPACE_H
#define SHOOTDOWN_SW_MM_ADDRESS_SPACE_H

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "hw/arch/types.h"
#include "sw/kernel/lock.h"

namespace shootdown::sw {

class Mm;
struct Page;
struct Vma;

class AddressSpace {
 public:
  /// An area that may map pages of this object: [start, end) of `mm`, whose first byte is `offset`.
  struct Mapping {
    Mm* mm{};
    arch::VirtAddr start{};
    arch::VirtAddr end{};  ///< exclusive
    std::uint64_t offset{};
    std::shared_ptr<const Vma> vma;  ///< as it was linked, or split

    /// Where it maps the bytes [from, to) of the object.
    struct Part {
      arch::VirtAddr start{};
      arch::VirtAddr end{};
      bool empty() const { return start >= end; }
    };
    Part part(std::uint64_t from, std::uint64_t to) const;
  };
  /// i_mmap_rwsem, anon_vma->rwsem
  RwSemaphore lock;

  /// vma_interval_tree_insert(). `lock` held for writing.
  void insert(const Mapping& mapping) { i_mmap_.push_back(mapping); }
  /// __split_vma(): what was mapped by one area of `mm` is mapped by these two from now on. `lock`
  /// held for writing.
  void split(const Mm& mm, const Vma& lower, const Vma& upper);
  /// Takes [start, end) of `mm` out. `lock` held for writing.
  void remove(const Mm& mm, arch::VirtAddr start, arch::VirtAddr end);
  /// `lock` held.
  const std::vector<Mapping>& i_mmap() const { return i_mmap_; }

 private:
  std::vector<Mapping> i_mmap_;
};

/// A file. Pages are read in (zero-filled) at first use. A device's file (pfnmap) has frames of the
/// driver instead, which no struct page keeps alive for those who map them.
class File : public AddressSpace {
 public:
  /// The cached page that holds `offset`, or null.
  Page* find_page(std::uint64_t offset) const;
  /// Whether a page is cached that begins in [offset, end).
  bool caches_any(std::uint64_t offset, std::uint64_t end) const;
  std::map<std::uint64_t, Page*> pages;  ///< the page cache, by offset in bytes
  /// PG_locked of [offset, offset + 2 MiB): being collapsed, nobody may map its pages.
  std::optional<std::uint64_t> locked;
  std::map<std::uint64_t, Page*> frames;  ///< of a driver, by offset in bytes
  /// The driver's own: it maps its frames, or takes them back.
  RwSemaphore driver_lock;
  /// Of hugetlbfs: one fault at a time, and none while pages are taken out
  /// (hugetlb_fault_mutex_table, one for all pages here).
  RwSemaphore hugetlb_fault_mutex;
};

/// Offsets are those of linear_page_index(), in bytes.
class AnonVma : public AddressSpace {};

}  // namespace shootdown::sw

#endif
