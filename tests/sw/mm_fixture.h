// An address space on a fake CPU, for tests of sw/mm. Reads the tables with a walk of its own.
#ifndef SHOOTDOWN_TESTS_SW_MM_FIXTURE_H
#define SHOOTDOWN_TESTS_SW_MM_FIXTURE_H

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "sw/arch/arm64/arm64_mmu.h"
#include "sw/kernel/version.h"
#include "sw/mm/fork.h"
#include "sw/mm/memory.h"
#include "sw/mm/mmap.h"
#include "sw/mm/mprotect.h"
#include "sw/mm/rmap.h"
#include "tests/sw/fake_cpu.h"

namespace shootdown::sw {

inline void PrintTo(const Release& release, std::ostream* out) { *out << to_string(release); }

}  // namespace shootdown::sw

namespace shootdown::tests {

using Events = std::vector<std::string>;

inline constexpr std::uint64_t kAddressBits = 0x0000'ffff'ffff'f000;
inline constexpr std::uint64_t kReadOnlyPte = 0x0060'0000'0000'0fc3;  ///< clean, young
inline constexpr std::uint64_t kWritablePte = 0x00e8'0000'0000'0f43;  ///< dirty, young
inline constexpr std::uint64_t kSpecialPte = std::uint64_t{1} << 56;  ///< of the zero page

/// Parameter: the release whose behaviour is tested.
class MmTest : public testing::TestWithParam<sw::Release> {
 protected:
  static constexpr std::uint64_t kAsid = 0x12;

  MmTest()
      : kernel_(sw::KernelVersion{.base = GetParam(), .revert = {}, .apply = {}}.behaviour(), {},
                sw::PageAllocator({0x8000'0000}, 64u << 20)),
        arch_({}, kernel_.behaviour),
        mm_(sw::mm_create(cpu_, kernel_, arch_, {1}, {kAsid})),
        empty_pages_(kernel_.pages.allocated()),
        empty_tables_(kernel_.nr_page_table) {
    mm_->notifiers.push_back(&notifier_);
    cpu_.forget();
  }
  ~MmTest() override {
    EXPECT_EQ(cpu_.preempt_count, 0U) << "a spinlock is still held";
    EXPECT_FALSE(mm_->mmap_lock.held());
    EXPECT_EQ(mm_->tlb_flush_pending, 0);
  }
  bool notifies_in_flush() const { return GetParam() >= sw::Release{6, 6}; }

  void map(std::uint64_t start, std::uint64_t bytes, sw::Protection protection,
           sw::File* file = nullptr, bool shared = false, unsigned page_shift = 12) {
    sw::Vma vma;
    vma.start = {start};
    vma.end = {start + bytes};
    vma.protection = protection;
    vma.file = file;
    vma.shared = shared;
    vma.page_shift = page_shift;
    sw::do_mmap(cpu_, *mm_, vma);
  }
  sw::VmFault fault(std::uint64_t va, bool write) {
    return sw::fault_in(cpu_, *mm_, {va}, {.write = write});
  }
  void touch(std::uint64_t va, bool write) {
    ASSERT_EQ(fault(va, write), sw::VmFault::kHandled) << std::hex << va;
  }

  /// Address of the entry of `level` that maps `va`, if the tables above it are there.
  std::optional<std::uint64_t> entry_address(std::uint64_t va, int level = 3) {
    std::uint64_t table = mm_->pgd.value;
    for (int at = 0;; ++at) {
      const unsigned shift = 39 - 9 * static_cast<unsigned>(at);
      const std::uint64_t address = table + 8 * (va >> shift & 511);
      if (at == level) return address;
      const std::uint64_t descriptor = cpu_.load({address});
      if ((descriptor & 3) != 3) return std::nullopt;
      table = descriptor & kAddressBits;
    }
  }
  std::uint64_t pte(std::uint64_t va, int level = 3) {
    const auto address = entry_address(va, level);
    return address ? cpu_.load({*address}) : 0;
  }
  sw::Page* page_at(std::uint64_t va, int level = 3) {
    return kernel_.pages.find({pte(va, level) & kAddressBits});
  }
  std::string stored(std::uint64_t va, std::uint64_t value, int level = 3) {
    return "store " + hex_text(entry_address(va, level).value_or(0)) + " " + hex_text(value);
  }
  /// What the flush of one page does in this release.
  Events page_flush(std::uint64_t va) const {
    const std::string tlbi = "tlbi vale1is " + hex_text(kAsid << 48 | va >> 12);
    if (notifies_in_flush()) return {"dsb ishst", tlbi, notify(va, va + 4096), "dsb ish"};
    return {"dsb ishst", tlbi, "dsb ish"};
  }
  static std::string notify(std::uint64_t start, std::uint64_t end) {
    return "notify " + hex_text(start) + " " + hex_text(end);
  }

  /// Position of the first line at or after `from` that starts with `text`; the size of the log if
  /// there is none.
  std::size_t find(const std::string& text, std::size_t from = 0) const {
    for (std::size_t i = from; i < cpu_.log.size(); ++i) {
      if (cpu_.log[i].starts_with(text)) return i;
    }
    return cpu_.log.size();
  }
  std::size_t count(const std::string& text) const { return cpu_.count(text); }
  /// As find(), and expects that there is such a line.
  std::size_t expect_line(const std::string& text, std::size_t from = 0) const {
    const std::size_t at = find(text, from);
    EXPECT_LT(at, cpu_.log.size()) << "no \"" << text << "\" after line " << from << whole_log();
    return at;
  }
  std::string whole_log() const {
    std::string text = "\nlog:\n";
    for (const auto& line : cpu_.log) text += "  " + line + "\n";
    return text;
  }
  void expect_no_flush() const {
    EXPECT_EQ(count("tlbi"), 0U) << whole_log();
    EXPECT_EQ(count("notify"), 0U) << whole_log();
  }
  /// Nothing is left but the top table, and `kept` pages of files and the zero page.
  void expect_all_freed(std::uint64_t kept = 0) const {
    EXPECT_EQ(kernel_.nr_page_table, empty_tables_);
    EXPECT_EQ(kernel_.pages.allocated(), empty_pages_ + kept);
  }

  FakeCpu cpu_;
  sw::KernelState kernel_;
  sw::Arm64Mmu arch_;
  RecordingNotifier notifier_;
  std::unique_ptr<sw::Mm> mm_;
  std::uint64_t empty_pages_;
  std::uint64_t empty_tables_;
};

}  // namespace shootdown::tests

#endif
