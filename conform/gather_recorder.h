// Writes down what a gather asks of the kernel, in the words of the recorded traces.
#ifndef SHOOTDOWN_CONFORM_GATHER_RECORDER_H
#define SHOOTDOWN_CONFORM_GATHER_RECORDER_H

#include <fmt/format.h>

#include <cstdint>
#include <deque>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "sw/arch/gather/shapes.h"
#include "sw/arch/gather/tlb_flush.h"
#include "sw/mm/gather_host.h"
#include "sw/mm/mm_types.h"
#include "sw/mm/mmu_gather.h"

namespace shootdown::conform {

inline constexpr unsigned kPageStructShift =
    6;  // sizeof(struct page), so that ids become addresses

inline nlohmann::json hex_text(std::uint64_t value) { return fmt::format("{:#x}", value); }
inline sw::PageAddress address_of(std::uint64_t id) { return {id << kPageStructShift}; }
inline std::uint64_t id_of(sw::PageAddress page) { return page.value >> kPageStructShift; }

/// The events of one operation, in the recorder's form.
class EventList {
 public:
  void begin_operation() {
    events_ = nlohmann::json::array();
    iteration_ = 0;
    marked_ = 0;
  }
  void begin_iteration(unsigned k) { iteration_ = k; }
  void add(nlohmann::json event) {
    mark();
    events_.push_back(std::move(event));
  }
  /// Consecutive calls of one kind are one event; they carry no mark of their iteration.
  void add_run(const char* kind, std::uint64_t id, std::uint64_t pages,
               const nlohmann::json& tail) {
    if (!events_.empty() && events_.back()[0] == kind && same_tail(events_.back(), tail)) {
      append_run(events_.back()[1], id, pages);
      return;
    }
    nlohmann::json event{kind, nlohmann::json::array()};
    append_run(event[1], id, pages);
    if (!tail.is_null()) event.push_back(tail);
    events_.push_back(std::move(event));
  }
  static void append_run(nlohmann::json& runs, std::uint64_t id, std::uint64_t pages) {
    if (pages > 1) {
      runs.push_back({id, 1, pages});
      return;
    }
    if (!runs.empty() && runs.back().size() == 2) {
      nlohmann::json& last = runs.back();
      if (last[0].get<std::uint64_t>() + last[1].get<std::uint64_t>() == id) {
        last[1] = last[1].get<std::uint64_t>() + 1;
        return;
      }
    }
    runs.push_back({id, 1});
  }
  const nlohmann::json& events() const { return events_; }

 private:
  static bool same_tail(const nlohmann::json& event, const nlohmann::json& tail) {
    return tail.is_null() ? event.size() == 2 : event.size() == 3 && event[2] == tail;
  }
  void mark() {
    if (iteration_ == marked_) return;
    marked_ = iteration_;
    events_.push_back({"it", iteration_});
  }
  nlohmann::json events_ = nlohmann::json::array();
  unsigned iteration_{};
  unsigned marked_{};
};

/// What the gathers of a case share.
struct CaseState {
  sw::GatherShape shape;
  EventList events;
  std::map<unsigned, int> pending;       // tlb_flush_pending by mm
  std::map<unsigned, bool> flush_mm;     // s390's mark by mm
  std::map<std::uint64_t, int> sharers;  // by table
  std::vector<sw::Vma> vmas;
  std::vector<unsigned> vma_mm;
  std::deque<sw::MmuTableBatch> rcu;
  std::set<unsigned> failing;  // numbers of allocations
  unsigned allocations{};
  unsigned good_before_failures{};
  unsigned failures{};
  std::uint64_t batches{};
};

/// The kernel around one gather: writes down what it is asked for.
class RecordingHost : public sw::GatherHost, private sw::FlushFunctions {
 public:
  RecordingHost(CaseState& state, unsigned mm) : state_(state), mm_(mm) {}

  void inc_tlb_flush_pending() override { pending(+1); }
  void dec_tlb_flush_pending() override { pending(-1); }
  bool mm_tlb_flush_nested() const override { return state_.pending[mm_] > 1; }
  void mark_mm_for_flush() override { state_.flush_mm[mm_] = true; }

  std::optional<sw::BatchPage> alloc_batch_page(sw::BatchKind kind) override {
    const char* name = kind == sw::BatchKind::kPages ? "pages" : "tables";
    bool fails = state_.failing.contains(state_.allocations++);
    if (state_.failures != 0) {
      if (state_.good_before_failures != 0) {
        --state_.good_before_failures;
      } else {
        --state_.failures;
        fails = true;
      }
    }
    if (fails) {
      state_.events.add({"alloc", name, nullptr});
      return std::nullopt;
    }
    state_.events.add({"alloc", name, state_.batches});
    return state_.batches++;
  }
  void free_batch_page(sw::BatchPage page) override { state_.events.add({"batch_free", page}); }

  void free_pages_and_swap_cache(std::span<const sw::EncodedPage> slots) override {
    nlohmann::json runs = nlohmann::json::array();
    for (std::size_t i = 0; i < slots.size(); ++i) {
      const bool pair = (slots[i].flags() & sw::EncodedPage::kNrPagesNext) != 0;
      const std::uint64_t id = id_of(slots[i].page());
      EventList::append_run(runs, id, pair ? slots[++i].number() : 1);
    }
    state_.events.add({"free", runs, slots.size()});
  }
  void free_page_and_swap_cache(sw::PageAddress page) override {
    state_.events.add_run("free1", id_of(page), 1, nullptr);
  }
  void remove_rmap(sw::PageAddress page, std::uint64_t pages, const sw::Vma& vma) override {
    state_.events.add_run("rmap", id_of(page), pages, &vma - state_.vmas.data());
  }
  void cond_resched() override { state_.events.add({"resched"}); }

  void table_dtor(sw::PageAddress table) override {
    state_.events.add_run("dtor", id_of(table), 1, nullptr);
  }
  void free_table(sw::PageAddress table) override {
    state_.events.add_run("tfree", id_of(table), 1, nullptr);
  }
  void call_rcu(sw::MmuTableBatch batch) override {
    state_.events.add({"call_rcu", batch.page, batch.tables.size()});
    state_.rcu.push_back(std::move(batch));
  }
  void remove_table_sync_one() override { state_.events.add({"ipi", 1}); }

  void flush_cache_range(const sw::Vma& vma) override {
    state_.events.add(
        {"cache", &vma - state_.vmas.data(), hex_text(vma.start.value), hex_text(vma.end.value)});
  }
  void tlb_flush(sw::MmuGather& tlb) override { sw::tlb_flush(state_.shape, tlb, *this); }
  void mmu_notifier_invalidate_range(arch::VirtAddr start, arch::VirtAddr end) override {
    state_.events.add({"notify", mm_, hex_text(start.value), hex_text(end.value)});
  }
  void vm_bug(const char* function) override { check("bug", function); }
  void vm_warn(const char* function) override { check("warn", function); }

  unsigned mm() const { return mm_; }
  void begin_operation() { fired_.clear(); }

 private:
  void pending(int change) {
    state_.pending[mm_] += change;
    state_.events.add({"pending", mm_, state_.pending[mm_]});
  }
  void check(const char* kind, const char* function) {
    if (fired_.insert(std::string(kind) + function).second) state_.events.add({kind, function});
  }

  // sw::FlushFunctions
  void flush_tlb_mm() override { state_.events.add({"flush_mm", mm_}); }
  void flush_tlb_range(std::uint64_t start, std::uint64_t end, bool exec, bool huge) override {
    state_.events.add({"flush_range", mm_, hex_text(start), hex_text(end), int{exec}, int{huge}});
  }
  void arm64_flush_tlb_range(std::uint64_t start, std::uint64_t end, std::uint64_t stride,
                             bool last_level, int level) override {
    state_.events.add({"arm64_flush", mm_, hex_text(start), hex_text(end), hex_text(stride),
                       int{last_level}, level});
  }
  void x86_flush_tlb_mm_range(std::uint64_t start, std::uint64_t end, unsigned shift,
                              bool freed_tables) override {
    state_.events.add({"x86_flush", mm_, hex_text(start), hex_text(end), shift, int{freed_tables}});
  }
  void riscv_flush_tlb_mm_range(std::uint64_t start, std::uint64_t end,
                                std::uint64_t stride) override {
    state_.events.add({"riscv_flush", mm_, hex_text(start), hex_text(end), hex_text(stride)});
  }
  void ppc_flush_range(std::uint64_t start, std::uint64_t end, int psize, bool pwc) override {
    state_.events.add(
        {pwc ? "ppc_pwc_range" : "ppc_range", mm_, hex_text(start), hex_text(end), psize});
  }
  void ppc_flush_mm() override { state_.events.add({"ppc_tlb_mm", mm_}); }
  void ppc_flush_all_mm(bool full) override { state_.events.add({"ppc_all_mm", mm_, int{full}}); }
  void ppc_exit_lazy_tlbs() override { state_.events.add({"ppc_exit_lazy", mm_}); }
  void ppc_hash_flush_pending() override { state_.events.add({"ppc_hash_pending"}); }
  void sparc64_flush_tlb_pending() override { state_.events.add({"sparc_flush_pending"}); }
  void s390_flush_mm_lazy() override {
    if (!std::exchange(state_.flush_mm[mm_], false)) return;
    state_.events.add({"s390_flush_mm", mm_});
  }

  CaseState& state_;
  unsigned mm_;
  std::set<std::string> fired_;
};

}  // namespace shootdown::conform

#endif
