// A CPU for tests of the software stack: a sparse memory, everything takes effect at once, and what
// was done is written down as text, in order.
#ifndef SHOOTDOWN_TESTS_SW_FAKE_CPU_H
#define SHOOTDOWN_TESTS_SW_FAKE_CPU_H

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <functional>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "hw/arch/tlbi.h"
#include "hw/arch/types.h"
#include "sw/kernel/cpu.h"
#include "sw/mm/mmu_notifier.h"

namespace shootdown::tests {

inline std::string hex_text(std::uint64_t value) {
  std::ostringstream text;
  text << "0x" << std::hex << value;
  return text.str();
}

class FakeCpu : public sw::Cpu {
 public:
  std::map<std::uint64_t, std::uint64_t> memory;  ///< by address of the word; absent: zero
  /// Everything, in order: "tlbi OP 0xOPERAND", "dsb ish", "isb", "notify 0xSTART 0xEND",
  /// "mmio 0xADDRESS 0xVALUE", "store 0xADDRESS 0xVALUE", "free 0xPAGE USE ORDER".
  std::vector<std::string> log;
  unsigned preempt_count{};
  unsigned irq_off_count{};

  /// The entries of the log that keep TLBs in order: without stores and frees.
  std::vector<std::string> maintenance() const {
    std::vector<std::string> result;
    std::copy_if(log.begin(), log.end(), std::back_inserter(result), [](const std::string& line) {
      return !line.starts_with("store") && !line.starts_with("free");
    });
    return result;
  }
  void forget() { log.clear(); }
  /// Lines that start with `text`.
  std::size_t count(const std::string& text) const {
    return static_cast<std::size_t>(std::count_if(
        log.begin(), log.end(), [&](const std::string& line) { return line.starts_with(text); }));
  }
  // Look at the kernel's state when a flush, or the freeing of a page, happens, or when a function
  // begins.
  std::function<void()> on_tlbi;
  std::function<void()> on_free;
  std::function<void(std::string_view function)> on_enter;

  unsigned id() const override { return 0; }
  std::uint64_t load(arch::PhysAddr address) override {
    const auto found = memory.find(checked(address));
    return found == memory.end() ? 0 : found->second;
  }
  void store(arch::PhysAddr address, std::uint64_t value) override {
    memory[checked(address)] = value;
    log.push_back("store " + hex_text(address.value) + " " + hex_text(value));
  }
  std::uint64_t compare_exchange(arch::PhysAddr address, std::uint64_t expected,
                                 std::uint64_t desired) override {
    const std::uint64_t before = load(address);
    if (before == expected) store(address, desired);
    return before;
  }
  void clear_page(arch::PhysAddr page) override {
    memory.erase(memory.lower_bound(page.value), memory.lower_bound(page.value + arch::kPageSize));
  }
  void copy_page(arch::PhysAddr to, arch::PhysAddr from) override {
    for (std::uint64_t offset = 0; offset < arch::kPageSize; offset += 8) {
      const std::uint64_t word = load(from + offset);
      if (word != 0 || memory.contains(to.value + offset)) memory[to.value + offset] = word;
    }
  }

  std::uint64_t mmio_read(arch::PhysAddr, unsigned) override { return 0; }
  void mmio_write(arch::PhysAddr address, std::uint64_t value, unsigned) override {
    log.push_back("mmio " + hex_text(address.value) + " " + hex_text(value));
  }

  void tlbi(arch::TlbiOp op, std::uint64_t operand) override {
    std::string line = "tlbi ";
    for (const char letter : name_of(op)) {
      line += static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
    }
    if (op != arch::TlbiOp::kVmalle1is) line += " " + hex_text(operand);
    log.push_back(line);
    if (on_tlbi) on_tlbi();
  }
  void dsb(sw::Barrier barrier) override {
    log.push_back(barrier == sw::Barrier::kIshst ? "dsb ishst" : "dsb ish");
  }
  void isb() override { log.push_back("isb"); }
  void set_user_context(const sw::UserContext&) override {}
  void tlbi_local(const arch::Invalidation& what) override {
    log.push_back("local " + std::string(name_of(what.scope)) + " " + hex_text(what.start));
    if (on_tlbi) on_tlbi();
  }
  void local_irq_disable() override { ++irq_off_count; }
  void local_irq_enable() override {
    if (irq_off_count == 0) throw std::logic_error("interrupts are on already");
    --irq_off_count;
  }
  void send_ipi(unsigned) override { throw std::logic_error("the only CPU interrupts another"); }

  // There is no one else to wait for.
  void sleep_on(sw::WaitQueue&) override { throw std::logic_error("the only thread sleeps"); }
  void spin_on(sw::WaitQueue&) override { throw std::logic_error("the only thread spins"); }
  void wake_all(sw::WaitQueue&) override {}
  void preempt_disable() override { ++preempt_count; }
  void preempt_enable() override {
    if (preempt_count == 0) throw std::logic_error("preempt_enable without preempt_disable");
    --preempt_count;
  }
  void cpu_relax() override {}

  void trace(const sw::TraceEvent& event) override {
    if (const auto* entered = event.get<sw::FunctionEnter>(); entered != nullptr && on_enter) {
      on_enter(entered->function);
    }
    if (const auto* freed = event.get<sw::PageFreed>()) {
      log.push_back("free " + hex_text(freed->page.value) + " " + std::string(name_of(freed->use)) +
                    " " + std::to_string(freed->order));
      if (on_free) on_free();
    }
  }

 private:
  static std::uint64_t checked(arch::PhysAddr address) {
    if (address.value % 8 != 0) throw std::logic_error("unaligned access by software");
    return address.value;
  }
};

/// Writes down that it was called.
class RecordingNotifier : public sw::MmuNotifier {
 public:
  void arch_invalidate_secondary_tlbs(sw::Cpu& cpu, sw::Mm&, arch::VirtAddr start,
                                      arch::VirtAddr end) override {
    static_cast<FakeCpu&>(cpu).log.push_back("notify " + hex_text(start.value) + " " +
                                             hex_text(end.value));
  }
};

}  // namespace shootdown::tests

#endif
