// The page tables of a run as software and hardware have written them, with what was stored there
// before: what memory said of an address at any time that somebody can still ask for.
//
// Stores to an entry are kept as long as a cached translation or an access on its way is older than
// they are, and the last few in any case. A store keeps what was done about it (the stay of its
// thread in the kernel, the flushes that cover it, the system call that answers for it).
#ifndef SHOOTDOWN_COSIM_LEDGER_PAGE_TABLES_H
#define SHOOTDOWN_COSIM_LEDGER_PAGE_TABLES_H

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "cosim/ledger/kernel_stacks.h"
#include "cosim/ledger/maintenance.h"
#include "cosim/ledger/stamp.h"
#include "hw/arch/types.h"
#include "hw/arch/x86_64.h"
#include "hw/events.h"
#include "sw/kernel/tracepoints.h"

namespace shootdown::cosim {

/// A system call that took access away has returned.
struct ProtectionRecord {
  Stamp at;     ///< of the return
  Stamp began;  ///< of the call
  arch::VirtAddr start{};
  arch::VirtAddr limit{};  ///< exclusive
  std::string_view operation;
};

/// A store to a table entry.
struct StoreRecord {
  Stamp at;
  arch::MmId mm{};
  arch::VirtAddr va{};
  int level{};
  std::uint64_t before{};  ///< in VMSAv8-64 terms, whatever the format
  std::uint64_t after{};
  std::uint64_t raw_before{};  ///< as stored
  std::uint64_t raw_after{};
  bool with_table{};  ///< not stored itself: a table above it was linked or taken out
  CallPath path{};
  // What was done about it.
  std::shared_ptr<const Stay> stay;        ///< that of its thread; null: not known
  std::vector<FlushInStay> flushes;        ///< those that cover it, oldest first; at most a few
  std::vector<ProtectionRecord> removals;  ///< system calls that answer for it: the first by page

  /// First and last byte of what the entry maps.
  std::uint64_t first() const { return va.value; }
  std::uint64_t last() const;
};

/// The sequence number since when somebody may still ask for the stores to [first, last] of `mm`.
using OldestUse =
    std::function<std::uint64_t(arch::MmId mm, std::uint64_t first, std::uint64_t last)>;

/// Likewise for the moment at which a table was taken out: of what was read below it afterwards.
using OldestStrayUse = std::function<std::uint64_t()>;

class PageTables {
 public:
  struct Leaf {
    std::uint64_t entry{};  ///< 0: nothing is mapped
    int level{3};
    arch::PhysAddr output(arch::VirtAddr va) const;
    bool permits(arch::Access access) const;  ///< for user accesses, to hardware
  };

  PageTables(OldestUse oldest_use, OldestStrayUse oldest_stray_use)
      : oldest_use_(std::move(oldest_use)), oldest_stray_use_(std::move(oldest_stray_use)) {}
  void reset() { *this = PageTables(oldest_use_, oldest_stray_use_); }

  // What happens.
  void created(const sw::MmCreated& e);
  void allocated(const sw::PageAllocated& e);
  void stored(const sw::PteStore& e, const Stamp& at, CallPath path,
              std::shared_ptr<const Stay> stay);
  /// Hardware has set a flag of the entry that maps `va` in `mm`.
  void updated(const hw::DescriptorUpdate& e, arch::MmId mm);
  /// A flush is under way, or has ended: stores before it that it covers are flushed by it. One for
  /// CPUs only leaves devices to a later one.
  void flush_began(const FlushInStay& flush);
  void flush_ended(const FlushRecord& flush);
  /// A system call has returned: it answers for its own stores, and for those that it could find.
  /// What others change while it is at work they answer for.
  void access_removed(arch::MmId mm, const ProtectionRecord& removal);

  // What is.
  /// Of all tables of the run.
  arch::TableFormat format() const { return format_; }
  Leaf leaf(arch::MmId mm, arch::VirtAddr va) const;
  /// Whether the table of `slot` is linked where `mm` maps `va`.
  bool linked(arch::PhysAddr slot, arch::MmId mm, arch::VirtAddr va) const;
  /// Whether an entry maps the frame and is dirty.
  bool dirty_entry_maps(arch::PhysAddr page) const;
  /// How many entries map each frame, by the first frame of what an entry maps. An entry of a table
  /// that several address spaces share counts once.
  std::map<std::uint64_t, int> mapped_frames() const;
  /// Whether a leaf in [start, limit) has changed for hardware since a flush last covered it.
  bool changed_since_flush(arch::MmId mm, arch::VirtAddr start, arch::VirtAddr limit) const;
  /// Whether a frame has been mapped by anybody other than `mm` since it was allocated, or is not a
  /// page for users at all.
  bool belongs_to_another(arch::PhysAddr page, arch::MmId mm) const;
  bool is_file_page(arch::PhysAddr page) const;

  // What was.
  /// Stores to the leaf entries that map `va`, oldest first.
  std::vector<const StoreRecord*> stores(arch::MmId mm, arch::VirtAddr va) const;
  /// The last store that took the table at `page` out of its parent, or null.
  const StoreRecord* unhooked(arch::PhysAddr page) const;
  /// The store that took the table of `slot` out of where `mm` maps `va`, before event `sequence`;
  /// null if it was linked there then, or never had been.
  const StoreRecord* taken_out(arch::PhysAddr slot, arch::MmId mm, arch::VirtAddr va,
                               std::uint64_t sequence) const;

  /// Stores and changes of place that are remembered: of use to the tests of its bounds.
  std::size_t remembered() const;

 private:
  /// An entry by what it maps.
  struct EntryKey {
    arch::MmId mm{};
    int level{};
    std::uint64_t va{};  ///< first address
    auto operator<=>(const EntryKey&) const = default;
    std::uint64_t last() const;
  };
  using Store = std::shared_ptr<StoreRecord>;
  /// Where a table is linked: its first entry is of `level` and maps `base` in `mm`.
  struct Place {
    arch::MmId mm{};
    int level{};
    std::uint64_t base{};
    bool operator==(const Place&) const = default;
    bool maps(arch::MmId mm, arch::VirtAddr va) const;
  };
  /// A table came to a place, or left it.
  struct PlaceChange {
    Store store;
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
    std::set<arch::MmId> mms;  // that have mapped it since it was allocated
  };

  /// The table that holds `slot`, which the one who stores there says to be of `place`.
  Table& table_of(arch::PhysAddr slot, const Place& place);
  /// An entry changes for one address space: stored, or because a table above it came or went.
  void change(const Store& store, const Slot& slot);
  void link(arch::PhysAddr page, const Place& place, const Store& cause);
  void unlink(arch::PhysAddr page, const Place& place, const Store& cause);
  void remember(const EntryKey& key, const Store& store);
  void remember(arch::PhysAddr table, PlaceChange change);
  /// Calls `action(key, value)` for what [start, limit) of `mm` touches in a map by EntryKey.
  template <class Map, class Action>
  static void for_range(Map& map, arch::MmId mm, std::uint64_t start, std::uint64_t limit,
                        Action&& action);

  OldestUse oldest_use_;
  OldestStrayUse oldest_stray_use_;
  arch::TableFormat format_{};
  std::unordered_map<std::uint64_t, Table> tables_;                  // by page
  std::map<std::uint64_t, std::vector<PlaceChange>> place_changes_;  // by table, oldest first
  std::map<EntryKey, std::uint64_t> entries_;
  std::map<EntryKey, std::vector<Store>> stores_;  // oldest first
  /// A store that somebody may have to flush, until that is done for CPUs and devices.
  struct Unflushed {
    Store store;
    /// What was there was valid, and young, to a walker, and no flush has ended since.
    bool seen_by_hardware{};
  };
  std::map<EntryKey, std::vector<Unflushed>> unflushed_;
  std::map<std::uint64_t, Owner> owners_;  // by frame
};

}  // namespace shootdown::cosim

#endif
