// Random tables, edits of single bits, commands and accesses on an SMMU, each access judged by the
// second SMMU: by what may be cached, or by the tables in memory alone.
#ifndef SHOOTDOWN_TESTS_SUPPORT_SMMU_RANDOM_SEQUENCE_H
#define SHOOTDOWN_TESTS_SUPPORT_SMMU_RANDOM_SEQUENCE_H

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "conform/smmuv3_outcome.h"
#include "conform/smmuv3_permitted.h"
#include "hw/random.h"
#include "support/smmu_bench.h"
#include "support/smmu_outcome.h"

namespace shootdown::tests {

struct RandomMachine {
  const char* name;
  hw::IdRegisters id;
  bool cached{true};
  bool flushed{!cached};  ///< before every access
};
inline std::ostream& operator<<(std::ostream& out, const RandomMachine& m) { return out << m.name; }

class RandomSequence {
 public:
  static constexpr unsigned kStreams = 6;
  static constexpr unsigned kSubstreams = 4;
  // Where accesses go: a few pages in both halves, so that they meet each other's translations.
  static constexpr std::uint64_t kWindow = 0x12'3440'0000;

  RandomSequence(const RandomMachine& machine, std::uint64_t seed)
      : RandomSequence(machine, seed, config(machine)) {}
  RandomSequence(const RandomMachine& machine, std::uint64_t seed, const hw::SmmuConfig& config)
      : machine_(machine), bench_(config), random_(seed) {}

  static hw::SmmuConfig config(const RandomMachine& machine) {
    hw::SmmuConfig config;
    config.features = hw::features_of(machine.id);
    config.mmu.translator.tlb = {.entries = 64, .ways = 64, .replacement = hw::Replacement::kLru};
    config.config_cache.ste = config.config_cache.cd = {.entries = 32};
    config.config_cache.l1 = {.entries = 8};
    return config;
  }

  std::string run(unsigned steps) {
    bench_.run([&] { go(steps); });
    return difference_;
  }
  const Tampering* tampering{};  ///< planted into every access
  unsigned tampered{};           ///< accesses that it has changed
  unsigned translated{};
  unsigned faulted{};
  unsigned stale{};  ///< accesses that ended otherwise than the tables in memory have it

 private:
  std::uint64_t below(std::uint64_t bound) { return random_.below(bound); }
  bool one_in(std::uint64_t n) { return below(n) == 0; }
  template <class... Values>
  std::uint64_t one_of(Values... values) {
    const std::uint64_t all[] = {static_cast<std::uint64_t>(values)...};
    return all[below(std::size(all))];
  }
  bool has_el2() const { return (machine_.id.idr0 >> 9 & 1) != 0; }
  bool has_stage2() const { return (machine_.id.idr0 & 1) != 0; }
  bool has_substreams() const { return (machine_.id.idr1 >> 6 & 0x1f) != 0; }
  bool two_level_cds() const { return (machine_.id.idr0 >> 19 & 1) != 0; }
  bool may_stall() const { return (machine_.id.idr0 >> 24 & 3) != 1; }

  /// `edited`: its bits may be flipped later.
  void store(std::uint64_t address, std::uint64_t value, bool edited = true) {
    bench_.write_word(address, value);
    permitted_->memory_written({address}, 8);
    if (edited) words_.push_back(address);
  }
  /// What would give one ASID or VMID to different tables is for software to avoid.
  bool breaks_tags(std::uint64_t address, unsigned bit) const {
    if (!machine_.cached) return false;
    constexpr unsigned kNotGlobal = 11;
    if (address >= SmmuBench::kFree) return bit == kNotGlobal;
    const std::uint64_t word = address / 8 % 8;
    if (address >= SmmuBench::kContextDescriptors) return word == 0 && bit >= 47;  // ASET, ASID
    // What stage 2 is may be cached by itself and be met by later reads of stage 1: the reference
    // does not mix configurations so. Its tables are edited all the same.
    if (word == 0 && bit >= 59) return has_el2();                              // S1CDMax
    return word == 2 || word == 3 || (word == 1 && (bit == 30 || bit == 31));  // VMID, STRW
  }
  void flip(std::uint64_t address, unsigned bit) {
    if (breaks_tags(address, bit)) return;
    bench_.write_word(address, bench_.word(address) ^ std::uint64_t{1} << bit);
    note("flip {:#x} -> {:#x}", address, bench_.word(address));
    permitted_->memory_written({address}, 8);
  }

  static std::uint64_t asid_of(std::uint32_t sid, std::uint32_t ssid) {
    return 1 + sid * kSubstreams + ssid;
  }

  // ---- Tables ----
  struct Format {
    unsigned granule{12};
    unsigned tsz{16};
    unsigned stride() const { return granule - 3; }
    unsigned bits() const { return 64 - tsz; }
    unsigned levels() const { return (bits() - granule + stride() - 1) / stride(); }
    int start_level() const { return static_cast<int>(4 - levels()); }
    std::uint64_t start_entries() const {
      return std::uint64_t{1} << (bits() - granule - stride() * (levels() - 1));
    }
  };

  std::uint64_t allocate(std::uint64_t bytes) {
    next_ = (next_ + bytes - 1) & ~(bytes - 1);
    return std::exchange(next_, next_ + bytes);
  }
  std::uint64_t leaf_attributes(bool stage2) {
    const std::uint64_t extra = one_in(8) ? std::uint64_t{below(16)} << 51 : 0;  // DBM, Cont, XN
    const std::uint64_t af = one_in(12) ? 0 : 0x400;
    const std::uint64_t ap = one_in(5) ? below(4) << 6 : stage2 ? 0xc0 : 0x40;
    const std::uint64_t ng = stage2 || (!machine_.cached && one_in(4)) ? 0 : 0x800;
    return extra | af | ap | ng | 0x300 | (stage2 ? 0x3c : 0);
  }

  /// A table of `format` that maps the window, at `level` and below. Returns its address.
  std::uint64_t make_table(const Format& format, int level, std::uint64_t va, bool stage2,
                           std::uint64_t entries) {
    const std::uint64_t bytes =
        std::max<std::uint64_t>(std::uint64_t{1} << format.granule, entries * 8);
    const std::uint64_t table = allocate(bytes);
    const unsigned shift = format.granule + format.stride() * static_cast<unsigned>(3 - level);
    if (level == 3) {
      for (unsigned page = 0; page < 4; ++page) {
        const std::uint64_t at = va + (std::uint64_t{page} << format.granule);
        const std::uint64_t index = at >> shift & (entries - 1);
        store(table + index * 8, output(format.granule, stage2, at) | leaf_attributes(stage2) | 3);
      }
      return table;
    }
    const std::uint64_t index = va >> shift & (entries - 1);
    const bool block = level >= (format.granule == 12 ? 1 : 2) && one_in(4);
    if (block) {
      store(table + index * 8, (stage2 ? va >> shift << shift & 0x0000'ffff'ffff'f000
                                       : 0x4000'0000 >> shift << shift) |
                                   leaf_attributes(stage2) | 1);
      return table;
    }
    const std::uint64_t hierarchy = one_in(6) && !stage2 ? below(32) << 59 : 0;
    store(table + index * 8,
          make_table(format, level + 1, va, stage2, std::uint64_t{1} << format.stride()) |
              hierarchy | 3);
    return table;
  }
  std::uint64_t output(unsigned granule, bool stage2, std::uint64_t input) {
    // Stage 2 maps RAM onto itself, so that tables and CDs are found through it.
    if (stage2) return input >> granule << granule & 0x0000'ffff'ffff'f000;
    return SmmuBench::kRam + 0x0800'0000 + (below(4) << granule);
  }

  Format random_format() {
    const unsigned granule = static_cast<unsigned>(one_of(12, 12, 12, 14, 16));
    return {granule, static_cast<unsigned>(one_of(16, 16, 20, 25, 25, 25, 31))};
  }
  static unsigned tg0(unsigned granule) { return granule == 12 ? 0 : granule == 16 ? 1 : 2; }
  static unsigned tg1(unsigned granule) { return granule == 14 ? 1 : granule == 12 ? 2 : 3; }
  std::uint64_t window(const Format& format) const {
    return kWindow & ((std::uint64_t{1} << format.bits()) - 1);
  }

  Words8 random_cd(std::uint64_t asid) {
    const Format low = random_format();
    const Format high = random_format();
    const bool upper = one_in(3);
    std::uint64_t word = low.tsz | std::uint64_t{tg0(low.granule)} << 6 | 0x3500 |
                         std::uint64_t{high.tsz} << 16 | std::uint64_t{tg1(high.granule)} << 22 |
                         (upper ? 0 : std::uint64_t{1} << 30) | std::uint64_t{1} << 31 |
                         one_of(5, 5, 5, 5, 4, 6) << 32 | std::uint64_t{1} << 41 |
                         std::uint64_t{1} << 46 | asid << 48;
    if (!one_in(6)) word |= std::uint64_t{1} << 45;                // R
    if (one_in(6)) word |= std::uint64_t{1} << 35;                 // AFFD
    if (one_in(10)) word |= std::uint64_t{1} << 36;                // WXN
    if (one_in(4)) word |= below(4) << 38;                         // TBI
    if (one_in(10)) word |= std::uint64_t{1} << 40;                // PAN
    if (one_in(3)) word |= std::uint64_t{1} << 47;                 // ASET
    if (may_stall() && one_in(4)) word |= std::uint64_t{1} << 44;  // S
    if ((machine_.id.idr0 >> 6 & 3) == 2 && one_in(2)) word |= std::uint64_t{3} << 42;
    Words8 cd{word, 0, 0, 0xff};
    cd[1] = make_table(low, low.start_level(), window(low), false, low.start_entries()) |
            (one_in(6) ? 2 : 0);  // HAD0
    if (upper) {
      cd[2] = make_table(high, high.start_level(), window(high), false, high.start_entries());
    }
    return cd;
  }

  /// Stage 2: 4 KiB granule, one start table of level 1 that maps 1 GiB blocks onto themselves, RAM
  /// in finer pieces now and then.
  void random_stage2(Words8& ste) {
    const std::uint64_t root = allocate(0x4000);
    for (std::uint64_t gib = 0; gib < 512; ++gib) {
      const bool met = gib == kWindow >> 30 || gib == SmmuBench::kRam >> 30;
      store(root + gib * 8, gib << 30 | 0x7fd | (one_in(16) ? 0 : 0x80), met);
    }
    if (one_in(2)) {
      const std::uint64_t fine = allocate(0x1000);
      for (std::uint64_t i = 0; i < 512; ++i) {
        store(fine + i * 8, SmmuBench::kRam | i << 21 | 0x7fd | (one_in(40) ? 0 : 0x80),
              one_in(32));
      }
      store(root + (SmmuBench::kRam >> 30) * 8, fine | 3);
    }
    ste[2] |= std::uint64_t{25} << 32 | std::uint64_t{1} << 38;  // T0SZ, SL0
    ste[2] |= std::uint64_t{0x35} << 40 | std::uint64_t{5} << 48 | std::uint64_t{1} << 51;
    if (one_in(8)) ste[2] |= std::uint64_t{1} << 53;
    if (!one_in(6)) ste[2] |= std::uint64_t{1} << 58;
    if (may_stall() && one_in(4)) ste[2] |= std::uint64_t{1} << 57;
    if ((machine_.id.idr0 >> 6 & 3) == 2 && one_in(3)) ste[2] |= std::uint64_t{3} << 55;
    ste[3] = root;
  }

  void random_stream(std::uint32_t sid) {
    Words8 ste{};
    const bool stage2 = has_stage2() && one_in(2);
    const std::uint64_t config = one_in(12) ? below(8) : stage2 ? one_of(6, 7, 7) : 5;
    ste[0] = 1 | config << 1 | SmmuBench::cd_address(sid);
    ste[1] = below(2) << 19;  // MEV
    // EL2 has neither ASIDs nor VMIDs: one stream alone, and of that one CD.
    const bool el2 = has_el2() && (sid == 0 || !machine_.cached) && one_in(2);
    if (el2) ste[1] |= std::uint64_t{1} << 31;
    if (has_substreams() && !(el2 && machine_.cached) && one_in(2)) {
      ste[0] |= std::uint64_t{2} << 59;
      ste[1] |= below(4);  // S1DSS
    }
    if ((machine_.id.idr1 >> 26 & 1) != 0 && one_in(3)) ste[1] |= below(16) << 48;
    ste[2] = 1 + sid;  // VMID, also of stage 1 alone
    if (stage2) random_stage2(ste);
    for (std::uint32_t ssid = 0; ssid < kSubstreams; ++ssid) {
      const Words8 cd = random_cd(asid_of(sid, ssid));
      for (std::size_t i = 0; i < 4; ++i) store(SmmuBench::cd_address(sid, ssid) + 8 * i, cd[i]);
    }
    for (std::size_t i = 0; i < 4; ++i) store(SmmuBench::kStreamTable + sid * 64 + 8 * i, ste[i]);
  }

  // ---- Steps ----
  template <class... Args>
  void note(fmt::format_string<Args...> text, Args&&... args) {
    trace_ += fmt::format("{}: ", step_) + fmt::format(text, std::forward<Args>(args)...) + "\n";
  }

  void go(unsigned steps) {
    permitted_ = std::make_unique<conform::PermittedByArchitecture>(
        bench_.board, arch::PhysAddr{SmmuBench::kRam}, SmmuBench::kRamBytes);
    next_ = SmmuBench::kFree;
    for (std::uint32_t sid = 0; sid < kStreams; ++sid) random_stream(sid);
    bench_.queue_log2 = 6;
    bench_.boot();
    permitted_->registers_written();
    permitted_->command_queue_restarted();
    for (step_ = 0; step_ < steps && difference_.empty(); ++step_) {
      switch (below(8)) {
        case 0:
          flip(words_[below(words_.size())], static_cast<unsigned>(below(64)));
          break;
        case 1:
          if (one_in(2)) random_command();
          break;
        case 2:
          if (one_in(20)) {
            random_stream(static_cast<std::uint32_t>(below(kStreams)));
            for (const Words2& one : {Words2{0x04, 31}, Words2{0x30, 0}, Words2{0x20, 0}}) {
              if (one[0] != 0x20 || (machine_.id.idr0 >> 9 & 1) != 0) submit(one, true);
            }
          }
          break;
        default:
          random_access();
      }
    }
  }

  void random_command() {
    const std::uint64_t sid = below(kStreams) << 32;
    const auto whose = static_cast<std::uint32_t>(below(kStreams));
    const auto which = static_cast<std::uint32_t>(below(has_substreams() ? kSubstreams : 1));
    const std::uint64_t ids = asid_of(whose, which) << 48 | std::uint64_t{1 + whose} << 32;
    const std::uint64_t va = kWindow + (below(4) << 12);
    Words2 one{};
    switch (below(9)) {
      case 0:
        one = {0x03 | sid, below(2)};
        break;
      case 1:
        one = {0x04 | sid, one_of(0, 1, 31)};
        break;
      case 2:
        one = {0x05 | sid | below(kSubstreams) << 12, below(2)};
        break;
      case 3:
        one = {0x06 | sid, 0};
        break;
      case 4:
        one = {0x11 | ids, 0};
        break;
      case 5:
        one = {one_of(0x12, 0x13) | ids, va | below(2)};
        break;
      case 6:
        one = {0x12 | ids | below(8) << 12, va | one_of(0x400, 0x401, 0x701)};
        if ((one[0] >> 12 & 31) == 0) one[1] |= 0x300;
        break;
      case 7:
        one = {one_of(0x10, 0x30) | ids, 0};
        break;
      default:
        one = has_stage2() ? Words2{one_of(0x28, 0x2a) | ids, va} : Words2{0x30, 0};
    }
    submit(one, !one_in(4));
  }
  void submit(const Words2& one, bool sync) {
    note("command {:#x} {:#x}{}", one[0], one[1], sync ? ", sync" : "");
    bench_.submit({one});
    if (sync) bench_.submit({{0x46, 0}});
    bench_.settle();
    permitted_->commands_consumed();
  }

  void random_access() {
    conform::SmmuBoard::Access access;
    access.stream_id = arch::StreamId{static_cast<std::uint32_t>(below(kStreams + 1))};
    if (has_substreams() && one_in(2)) {
      access.substream_id = arch::SubstreamId{static_cast<std::uint32_t>(below(kSubstreams + 1))};
    }
    std::uint64_t va = kWindow + below(0x5000) / 4 * 4;
    if (one_in(10)) va |= 0xffff'0000'0000'0000 | std::uint64_t{0xff} << 40;
    if (one_in(12)) va ^= std::uint64_t{1} << below(64);
    if (one_in(12)) va = SmmuBench::kRam + below(0x1000);
    access.address = {va & ~std::uint64_t{3}};
    access.write = one_in(2);
    access.privileged = one_in(3);
    access.instruction = one_in(10);

    if (machine_.flushed) bench_.board.smmu().flush_caches();
    const auto permitted = permitted_->outcomes(access);
    conform::DmaOutcome outcome = perform_access(bench_, *permitted_, access);
    if (tampering != nullptr && tampering->change(outcome)) ++tampered;
    ++(outcome.result == "ok" ? translated : faulted);
    note("{} sid {} ssid {} va {:#x}", access.write ? "write" : "read", access.stream_id.value,
         access.substream_id ? static_cast<int>(access.substream_id->value) : -1,
         access.address.value);
    note("    {}", describe(outcome));
    const auto same = [&](const conform::DmaOutcome& one) { return same_outcome(one, outcome); };
    if (!same(permitted.front())) ++stale;
    const auto last = machine_.cached ? permitted.end() : permitted.begin() + 1;
    if (std::any_of(permitted.begin(), last, same)) return;
    difference_ = fmt::format(
        "step {}: {}{}{} {:#x} of stream {} substream {}: {}\n  permitted:", step_,
        access.write ? "write" : "read", access.privileged ? " privileged" : "",
        access.instruction ? " instruction" : "", access.address.value, access.stream_id.value,
        access.substream_id ? static_cast<int>(access.substream_id->value) : -1, describe(outcome));
    for (auto one = permitted.begin(); one != last; ++one) difference_ += "\n  " + describe(*one);
    difference_ += "\n" + tables_of(access);
    if (std::getenv("SHOOTDOWN_TRACE") != nullptr) difference_ += "\n" + trace_;
  }

  std::string tables_of(const conform::SmmuBoard::Access& access) {
    std::string text;
    const std::uint32_t cds = has_substreams() ? kSubstreams : 1;
    for (std::uint32_t sid = 0; sid < kStreams; ++sid) {
      const bool asked = arch::StreamId{sid} == access.stream_id;
      text += fmt::format("  {}STE {}:", asked ? "* " : "  ", sid);
      for (std::uint64_t i = 0; i < 4; ++i) {
        text += fmt::format(" {:#x}", bench_.word(SmmuBench::kStreamTable + sid * 64 + 8 * i));
      }
      for (std::uint32_t ssid = 0; ssid < cds; ++ssid) {
        text += fmt::format("\n      CD {}:", ssid);
        for (std::uint64_t i = 0; i < 4; ++i) {
          text += fmt::format(" {:#x}", bench_.word(SmmuBench::cd_address(sid, ssid) + 8 * i));
        }
      }
      text += "\n";
    }
    return text;
  }

  const RandomMachine& machine_;
  SmmuBench bench_;
  Random random_;
  std::unique_ptr<conform::PermittedByArchitecture> permitted_;
  std::uint64_t next_{};
  std::vector<std::uint64_t> words_;  // of structures and descriptors
  unsigned step_{};
  std::string difference_;
  std::string trace_;
};

}  // namespace shootdown::tests

#endif
