// What an architecture and a kernel release make of struct mmu_gather: Kconfig knobs, geometry,
// limits, and what becomes of page tables.
#ifndef SHOOTDOWN_SW_MM_GATHER_CONFIG_H
#define SHOOTDOWN_SW_MM_GATHER_CONFIG_H

#include <array>
#include <cstdint>

namespace shootdown::sw {

/// CONFIG_MMU_GATHER_*, of the same names.
struct GatherKnobs {
  bool table_free{};
  bool rcu_table_free{};
  bool page_size{};
  bool no_range{};
  bool merge_vmas{};
  bool no_flush_cache{};
  bool no_gather{};
  bool operator==(const GatherKnobs&) const = default;
};

/// Where the *_free_tlb() of one level puts a table.
enum class TableRoute : std::uint8_t {
  kFolded,  ///< the level does not exist: the call is nothing at all
  kUnused,  ///< compiled in but not in use (x86 with four of five levels): range, but no table
  kTable,   ///< tlb_remove_table()
  kPage,    ///< tlb_remove_page(): freed with the data pages
  kAtOnce,  ///< freed before the flush, which is correct only where it is done elsewhere
};

struct TableRule {
  TableRoute route{TableRoute::kTable};
  bool dtor{};            ///< the destructor runs when the table is queued
  bool need_flush_all{};  ///< x86 PAE: the top level is not walked again without a full flush
  bool adjust_range{true};
};

/// Table levels, by what they hold.
enum class TableLevel : std::uint8_t { kPte, kPmd, kPud, kP4d };

struct GatherConfig {
  GatherKnobs knobs;
  bool smp{true};
  /// tlb_needs_table_invalidate(): hardware walks the tables that software frees.
  bool needs_table_invalidate{true};
  std::array<TableRule, 4> tables;  ///< by TableLevel
  bool table_marks_mm{};            ///< s390: freeing a table sets the mm's lazy-flush mark

  unsigned page_shift{12};
  unsigned pmd_shift{21};
  unsigned pud_shift{30};
  unsigned p4d_shift{39};
  std::uint64_t task_size{std::uint64_t{1} << 48};

  /// ARCH_WANT_HUGE_PMD_SHARE. No matter of the gather, but of what it may meet.
  bool huge_pmd_share{true};

  // What releases change.
  bool vma_hooks_by_knob{true};    ///< 1e9fdf21a433, v5.19
  bool vma_hooks_single{true};     ///< 18ba064e42df, v5.19
  bool no_range_vma_flags{true};   ///< 7fb5e5083190, v5.19
  bool force_flush_pfnmap{true};   ///< b67fbebd4cf9, v5.19
  bool encoded_pages{};            ///< 7cc8f9c7146a, v6.2
  bool delay_rmap{};               ///< 5df397dec7c4, v6.2
  bool notify_after_flush{true};   ///< until 6bbd42e2df8f, v6.6
  bool folio_entries{};            ///< after v6.7: see KernelBehaviour
  bool expensive_free_by_pages{};  ///< after v6.7: with init_on_free a chunk counts pages
  bool init_on_free{};             ///< pages are cleared when they are freed

  const TableRule& table(TableLevel level) const { return tables[static_cast<unsigned>(level)]; }
  std::uint64_t page_bytes() const { return std::uint64_t{1} << page_shift; }

  // The kernel's limits. A batch is one page: a header of two words, the rest slots.
  static constexpr unsigned kBundle = 8;  ///< MMU_GATHER_BUNDLE: slots inside the gather
  unsigned max_gather_batch() const { return static_cast<unsigned>((page_bytes() - 16) / 8); }
  unsigned max_gather_batch_count() const { return 10000 / max_gather_batch(); }
  /// struct mmu_table_batch: a counter, and a struct rcu_head where RCU frees it.
  unsigned max_table_batch() const {
    return static_cast<unsigned>((page_bytes() - (knobs.rcu_table_free ? 24 : 8)) / 8);
  }
  /// MAX_NR_FOLIOS_PER_FREE
  static constexpr unsigned kMaxFoliosPerFree = 512;
};

}  // namespace shootdown::sw

#endif
