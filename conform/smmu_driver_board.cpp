#include "conform/smmu_driver_board.h"

#include "hw/arch/smmuv3_registers.h"

namespace shootdown::conform {

namespace smmuv3 = arch::smmuv3;
namespace reg = arch::smmuv3::reg;

SmmuDriverBoard::SmmuDriverBoard(arch::PhysAddr registers,
                                 const sw::smmu::IdRegisterValues& id_values)
    : registers_(registers.value),
      values_{{reg::kIdr0, id_values.idr0},
              {reg::kIdr1, id_values.idr1},
              {reg::kIdr3, id_values.idr3},
              {reg::kIdr5, id_values.idr5},
              {reg::kIidr, id_values.iidr}} {}

std::uint64_t SmmuDriverBoard::word(arch::PhysAddr address) const {
  const auto found = memory_.find(address.value);
  return found == memory_.end() ? 0 : found->second;
}

void SmmuDriverBoard::store(arch::PhysAddr address, std::uint64_t value) {
  memory_[address.value] = value;
  actions.emplace_back(Store{address.value, value});
}

std::uint64_t SmmuDriverBoard::compare_exchange(arch::PhysAddr address, std::uint64_t expected,
                                                std::uint64_t desired) {
  const std::uint64_t before = word(address);
  if (before == expected) store(address, desired);
  return before;
}

void SmmuDriverBoard::clear_page(arch::PhysAddr page) {
  for (std::uint64_t offset = 0; offset < arch::kPageSize; offset += 8) {
    memory_.erase(page.value + offset);
  }
}

void SmmuDriverBoard::copy_page(arch::PhysAddr to, arch::PhysAddr from) {
  for (std::uint64_t offset = 0; offset < arch::kPageSize; offset += 8) {
    memory_[to.value + offset] = word(from + offset);
  }
}

std::uint64_t SmmuDriverBoard::mmio_read(arch::PhysAddr address, unsigned) {
  const auto offset = static_cast<std::uint32_t>(address.value - registers_);
  const auto acknowledged = offset == reg::kCr0Ack       ? reg::kCr0
                            : offset == reg::kIrqCtrlAck ? reg::kIrqCtrl
                                                         : offset;
  return values_[acknowledged];
}

void SmmuDriverBoard::mmio_write(arch::PhysAddr address, std::uint64_t value, unsigned bytes) {
  const auto offset = static_cast<std::uint32_t>(address.value - registers_);
  if (offset == reg::kCmdqProd) {
    consume_commands(static_cast<std::uint32_t>(value));
    return;
  }
  values_[offset] = value;
  actions.emplace_back(RegisterWrite{offset, value, bytes});
}

void SmmuDriverBoard::consume_commands(std::uint32_t prod) {
  const auto log2 =
      static_cast<unsigned>(smmuv3::queue_base::Log2Size::get(values_[reg::kCmdqBase]));
  const std::uint64_t base = smmuv3::queue_base::Addr::get(values_[reg::kCmdqBase]);
  auto cons = static_cast<std::uint32_t>(values_[reg::kCmdqCons]);
  Submit submit;
  for (; cons != prod; cons = smmuv3::QueueIndex::next(cons, log2)) {
    const std::uint64_t slot =
        base + std::uint64_t{smmuv3::QueueIndex::slot(cons, log2)} * smmuv3::kCommandBytes;
    const smmuv3::Command command{word({slot}), word({slot + 8})};
    submit.commands.push_back(command);
    // The stores of the command itself are told by the submit.
    std::erase_if(actions, [&](const Action& action) {
      const auto* stored = std::get_if<Store>(&action);
      return stored != nullptr && (stored->address == slot || stored->address == slot + 8);
    });
    const bool signals_by_msi =
        smmuv3::opcode_of(command) == smmuv3::Opcode::kSync &&
        smmuv3::cmd0::SyncSignal::get(command.dw0) == smmuv3::kSyncSignalInterrupt;
    if (!signals_by_msi) continue;
    const std::uint64_t msi = smmuv3::cmd1::MsiAddress::get(command.dw1);
    memory_[msi] =
        (word({msi}) & ~std::uint64_t{0xffffffff}) | smmuv3::cmd0::SyncMsiData::get(command.dw0);
  }
  idle_turns_ = 0;
  values_[reg::kCmdqCons] = cons;
  values_[reg::kCmdqProd] = prod;
  if (!submit.commands.empty()) actions.emplace_back(std::move(submit));
}

void SmmuDriverBoard::sleep_on(sw::WaitQueue&) { throw DriverSleeps("the driver sleeps"); }
void SmmuDriverBoard::spin_on(sw::WaitQueue&) { throw std::logic_error("the driver spins"); }
void SmmuDriverBoard::cpu_relax() {
  constexpr unsigned kTurnsAtMost = 1000;
  if (++idle_turns_ > kTurnsAtMost) throw std::logic_error("the driver polls in vain");
}

}  // namespace shootdown::conform
