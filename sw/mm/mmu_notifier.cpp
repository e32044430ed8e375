#include "sw/mm/mmu_notifier.h"

namespace shootdown::sw {

namespace {

void call_all(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end, const char* callback) {
  if (mm.notifiers.empty() || mm.kernel.inject.skip_notifier) return;
  if (mm.kernel.inject.notifier_wrong_range && end != kEndOfAddressSpace) {
    const std::uint64_t length = end.value - start.value;
    start = start + length;
    end = end + length;
  }
  cpu.trace(NotifierCalled{
      .mm = mm.id, .start = start, .end = end, .callback = callback, .release = false});
  for (MmuNotifier* notifier : mm.notifiers) {
    notifier->arch_invalidate_secondary_tlbs(cpu, mm, start, end);
  }
}

}  // namespace

void mmu_notifier_arch_invalidate_secondary_tlbs(Cpu& cpu, Mm& mm, arch::VirtAddr start,
                                                 arch::VirtAddr end) {
  if (mm.notifiers.empty()) return;  // mm_has_notifiers()
  const FunctionTrace trace(cpu, "mmu_notifier_arch_invalidate_secondary_tlbs");
  call_all(cpu, mm, start, end, "arch_invalidate_secondary_tlbs");
}

void mmu_notifier_invalidate_range(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end) {
  if (mm.kernel.behaviour.notify_in_tlb_flush || mm.notifiers.empty()) return;
  const FunctionTrace trace(cpu, "mmu_notifier_invalidate_range");
  call_all(cpu, mm, start, end, "invalidate_range");
}

void mmu_notifier_invalidate_range_start(Cpu& cpu, const MmuNotifierRange&) {
  const FunctionTrace trace(cpu, "mmu_notifier_invalidate_range_start");
}

void mmu_notifier_invalidate_range_end(Cpu& cpu, const MmuNotifierRange& range) {
  const FunctionTrace trace(cpu, "mmu_notifier_invalidate_range_end");
  mmu_notifier_invalidate_range(cpu, range.mm, range.start, range.end);
}

void mmu_notifier_invalidate_range_only_end(Cpu& cpu, const MmuNotifierRange&) {
  const FunctionTrace trace(cpu, "mmu_notifier_invalidate_range_end");
}

void mmu_notifier_release(Cpu& cpu, Mm& mm) {
  if (mm.notifiers.empty()) return;
  const FunctionTrace trace(cpu, "mmu_notifier_release");
  cpu.trace(NotifierCalled{
      .mm = mm.id, .start = {}, .end = kEndOfAddressSpace, .callback = "release", .release = true});
  for (MmuNotifier* notifier : mm.notifiers) notifier->release(cpu, mm);
  mm.notifiers.clear();
}

}  // namespace shootdown::sw
