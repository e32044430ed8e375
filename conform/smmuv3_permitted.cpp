#include "conform/smmuv3_permitted.h"

#include "hw/arch/smmuv3_commands.h"
#include "hw/arch/smmuv3_registers.h"

namespace shootdown::conform {

namespace smmuv3 = arch::smmuv3;
namespace reg = arch::smmuv3::reg;

namespace {

std::uint32_t read32(SmmuBoard& board, std::uint32_t offset) {
  return static_cast<std::uint32_t>(board.read_register(offset, 4));
}

reference::Identification identification(SmmuBoard& board) {
  const hw::IdRegisters id = board.identification();
  return {.idr0 = id.idr0, .idr1 = id.idr1, .idr3 = id.idr3, .idr5 = id.idr5, .aidr = id.aidr};
}

}  // namespace

PermittedByArchitecture::PermittedByArchitecture(SmmuBoard& board, arch::PhysAddr ram_base,
                                                 std::uint64_t ram_bytes)
    : board_(board), permitted_(identification(board), ram_base.value, ram_bytes) {}

void PermittedByArchitecture::memory_written(arch::PhysAddr address, std::uint64_t bytes) {
  if (!board_.memory().contains(address, bytes)) return;
  const std::uint64_t end = address.value + bytes;
  for (std::uint64_t word = address.value & ~std::uint64_t{7}; word < end; word += 8) {
    permitted_.write_memory(word, board_.memory().read64({word}));
  }
}

void PermittedByArchitecture::registers_written() {
  permitted_.set_registers({.cr0 = read32(board_, reg::kCr0Ack),
                            .cr2 = read32(board_, reg::kCr2),
                            .gbpa = read32(board_, reg::kGbpa),
                            .strtab_base = board_.read_register(reg::kStrtabBase, 8),
                            .strtab_base_cfg = read32(board_, reg::kStrtabBaseCfg)});
}

void PermittedByArchitecture::command_queue_restarted() {
  consumed_ =
      static_cast<std::uint32_t>(smmuv3::cmdq_cons::Rd::get(read32(board_, reg::kCmdqCons)));
}

void PermittedByArchitecture::commands_consumed() {
  const std::uint64_t base = board_.read_register(reg::kCmdqBase, 8);
  const auto log2 = static_cast<unsigned>(smmuv3::queue_base::Log2Size::get(base));
  const auto cons =
      static_cast<std::uint32_t>(smmuv3::cmdq_cons::Rd::get(read32(board_, reg::kCmdqCons)));
  for (; !smmuv3::QueueIndex::empty(consumed_, cons, log2);
       consumed_ = smmuv3::QueueIndex::next(consumed_, log2)) {
    const arch::PhysAddr slot{smmuv3::queue_base::Addr::get(base) +
                              std::uint64_t{smmuv3::QueueIndex::slot(consumed_, log2)} *
                                  smmuv3::kCommandBytes};
    permitted_.command({board_.memory().read64(slot), board_.memory().read64(slot + 8)});
  }
}

std::vector<DmaOutcome> PermittedByArchitecture::outcomes(const SmmuBoard::Access& access) const {
  using Kind = reference::Outcome::Kind;
  std::vector<DmaOutcome> result;
  reference::Transaction transaction{.stream_id = access.stream_id.value,
                                     .substream_id = {},
                                     .address = access.address.value,
                                     .write = access.write,
                                     .privileged = access.privileged,
                                     .instruction = access.instruction};
  if (access.substream_id) transaction.substream_id = access.substream_id->value;
  for (const reference::Outcome& one : permitted_.outcomes(transaction)) {
    DmaOutcome outcome;
    outcome.bypass = one.kind == Kind::kBypass;
    switch (one.kind) {
      case Kind::kTranslated:
      case Kind::kBypass:
        outcome.result = "ok";
        outcome.translations.emplace_back(access.address.value, one.output);
        break;
      case Kind::kAbort:
        outcome.result = "abort";
        break;
      case Kind::kRazWi:
        outcome.result = "raz/wi";
        break;
      case Kind::kStall:
        outcome.result = "stall";
        break;
    }
    if (one.event) outcome.events.push_back(*one.event);
    result.push_back(std::move(outcome));
  }
  return result;
}

}  // namespace shootdown::conform
