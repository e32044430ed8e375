// Any sequence of gather operations, in every shape, frees nothing that a TLB or a walker may still
// reach, flushes every entry that was cleared, and ends with all counts at zero.
//
// The judge below knows none of the gather's state: it keeps what hardware may have cached and what
// the flush functions were told.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "sw/arch/gather/shapes.h"
#include "sw/arch/gather/tlb_flush.h"
#include "sw/mm/mm_types.h"
#include "sw/mm/mmu_gather.h"

namespace shootdown::sw {
namespace {

/// The same sequences on every machine, unless RC_PARAMS says otherwise.
const int kSeeded = setenv("RC_PARAMS", "seed=20221101 max_success=3000", /*overwrite=*/0);

constexpr std::uint64_t kStruct = 64;  // bytes of a struct page
constexpr std::uint64_t kBase = 0x4000'0000;
constexpr unsigned kAreaPages = 4096;

struct Defects {
  bool flush_loses_range{};    ///< the arch flush leaves out the last page of its range
  bool frees_pages_early{};    ///< pages are freed before tlb_end_vma()
  bool table_flush_is_leaf{};  ///< walk-cache entries survive every flush
};

/// One mm: what was cleared and may still be cached, who owns which page.
class Judge : public GatherHost, private FlushFunctions {
 public:
  Judge(GatherShape shape, Defects defects) : shape_(std::move(shape)), defects_(defects) {}

  std::string violation;
  const GatherConfig& config() const { return shape_.config; }
  bool walks_tables() const { return shape_.config.needs_table_invalidate; }

  /// Hardware may hold the translation that software is about to clear.
  void clear_entry(std::uint64_t va, std::uint64_t page) {
    queued_pages_.insert(page);
    // On s390 the instruction that clears an entry also flushes it, and on powerpc hash and sparc64
    // a list of their own is flushed.
    if (!shape_.config.knobs.no_gather) cached_[va] = page;
  }
  void unhook_table(std::uint64_t va, std::uint64_t table) {
    queued_tables_.insert(table);
    if (walks_tables()) walk_cached_[table] = va;
  }
  bool may_be_cached(std::uint64_t va) const { return cached_.contains(va); }
  /// What is left when all gathers are finished and RCU has run.
  void expect_quiet() {
    grace_period();
    if (pending_ != 0) fail("tlb_flush_pending is not zero");
    if (!queued_pages_.empty()) fail("a page was not freed");
    if (!queued_tables_.empty()) fail("a table was not freed");
    if (batch_pages_ != 0) fail("a batch page was not freed");
    if (!cached_.empty()) fail("an entry was never flushed");
    if (!walk_cached_.empty()) fail("a table's walk-cache entry was never flushed");
  }
  void grace_period() {
    for (; !rcu_.empty(); rcu_.pop_front()) {
      for (const PageAddress table : rcu_.front().tables) free_table(table);
      free_batch_page(rcu_.front().page);
    }
  }
  void fail_allocations(unsigned count) { failing_ = count; }
  void fail(const std::string& what) {
    if (violation.empty()) violation = what;
  }

  void inc_tlb_flush_pending() override { ++pending_; }
  void dec_tlb_flush_pending() override {
    if (--pending_ < 0) fail("tlb_flush_pending below zero");
  }
  bool mm_tlb_flush_nested() const override { return pending_ > 1; }
  void mark_mm_for_flush() override { marked_ = true; }
  std::optional<BatchPage> alloc_batch_page(BatchKind) override {
    if (failing_ != 0) {
      --failing_;
      return std::nullopt;
    }
    ++batch_pages_;
    return batch_pages_;
  }
  void free_batch_page(BatchPage) override { --batch_pages_; }
  void free_pages_and_swap_cache(std::span<const EncodedPage> slots) override {
    if (slots.size() > 513) fail("more than 512 folios freed at once");
    for (std::size_t i = 0; i < slots.size(); ++i) {
      std::uint64_t pages = 1;
      const PageAddress first = slots[i].page();
      if ((slots[i].flags() & EncodedPage::kNrPagesNext) != 0) pages = slots[++i].number();
      for (std::uint64_t n = 0; n < pages; ++n) free_page({first.value + n * kStruct});
    }
  }
  void free_page_and_swap_cache(PageAddress page) override { free_page(page); }
  void remove_rmap(PageAddress page, std::uint64_t pages, const Vma&) override {
    for (std::uint64_t n = 0; n < pages; ++n) {
      const std::uint64_t id = page.value / kStruct + n;
      if (is_cached(id)) fail("rmap removed before the flush");
      delayed_.erase(id);
    }
  }
  void cond_resched() override {}
  void table_dtor(PageAddress) override {}
  void free_table(PageAddress table) override {
    const std::uint64_t id = table.value / kStruct;
    if (walk_cached_.contains(id)) fail("a table was freed that a walker may reach");
    if (queued_tables_.erase(id) == 0) fail("a table was freed twice");
  }
  void call_rcu(MmuTableBatch batch) override {
    for (const PageAddress table : batch.tables) {
      if (walk_cached_.contains(table.value / kStruct)) fail("RCU got a table before its flush");
    }
    rcu_.push_back(std::move(batch));
  }
  void remove_table_sync_one() override {}
  void flush_cache_range(const Vma&) override {}
  void tlb_flush(MmuGather& tlb) override {
    if (tlb.fullmm && shape_.rule == TlbFlushRule::kArm64) {
      // The mm is dead, or its ASID is flushed as a whole.
      if (!tlb.freed_tables && !tlb.unshared_tables) {
        drop(0, ~std::uint64_t{0}, true);
        return;
      }
    }
    sw::tlb_flush(shape_, tlb, *this);
  }
  void mmu_notifier_invalidate_range(arch::VirtAddr, arch::VirtAddr) override {}
  void vm_bug(const char* function) override { fail(std::string("VM_BUG_ON in ") + function); }
  void vm_warn(const char*) override {}
  void delay(std::uint64_t page) { delayed_.insert(page); }

 private:
  bool is_cached(std::uint64_t page) const {
    return std::any_of(cached_.begin(), cached_.end(),
                       [&](const auto& entry) { return entry.second == page; });
  }
  void free_page(PageAddress page) {
    const std::uint64_t id = page.value / kStruct;
    // In some shapes tables go with the pages.
    if (queued_tables_.contains(id)) return free_table(page);
    if (is_cached(id)) fail("a page was freed that a TLB may reach");
    if (delayed_.contains(id)) fail("a page was freed with its rmap");
    if (queued_pages_.erase(id) == 0) fail("a page was freed twice");
  }
  void drop(std::uint64_t start, std::uint64_t end, bool tables) {
    if (defects_.flush_loses_range && end != ~std::uint64_t{0}) end -= config().page_bytes();
    std::erase_if(cached_,
                  [&](const auto& entry) { return entry.first >= start && entry.first < end; });
    if (!tables || defects_.table_flush_is_leaf) return;
    std::erase_if(walk_cached_,
                  [&](const auto& table) { return table.second >= start && table.second < end; });
  }

  void flush_tlb_mm() override { drop(0, ~std::uint64_t{0}, true); }
  void flush_tlb_range(std::uint64_t start, std::uint64_t end, bool, bool) override {
    drop(start, end, true);
  }
  void arm64_flush_tlb_range(std::uint64_t start, std::uint64_t end, std::uint64_t stride,
                             bool last_level, int) override {
    drop(start & ~(stride - 1), (end + stride - 1) & ~(stride - 1), !last_level);
  }
  void x86_flush_tlb_mm_range(std::uint64_t start, std::uint64_t end, unsigned, bool) override {
    drop(start, end, true);
  }
  void riscv_flush_tlb_mm_range(std::uint64_t start, std::uint64_t end, std::uint64_t) override {
    drop(start, end, false);
  }
  void ppc_flush_range(std::uint64_t start, std::uint64_t end, int, bool walk_cache) override {
    drop(start, end, walk_cache);
  }
  void ppc_flush_mm() override { drop(0, ~std::uint64_t{0}, false); }
  void ppc_flush_all_mm(bool) override { drop(0, ~std::uint64_t{0}, true); }
  void ppc_exit_lazy_tlbs() override {}
  void ppc_hash_flush_pending() override { drop(0, ~std::uint64_t{0}, true); }
  void sparc64_flush_tlb_pending() override { drop(0, ~std::uint64_t{0}, true); }
  void s390_flush_mm_lazy() override {
    if (std::exchange(marked_, false)) drop(0, ~std::uint64_t{0}, true);
  }

  GatherShape shape_;
  Defects defects_;
  std::map<std::uint64_t, std::uint64_t> cached_;       // page, by virtual address
  std::map<std::uint64_t, std::uint64_t> walk_cached_;  // virtual address, by table
  std::set<std::uint64_t> queued_pages_;
  std::set<std::uint64_t> queued_tables_;
  std::set<std::uint64_t> delayed_;
  std::deque<MmuTableBatch> rcu_;
  int pending_{};
  bool marked_{};
  std::uint64_t batch_pages_{};
  unsigned failing_{};
};

/// An operation as plain numbers, so that a failing sequence can be shrunk.
struct Operation {
  unsigned kind{};
  unsigned at{};
  unsigned count{};
};
std::ostream& operator<<(std::ostream& out, const Operation& o) {
  return out << '{' << o.kind << ", " << o.at << ", " << o.count << '}';
}
constexpr unsigned kKinds = 10;

/// Two gathers of one mm, driven as the kernel's callers do.
class Driver {
 public:
  explicit Driver(Judge& judge) : judge_(judge) {
    vma_.start = {kBase};
    vma_.end = {kBase + (1 << 30)};
    gathers_[0] = std::make_unique<MmuGather>(judge.config(), judge, false);
  }

  void run(const std::vector<Operation>& operations, const Defects& defects) {
    for (const Operation& operation : operations) {
      step(operation, defects);
      if (!judge_.violation.empty()) return;
    }
    finish(1);
    finish(0);
    judge_.expect_quiet();
  }

 private:
  MmuGather& tlb() { return gathers_[1] ? *gathers_[1] : *gathers_[0]; }

  void step(const Operation& operation, const Defects& defects) {
    const std::uint64_t page = judge_.config().page_bytes();
    const std::uint64_t va = kBase + (operation.at % kAreaPages) * page;
    switch (operation.kind % kKinds) {
      case 0:
        tlb().tlb_start_vma(vma_);
        break;
      case 1:
        if (defects.frees_pages_early) tlb().tlb_batch_pages_flush();
        tlb().tlb_end_vma(vma_);
        break;
      case 2:
        zap(va, 1 + operation.count % 700, false);
        break;
      case 3:
        zap(va, 1 + operation.count % 20, true);
        break;
      case 4:
        free_tables(va, 1 + operation.count % 3);
        break;
      case 5:
        tlb().tlb_flush_mmu();
        break;
      case 6:
        judge_.fail_allocations(operation.count % 4);
        break;
      case 7:  // a second gather begins or ends; see also zap()
        if (gathers_[1]) {
          finish(1);
        } else {
          gathers_[1] = std::make_unique<MmuGather>(judge_.config(), judge_, false);
        }
        break;
      case 8:
        judge_.grace_period();
        break;
      case 9:  // more than a batch of tables holds
        for (unsigned i = 0; i < operation.count % 600; ++i) free_tables(va + i * page, 1);
        break;
      default:
        break;
    }
  }

  void zap(std::uint64_t va, unsigned pages, bool dirty_file) {
    const std::uint64_t bytes = judge_.config().page_bytes();
    tlb().tlb_change_page_size(bytes);
    bool force_flush = false;
    for (unsigned i = 0; i < pages; ++i) {
      const std::uint64_t at = va + i * bytes;
      // Cleared by the other gather and not flushed yet: nothing to record. What finishes first has
      // to flush it all the same.
      if (judge_.may_be_cached(at)) {
        seen_empty_.insert(at);
        continue;
      }
      const std::uint64_t id = next_++;
      judge_.clear_entry(at, id);
      tlb().tlb_remove_tlb_entry({at});
      const bool delay = dirty_file && tlb().tlb_delay_rmap();
      if (delay) judge_.delay(id);
      force_flush |= dirty_file;
      if (tlb().tlb_remove_page_no_flush({id * kStruct}, delay, bytes)) {
        flush_under_lock();
        tlb().tlb_flush_mmu();
        force_flush = false;
      }
    }
    if (!force_flush) return;
    flush_under_lock();
    tlb().tlb_flush_mmu();
  }
  void flush_under_lock() {
    tlb().tlb_flush_mmu_tlbonly();
    tlb().tlb_flush_rmaps(vma_);
  }

  void free_tables(std::uint64_t va, unsigned tables) {
    const auto level = static_cast<TableLevel>(tables - 1);
    const TableRule& rule = judge_.config().table(level);
    if (rule.route == TableRoute::kFolded || rule.route == TableRoute::kUnused) return;
    // Freed on the spot, before any flush: that architecture's walkers are stopped elsewhere.
    if (rule.route == TableRoute::kAtOnce) return;
    tlb().tlb_change_page_size(judge_.config().page_bytes());
    const std::uint64_t id = next_++;
    judge_.unhook_table(va, id);
    tlb().table_free_tlb(level, {id * kStruct}, {va});
  }

  void finish(unsigned which) {
    if (!gathers_[which]) return;
    gathers_[which]->tlb_finish_mmu();
    gathers_[which].reset();
    for (const std::uint64_t va : seen_empty_) {
      if (judge_.may_be_cached(va)) judge_.fail("a gather that found an entry empty did not flush");
    }
    seen_empty_.clear();
  }

  Judge& judge_;
  Vma vma_;
  std::array<std::unique_ptr<MmuGather>, 2> gathers_;
  std::set<std::uint64_t> seen_empty_;
  std::uint64_t next_{1};
};

KernelBehaviour behaviour(Release release, bool later) {
  KernelVersion version{.base = release, .revert = {}, .apply = {}};
  for (const KernelChange& change : kernel_changes()) {
    if (later && change.first_release > release) version.apply.push_back(&change);
  }
  return version.behaviour();
}

std::string first_violation(std::string_view shape, const KernelBehaviour& kernel,
                            const std::vector<Operation>& operations, const Defects& defects = {}) {
  Judge judge(*gather_shape(shape, kernel), defects);
  Driver(judge).run(operations, defects);
  return judge.violation;
}

RC_GTEST_PROP(MmuGatherProperty, NothingIsFreedEarlyAndNothingIsForgotten, ()) {
  const auto names = gather_shape_names();
  const auto name = names[*rc::gen::inRange<std::size_t>(0, names.size())];
  const auto releases = kernel_releases();
  const Release release = releases[*rc::gen::inRange<std::size_t>(0, releases.size())];
  const bool later = *rc::gen::arbitrary<bool>();
  const auto operations = *rc::gen::container<std::vector<Operation>>(
      rc::gen::map(rc::gen::tuple(rc::gen::inRange(0U, kKinds), rc::gen::inRange(0U, kAreaPages),
                                  rc::gen::inRange(0U, 10000U)),
                   [](const auto& t) {
                     return Operation{std::get<0>(t), std::get<1>(t), std::get<2>(t)};
                   }));
  const std::string violation = first_violation(name, behaviour(release, later), operations);
  if (!violation.empty()) RC_FAIL(std::string(name) + ": " + violation);
}

/// Ten thousand pages, tables, a dirty file page, and a gather within a gather.
const std::vector<Operation> kEverything{{0, 0, 0},     {2, 0, 699}, {2, 700, 699}, {4, 0, 0},
                                         {3, 1500, 10}, {7, 0, 0},   {2, 100, 50},  {7, 0, 0},
                                         {1, 0, 0},     {2, 2000, 3}};

TEST(MmuGatherProperty, TheJudgeIsSilentOnAGoodGather) {
  for (const auto name : gather_shape_names()) {
    EXPECT_EQ(first_violation(name, behaviour({6, 1}, false), kEverything), "") << name;
    EXPECT_EQ(first_violation(name, behaviour({6, 7}, true), kEverything), "") << name;
  }
}

TEST(MmuGatherProperty, TheJudgeCatchesEachPlantedDefect) {
  const KernelBehaviour kernel = behaviour({6, 7}, false);
  EXPECT_EQ(first_violation("arm64", kernel, {{2, 0, 5}, {1, 0, 0}}, {.frees_pages_early = true}),
            "a page was freed that a TLB may reach");
  EXPECT_EQ(first_violation("generic", kernel, {{2, 0, 5}}, {.flush_loses_range = true}),
            "a page was freed that a TLB may reach");
  EXPECT_EQ(first_violation("arm64", kernel, {{4, 0, 0}}, {.table_flush_is_leaf = true}),
            "RCU got a table before its flush");
  EXPECT_EQ(first_violation("x86_native", kernel, {{4, 0, 0}}, {.table_flush_is_leaf = true}),
            "a table was freed that a walker may reach");
}

}  // namespace
}  // namespace shootdown::sw
