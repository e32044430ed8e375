// An SMMU with tables and queues that tests fill by hand, literally: words and bit positions as the
// specification prints them, nothing of the model's own decoding.
#ifndef SHOOTDOWN_TESTS_SUPPORT_SMMU_BENCH_H
#define SHOOTDOWN_TESTS_SUPPORT_SMMU_BENCH_H

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "conform/smmu_board.h"

namespace shootdown::tests {

using Words2 = std::array<std::uint64_t, 2>;
using Words4 = std::array<std::uint64_t, 4>;
using Words8 = std::array<std::uint64_t, 8>;

/// CMD_RESUME: retry, or terminate with an abort.
inline Words2 cmd_resume(std::uint32_t sid, std::uint64_t stag, bool retry) {
  return {(retry ? 0x1044U : 0x2044U) | std::uint64_t{sid} << 32, stag & 0xffff};
}

class SmmuBench {
 public:
  // RAM and what is where in it. Tables and pages are taken from kFree on.
  static constexpr std::uint64_t kRam = 0x4000'0000;
  static constexpr std::uint64_t kRamBytes = 0x1000'0000;
  static constexpr std::uint64_t kStreamTable = 0x4001'0000;  // linear, 2^kStreamLog2 entries
  static constexpr unsigned kStreamLog2 = 6;
  static constexpr std::uint64_t kCommandQueue = 0x4002'0000;
  static constexpr std::uint64_t kEventQueue = 0x4003'0000;
  static constexpr std::uint64_t kPriQueue = 0x4004'0000;
  static constexpr std::uint64_t kContextDescriptors = 0x4010'0000;  // 64 KiB a stream
  static constexpr std::uint64_t kFree = 0x4100'0000;

  // Descriptors: AF, inner shareable, not global.
  static constexpr std::uint64_t kReadWrite = 0xf43;   // AP = 01
  static constexpr std::uint64_t kReadOnly = 0xfc3;    // AP = 11
  static constexpr std::uint64_t kPrivileged = 0xf03;  // AP = 00

  explicit SmmuBench(const hw::SmmuConfig& config) : board(config, {kRam}, kRamBytes) {}

  conform::SmmuBoard board;
  unsigned queue_log2{4};  ///< of all three queues; set before boot()

  /// Runs `script` in a simulated process, from reset.
  void run(const std::function<void()>& script) {
    next_free_ = kFree;
    prod_ = 0;
    event_cons_ = 0;
    tables_.clear();
    board.run([&] { script(); });
  }

  // ---- For the script: registers and memory ----
  std::uint64_t word(std::uint64_t address) { return board.memory().read64({address}); }
  void write_word(std::uint64_t address, std::uint64_t value) {
    board.memory().write64({address}, value);
  }
  std::uint32_t reg(std::uint32_t offset) {
    return static_cast<std::uint32_t>(board.read_register(offset, 4));
  }
  void set_reg(std::uint32_t offset, std::uint64_t value, unsigned bytes = 4) {
    board.write_register(offset, value, bytes);
  }
  void set_cr0(std::uint32_t value) {
    set_reg(0x20, value);
    board.wait_until([&] { return reg(0x24) == value; });
  }
  /// Lets time pass.
  void pause(unsigned cycles) { board.simulation().sleep_cycles(cycles); }

  /// Queues on, interrupts on (wires), SMMU on: CR0 as given (SMMUEN, EVENTQEN, CMDQEN; PRIQEN = 2
  /// and ATSCHK = 0x10 where the features are there).
  void boot(std::uint32_t cr0 = 0xd) {
    set_reg(0x80, kStreamTable, 8);
    set_reg(0x88, kStreamLog2);
    set_reg(0x90, kCommandQueue | queue_log2, 8);
    set_reg(0x98, 0);
    set_reg(0x9c, 0);
    set_reg(0xa0, kEventQueue | queue_log2, 8);
    set_reg(0x100a8, 0);
    set_reg(0x100ac, 0);
    set_reg(0xc0, kPriQueue | queue_log2, 8);
    set_reg(0x100c8, 0);
    set_reg(0x100cc, 0);
    set_reg(0x2c, 0x2);  // RECINVSID
    set_reg(0x50, 0x7);
    set_cr0(cr0);
  }

  // ---- Queues ----
  /// Puts commands into the queue and moves PROD. Does not wait.
  void submit(const std::vector<Words2>& commands) {
    for (const Words2& command : commands) {
      const std::uint64_t slot = kCommandQueue + (prod_ & ((1U << queue_log2) - 1)) * 16;
      write_word(slot, command[0]);
      write_word(slot + 8, command[1]);
      prod_ = (prod_ + 1) & ((2U << queue_log2) - 1);
    }
    set_reg(0x98, prod_);
  }
  bool commands_done() { return (reg(0x9c) & 0xfffff) == prod_; }
  bool stopped() { return ((reg(0x60) ^ reg(0x64)) & 1) != 0; }
  /// Until all commands are consumed or the queue has stopped.
  void settle() {
    board.wait_until([&] { return commands_done() || stopped(); });
  }
  /// Submits, then CMD_SYNC, and waits.
  void command(const Words2& one) {
    submit({one, {0x46, 0}});
    settle();
  }
  /// CMD_SYNC, and waits for it: the events of accesses that have ended are in the queue, or lost.
  void sync() {
    submit({{0x46, 0}});
    settle();
  }
  /// The records that have come since the last call; CONS follows unless `acknowledge` is false.
  std::vector<Words4> events(bool acknowledge = true) {
    std::vector<Words4> result;
    const std::uint32_t prod = reg(0x100a8);
    const std::uint32_t mask = (2U << queue_log2) - 1;
    for (; ((event_cons_ ^ prod) & mask) != 0; event_cons_ = (event_cons_ + 1) & mask) {
      const std::uint64_t slot = kEventQueue + (event_cons_ & (mask >> 1)) * 32;
      result.push_back({word(slot), word(slot + 8), word(slot + 16), word(slot + 24)});
    }
    if (acknowledge) set_reg(0x100ac, event_cons_ | (prod & 0x80000000));
    return result;
  }
  bool event_pending() { return ((reg(0x100a8) ^ event_cons_) & ((2U << queue_log2) - 1)) != 0; }

  // ---- Tables ----
  void set_ste(std::uint32_t sid, const Words8& ste) {
    for (std::size_t i = 0; i < ste.size(); ++i)
      write_word(kStreamTable + sid * 64 + 8 * i, ste[i]);
  }
  static std::uint64_t cd_address(std::uint32_t sid, std::uint32_t ssid = 0) {
    return kContextDescriptors + sid * 0x10000 + ssid * 64;
  }
  void set_cd(std::uint32_t sid, std::uint32_t ssid, const Words8& cd) {
    for (std::size_t i = 0; i < cd.size(); ++i) write_word(cd_address(sid, ssid) + 8 * i, cd[i]);
  }
  /// A stream of stage 1 with one CD: 4 KiB granule, T0SZ 16, 48 bits, TTB1 off. `cd_bits` is OR'ed
  /// into its first word (S = 1 << 44, ASET = 1 << 47 ...), `ste1` is the STE's second word.
  void stage1_stream(std::uint32_t sid, std::uint16_t asid, std::uint64_t cd_bits = 0,
                     std::uint64_t ste1 = 0) {
    set_ste(sid, {0xb | cd_address(sid), ste1});
    set_cd(sid, 0, stage1_cd(asid, cd_bits));
  }
  Words8 stage1_cd(std::uint16_t asid, std::uint64_t cd_bits = 0) {
    const std::uint64_t word0 =
        0x0000'6205'c000'3510 | std::uint64_t{asid} << 48 | cd_bits;  // V AA64 R A IPS=48 EPD1
    return {word0, root(asid), 0, 0xff};
  }

  /// The first-level table of an address space; made when it is first asked for.
  std::uint64_t root(std::uint16_t space) {
    auto& table = tables_[space];
    if (table == 0) table = allocate();
    return table;
  }
  /// Address of the descriptor for `va` at `level` (3: page), making the tables above it.
  std::uint64_t descriptor(std::uint16_t space, std::uint64_t va, int level = 3) {
    std::uint64_t table = root(space);
    for (int at = 0; at < level; ++at) {
      const std::uint64_t entry = table + index(va, at) * 8;
      if ((word(entry) & 3) != 3) write_word(entry, allocate() | 3);
      table = word(entry) & 0x0000'ffff'ffff'f000;
    }
    return table + index(va, level) * 8;
  }
  void map(std::uint16_t space, std::uint64_t va, std::uint64_t pa,
           std::uint64_t attributes = kReadWrite) {
    write_word(descriptor(space, va), pa | attributes);
  }
  /// A page of RAM, zero.
  std::uint64_t allocate() { return std::exchange(next_free_, next_free_ + 0x1000); }

  // ---- Devices ----
  static conform::SmmuBoard::Access access(std::uint32_t sid, std::uint64_t va, bool write) {
    conform::SmmuBoard::Access result;
    result.stream_id = arch::StreamId{sid};
    result.address = {va};
    result.write = write;
    return result;
  }
  /// An access of four bytes that cannot stall: where it went, or nothing.
  std::optional<std::uint64_t> dma(std::uint32_t sid, std::uint64_t va, bool write = false) {
    std::array<std::uint8_t, 4> data{1, 2, 3, 4};
    const auto done = board.dma(access(sid, va, write), data.data(), data.size());
    if (!done.output) return std::nullopt;
    return done.output->value;
  }

  // ---- Stage 2 ----
  // Descriptors: write-back, inner shareable, AF, read and write.
  static constexpr std::uint64_t kStage2ReadWrite = 0x7ff;
  static constexpr std::uint64_t kStage2Block = 0x7fd;
  /// The STE's third word: 4 KiB granule, 48 bits from level 0 on, S2R.
  static constexpr std::uint64_t stage2_word(std::uint16_t vmid) {
    return 0x040d'3590'0000'0000 | std::uint64_t{vmid};
  }

 private:
  static std::uint64_t index(std::uint64_t va, int level) { return va >> (39 - 9 * level) & 0x1ff; }

  std::uint64_t next_free_{kFree};
  std::uint32_t prod_{};
  std::uint32_t event_cons_{};
  std::map<std::uint16_t, std::uint64_t> tables_;
};

}  // namespace shootdown::tests

#endif
