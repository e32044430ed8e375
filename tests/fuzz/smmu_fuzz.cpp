#include "fuzz/smmu_fuzz.h"

#include <fmt/format.h>

#include <array>
#include <iterator>
#include <memory>

#include "support/smmu_bench.h"
#include "support/smmu_outcome.h"

namespace shootdown::tests {
namespace {

using Access = conform::SmmuBoard::Access;
using Kind = hw::StreamExtension::Kind;

constexpr unsigned kStreams = 4;
constexpr unsigned kSubstreams = 4;
constexpr unsigned kTables = 16;
constexpr std::uint64_t kTableArea = SmmuBench::kFree;
constexpr std::uint64_t kWindow = 0x12'3440'0000;

// IDR0 to IDR5, IIDR and AIDR: stage 1 that terminates; both stages with substreams that stall; all
// there is.
const hw::IdRegisters kMachines[] = {
    {0x0549'101a, 0x0273'0010, 0x1414, 0x400075, 0, 1},
    {0x084c'101b, 0x0273'0a10, 0x1414, 0x400075, 0, 2},
    {0x084f'76bb, 0x0673'9a10, 0x1e14, 0x400476, 0, 2},
};

/// The input, zero after its end.
class Bytes {
 public:
  Bytes(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}
  bool empty() const { return size_ == 0; }
  std::uint8_t byte() {
    if (size_ == 0) return 0;
    --size_;
    return *data_++;
  }
  std::uint64_t number(unsigned bytes) {
    std::uint64_t value = 0;
    for (unsigned i = 0; i < bytes; ++i) value |= std::uint64_t{byte()} << 8 * i;
    return value;
  }
  std::uint64_t below(std::uint64_t bound) { return byte() % bound; }
  bool flag() { return (byte() & 1) != 0; }

 private:
  const std::uint8_t* data_;
  std::size_t size_;
};

class Run {
 public:
  Run(const hw::IdRegisters& id, Bytes input, const Tampering* tampering)
      : input_(input), bench_(config(id)), id_(id), tampering_(tampering) {}

  std::string operator()() {
    bench_.run([this] { script(); });
    return problem_;
  }

 private:
  static hw::SmmuConfig config(const hw::IdRegisters& id) {
    hw::SmmuConfig config;
    config.features = hw::features_of(id);
    config.mmu.translator.tlb = {.entries = 8, .ways = 2};
    config.config_cache.ste = config.config_cache.cd = {.entries = 4};
    config.config_cache.l1 = {.entries = 2};
    return config;
  }

  void script() {
    judged_ = input_.flag();
    make_tables();
    bench_.boot((id_.idr0 >> 16 & 1) != 0 ? 0xf : 0xd);
    if (judged_) {
      permitted_ = std::make_unique<conform::PermittedByArchitecture>(
          bench_.board, arch::PhysAddr{SmmuBench::kRam}, SmmuBench::kRamBytes);
      permitted_->registers_written();
      permitted_->command_queue_restarted();
      permitted_->memory_written({SmmuBench::kStreamTable}, kStreams * 64);
      for (std::uint32_t sid = 0; sid < kStreams; ++sid) {
        permitted_->memory_written({SmmuBench::cd_address(sid)}, kSubstreams * 64);
      }
      permitted_->memory_written({kTableArea}, kTables * 0x1000);
    }
    while (!input_.empty() && problem_.empty()) {
      if (judged_) {
        judged_step();
      } else {
        free_step();
      }
    }
    if (!judged_) come_to_an_end();
  }

  // ---- Memory ----
  /// Streams of stage 1, of both stages where there are two, and tables that lead to pages.
  void make_tables() {
    for (std::uint32_t sid = 0; sid < kStreams; ++sid) {
      const auto space = static_cast<std::uint16_t>(1 + sid);
      bench_.stage1_stream(sid, space);
      for (std::uint32_t ssid = 1; ssid < kSubstreams; ++ssid) {
        bench_.set_cd(sid, ssid, bench_.stage1_cd(space));
      }
      bench_.map(space, kWindow, SmmuBench::kRam + 0x80'0000);
      bench_.map(space, kWindow + 0x1000, SmmuBench::kRam + 0x80'1000, SmmuBench::kReadOnly);
    }
  }
  std::uint64_t word_address() {
    switch (input_.below(3)) {
      case 0:
        return SmmuBench::kStreamTable + input_.below(kStreams) * 64 + input_.below(8) * 8;
      case 1: {
        const auto sid = static_cast<std::uint32_t>(input_.below(kStreams));
        const auto ssid = static_cast<std::uint32_t>(input_.below(kSubstreams));
        return SmmuBench::cd_address(sid, ssid) + input_.below(8) * 8;
      }
      default:
        return kTableArea + input_.below(kTables) * 0x1000 + input_.number(2) % 512 * 8;
    }
  }
  void write_word(std::uint64_t address, std::uint64_t value) {
    bench_.write_word(address, value);
    if (permitted_) permitted_->memory_written({address}, 8);
  }
  void edit_memory() {
    const std::uint64_t address = word_address();
    switch (input_.below(3)) {
      case 0:
        return write_word(address, bench_.word(address) ^ std::uint64_t{1} << input_.below(64));
      case 1:  // leads to another table
        return write_word(address, (kTableArea + input_.below(kTables) * 0x1000) | input_.byte());
      default:
        return write_word(address, input_.number(8));
    }
  }

  // ---- Accesses ----
  Access access() {
    Access result;
    result.stream_id = arch::StreamId{static_cast<std::uint32_t>(input_.below(kStreams + 1))};
    const std::uint8_t how = input_.byte();
    if ((how & 1) != 0) {
      result.substream_id =
          arch::SubstreamId{static_cast<std::uint32_t>(input_.below(kSubstreams + 1))};
    }
    result.write = (how & 2) != 0;
    result.privileged = (how & 4) != 0;
    result.instruction = (how & 8) != 0;
    result.no_write = (how & 16) != 0;
    result.address = {(how & 32) != 0 ? input_.number(8) & ~std::uint64_t{3}
                                      : kWindow + input_.below(4) * 0x1000};
    return result;
  }

  // ---- Judged: by memory alone, nothing cached ----
  void judged_step() {
    if (input_.below(3) != 0) return edit_memory();
    bench_.board.smmu().flush_caches();
    judge(access());
  }
  void judge(const Access& access) {
    const auto by_memory = permitted_->outcomes(access).front();
    auto outcome = perform_access(bench_, *permitted_, access);
    if (tampering_ != nullptr) tampering_->change(outcome);
    if (same_outcome(outcome, by_memory)) return;
    problem_ = fmt::format("{}{}{} {:#x} of stream {} substream {}: {}\n  by the tables: {}",
                           access.write ? "write" : "read", access.privileged ? " privileged" : "",
                           access.instruction ? " instruction" : "", access.address.value,
                           access.stream_id.value,
                           access.substream_id ? static_cast<int>(access.substream_id->value) : -1,
                           describe(outcome), describe(by_memory));
  }

  // ---- Free ----
  void free_step() {
    switch (input_.below(8)) {
      case 0:
      case 1:
        return edit_memory();
      case 2:
        return launch();
      case 3:
        return submit();
      case 4:
        return write_register();
      case 5:
        bench_.reg(static_cast<std::uint32_t>(input_.number(2)) & ~3U);
        return;
      case 6:
        return bench_.pause(1U + input_.byte());
      default:
        bench_.events();
        bench_.set_reg(0x64, bench_.reg(0x60));  // GERRORN
    }
  }
  void launch() {
    const auto device = static_cast<unsigned>(input_.below(conform::SmmuBoard::kDevices));
    if (!idle(device)) return;
    Access next = access();
    next.kind = static_cast<Kind>(input_.below(5));
    launched_[device] = true;
    bench_.board.launch(device, next, data_[device].data(), 4);
  }
  bool idle(unsigned device) { return !launched_[device] || bench_.board.done(device); }
  void submit() {
    const std::uint64_t dw0 = input_.number(8);
    bench_.submit({{dw0, input_.number(8)}});
  }
  void write_register() {
    constexpr std::uint32_t kPage1 = 0x10000;
    const auto at = static_cast<std::uint32_t>(input_.number(2)) & 0x1fcU;
    const std::uint32_t offset = input_.flag() ? kPage1 + at : at;
    const unsigned bytes = input_.flag() && offset % 8 == 0 ? 8 : 4;
    bench_.set_reg(offset, input_.number(bytes), bytes);
  }
  /// Whatever it has been through, an SMMU that is switched off lets go of every transaction.
  void come_to_an_end() {
    bench_.set_reg(0x20, 0);
    const bool off = bench_.board.wait_until([&] { return bench_.reg(0x24) == 0; });
    if (!off) problem_ = "CR0ACK does not follow CR0 = 0";
    bench_.board.wait_until([&] {
      for (unsigned device = 0; device < launched_.size(); ++device) {
        if (!idle(device)) return false;
      }
      return true;
    });
    for (unsigned device = 0; device < launched_.size(); ++device) {
      if (!idle(device)) problem_ = fmt::format("device {} waits for an SMMU that is off", device);
    }
  }

  Bytes input_;
  SmmuBench bench_;
  hw::IdRegisters id_;
  const Tampering* tampering_;
  bool judged_{};
  std::unique_ptr<conform::PermittedByArchitecture> permitted_;
  std::array<bool, conform::SmmuBoard::kDevices> launched_{};
  std::array<std::array<std::uint8_t, 8>, conform::SmmuBoard::kDevices> data_{};
  std::string problem_;
};

}  // namespace

std::string run_smmu_fuzz_input(const std::uint8_t* data, std::size_t size,
                                const Tampering* tampering) {
  Bytes input(data, size);
  const hw::IdRegisters& machine = kMachines[input.below(std::size(kMachines))];
  return Run(machine, input, tampering)();
}

}  // namespace shootdown::tests
