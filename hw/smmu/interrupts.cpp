#include "hw/smmu/interrupts.h"

#include <string_view>

namespace shootdown::hw {

namespace smmuv3 = arch::smmuv3;
namespace reg = arch::smmuv3::reg;

namespace {

struct SourceInfo {
  std::string_view name;
  std::uint64_t enable;  ///< in IRQ_CTRL
  std::uint32_t config0;
  std::uint64_t abort;  ///< in GERROR
};

SourceInfo info_of(Interrupts::Source source) {
  namespace irq = smmuv3::irq_ctrl;
  namespace err = smmuv3::gerror;
  switch (source) {
    case Interrupts::Source::kGerror:
      break;
    case Interrupts::Source::kEventQueue:
      return {"evtq", irq::Eventq::kMask, reg::kEventqIrqCfg0, err::MsiEventqAbt::kMask};
    case Interrupts::Source::kPriQueue:
      return {"priq", irq::Priq::kMask, reg::kPriqIrqCfg0, err::MsiPriqAbt::kMask};
  }
  return {"gerror", irq::Gerror::kMask, reg::kGerrorIrqCfg0, err::MsiGerrorAbt::kMask};
}

constexpr std::uint32_t kConfig1 = 8;  // IRQ_CFG1 behind IRQ_CFG0

}  // namespace

bool Interrupts::write_msi(arch::PhysAddr address, std::uint32_t data) {
  return bus_.write(address, &data, sizeof data);
}

void Interrupts::raise(Source source) {
  const SourceInfo info = info_of(source);
  if (!registers_.interrupt_enabled(info.enable)) return;
  // From here on it is on its way, whatever software switches off.
  ++sending_;
  events_.write(InterruptRaised{.line = info.name});
  const arch::PhysAddr address{smmuv3::irq_cfg::Addr::get(registers_.get64(info.config0))};
  const std::uint32_t data = registers_.get(info.config0 + kConfig1);
  const bool lost = address.value != 0 && !write_msi(address, data);
  simulation_.choice(ChoiceKind::kInterrupt);
  // The wire is there beside the message (section 3.18.2); connected or not.
  InterruptLine& line = source == Source::kGerror       ? lines_.gerror
                        : source == Source::kEventQueue ? lines_.event
                                                        : lines_.pri;
  line.raise();
  --sending_;
  sent_.wake_all();
  if (lost) error(info.abort);
}

void Interrupts::drain() {
  while (sending_ != 0) sent_.wait();
}

void Interrupts::error(std::uint64_t gerror_mask) {
  const auto mask = static_cast<std::uint32_t>(gerror_mask);
  if ((registers_.active_errors() & mask) != 0) return;
  registers_.set(reg::kGerror, registers_.get(reg::kGerror) ^ mask);
  // That the interrupt itself could not be delivered is no reason to raise it again.
  if (gerror_mask != smmuv3::gerror::MsiGerrorAbt::kMask) raise(Source::kGerror);
}

void Interrupts::sync_completed(arch::PhysAddr address, std::uint32_t data) {
  events_.write(InterruptRaised{.line = "sync"});
  if (address.value != 0 && !write_msi(address, data)) error(smmuv3::gerror::MsiCmdqAbt::kMask);
  simulation_.choice(ChoiceKind::kInterrupt);
  lines_.sync.raise();
}

}  // namespace shootdown::hw
