// The page tables of a run as software and hardware have written them, with all that was stored
// there before: what memory said of an address at any time. Part of History, which feeds it.
#ifndef SHOOTDOWN_COSIM_CHECK_PAGE_TABLES_H
#define SHOOTDOWN_COSIM_CHECK_PAGE_TABLES_H

#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "cosim/check/stamp.h"
#include "hw/arch/types.h"
#include "hw/arch/x86_64.h"
#include "hw/events.h"
#include "sw/kernel/tracepoints.h"

namespace shootdown::cosim {

/// A store to a table entry.
struct StoreRecord {
  Stamp at;
  unsigned mm{};
  arch::VirtAddr va{};
  int level{};
  std::uint64_t before{};  ///< in VMSAv8-64 terms, whatever the format
  std::uint64_t after{};
  std::uint64_t raw_before{};  ///< as stored
  std::uint64_t raw_after{};
  bool with_table{};      ///< not stored itself: a table above it was linked or taken out
  std::string functions;  ///< outermost > innermost
};

class PageTables {
 public:
  struct Leaf {
    std::uint64_t entry{};  ///< 0: nothing is mapped
    int level{3};
    arch::PhysAddr output(arch::VirtAddr va) const;
    bool permits(arch::Access access) const;  ///< for user accesses, to hardware
  };

  void reset() { *this = {}; }

  // What happens.
  void created(const sw::MmCreated& e);
  void allocated(const sw::PageAllocated& e);
  void stored(const sw::PteStore& e, const Stamp& at, const std::string& functions);
  /// Hardware has set a flag of the entry that maps `va` in `mm`.
  void updated(const hw::DescriptorUpdate& e, unsigned mm);
  /// A flush of [start, limit) that began at event `began` has ended.
  void flushed(unsigned mm, arch::VirtAddr start, arch::VirtAddr limit, std::uint64_t began);

  // What is.
  /// Of all tables of the run.
  arch::TableFormat format() const { return format_; }
  Leaf leaf(unsigned mm, arch::VirtAddr va) const;
  /// Whether the table of `slot` is linked where `mm` maps `va`.
  bool linked(arch::PhysAddr slot, unsigned mm, arch::VirtAddr va) const;
  /// Whether an entry maps the frame and is dirty.
  bool dirty_entry_maps(arch::PhysAddr page) const;
  /// How many entries map each frame, by the first frame of what an entry maps. An entry of a table
  /// that several address spaces share counts once.
  std::map<std::uint64_t, int> mapped_frames() const;
  /// Whether a leaf in [start, limit) has changed for hardware since a flush last covered it.
  bool changed_since_flush(unsigned mm, arch::VirtAddr start, arch::VirtAddr limit) const;
  /// Whether a frame is mapped by others than `mm` alone since it was allocated, or is not a page
  /// for users at all.
  bool belongs_to_another(arch::PhysAddr page, unsigned mm) const;
  bool is_file_page(arch::PhysAddr page) const;

  // What was.
  /// Stores to the leaf entries that map `va`, oldest first.
  std::vector<const StoreRecord*> stores(unsigned mm, arch::VirtAddr va) const;
  /// The last store that took the table at `page` out of its parent, or null.
  const StoreRecord* unhooked(arch::PhysAddr page) const;
  /// The store that took the table of `slot` out of where `mm` maps `va`, before event `sequence`;
  /// null if it was linked there then, or never had been.
  const StoreRecord* taken_out(arch::PhysAddr slot, unsigned mm, arch::VirtAddr va,
                               std::uint64_t sequence) const;

 private:
  using LeafKey = std::array<std::uint64_t, 3>;  // mm, level, first address
  /// Where a table is linked: its first entry is of `level` and maps `base` in `mm`.
  struct Place {
    unsigned mm{};
    int level{};
    std::uint64_t base{};
    bool operator==(const Place&) const = default;
    bool maps(unsigned mm, arch::VirtAddr va) const;
  };
  /// A table came to a place, or left it.
  struct PlaceChange {
    StoreRecord store;
    Place place;
    bool linked{};
  };
  struct Slot {
    std::uint64_t entry{};     ///< in VMSAv8-64 terms
    std::uint64_t raw{};       ///< as stored
    std::uint64_t protnone{};  ///< the frame that software maps and hardware does not, or 0
  };
  /// The contents of a table are what every place makes of them. Several address spaces can share
  /// one (hugetlb), and one can be filled before it is linked.
  struct Table {
    bool allocated{};  ///< the log has seen where it comes from: it is linked only where it says so
    std::vector<Place> places;
    std::array<Slot, 512> slots{};
  };
  struct Owner {
    sw::PageUse use{};
    std::set<unsigned> mms;  // that have mapped it since it was allocated
  };

  /// The table that holds `slot`, which the one who stores there says to be of `place`.
  Table& table_of(arch::PhysAddr slot, const Place& place);
  /// An entry changes for one address space: stored, or because a table above it came or went.
  void change(const StoreRecord& record, const Slot& slot);
  void link(arch::PhysAddr page, const Place& place, const StoreRecord& cause);
  void unlink(arch::PhysAddr page, const Place& place, const StoreRecord& cause);

  arch::TableFormat format_{};
  std::unordered_map<std::uint64_t, Table> tables_;                  // by page
  std::map<std::uint64_t, std::vector<PlaceChange>> place_changes_;  // by table, oldest first
  std::map<LeafKey, std::uint64_t> entries_;
  std::map<LeafKey, std::vector<StoreRecord>> stores_;
  std::map<LeafKey, Stamp> unflushed_;  // leaves that changed for hardware since their last flush
  std::map<std::uint64_t, Owner> owners_;  // by frame
};

}  // namespace shootdown::cosim

#endif
