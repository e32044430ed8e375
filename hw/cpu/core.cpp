#include "hw/cpu/core.h"

#include "hw/arch/check.h"

namespace shootdown::hw {

CpuCore::CpuCore(const sc_core::sc_module_name& name, Simulation& simulation, DvmNetwork& dvm,
                 const MmuConfig& config, TlbEngine* engine)
    : sc_core::sc_module(name),
      bus("bus", simulation),
      simulation_(simulation),
      dvm_(dvm),
      mmu_(simulation, bus, events, config, engine),
      dvm_number_(dvm.attach(*this, this->name())) {}

void CpuCore::set_context(const Stage1Context& context) {
  context_ = TranslationContext::of(context);
}

std::optional<CpuFault> CpuCore::user_access(arch::VirtAddr va, arch::Access access,
                                             std::uint64_t& data, unsigned bytes) {
  SHOOTDOWN_CHECK(bytes <= 8 && arch::page_of(va) == arch::page_of(va + (bytes - 1)),
                  "access crosses a page");
  const std::uint64_t access_id = ++access_id_;
  const Requester requester{
      .asid = context_.stage1.space.asid, .stream_id = {}, .substream_id = {}};
  const InFlightAccess in_flight(mmu_);
  const Mmu::Outcome outcome =
      mmu_.translate(access_id, requester, context_, {.va = va, .access = access});
  if (outcome.fault() != arch::FaultKind::kNone) {
    events.write(TranslationFault{.access_id = access_id,
                                  .requester = requester,
                                  .va = va,
                                  .access = access,
                                  .type = outcome.fault(),
                                  .text = name_of(outcome.fault()),
                                  .source = outcome.source,
                                  .stalled = false,
                                  .stag = 0});
    return CpuFault{.address = va, .access = access, .type = outcome.fault()};
  }
  const std::uint64_t translated_ps = simulation_.now_ps();
  const arch::PhysAddr pa = outcome.entry.translate(va);
  const bool ok =
      access == arch::Access::kRead ? bus.read(pa, &data, bytes) : bus.write(pa, &data, bytes);
  SHOOTDOWN_CHECK(ok, "page table entry points outside memory");
  events.write(AccessDone{.access_id = access_id,
                          .requester = requester,
                          .va = va,
                          .pa = pa,
                          .access = access,
                          .source = outcome.source,
                          .bytes = bytes,
                          .translated_ps = translated_ps});
  return std::nullopt;
}

void CpuCore::tlbi(arch::TlbiOp op, std::uint64_t operand) {
  simulation_.synchronize();
  last_dvm_id_ = dvm_.broadcast(dvm_number_, op, operand);
  events.write(TlbiIssued{.dvm_id = last_dvm_id_,
                          .what = arch::decode_tlbi(op, operand),
                          .op = name_of(op),
                          .operand = {operand}});
  simulation_.sleep_cycles(1);
}

void CpuCore::tlbi_local(const arch::Invalidation& what) {
  simulation_.synchronize();
  mmu_.invalidate(what, InvalidationCause::kLocal, 0);
  mmu_.drain();
}

void CpuCore::dsb() {
  simulation_.synchronize();
  dvm_.synchronize(dvm_number_);
  events.write(DsbCompleted{.last_dvm_id = last_dvm_id_});
}

void CpuCore::dvm_operation(const DvmOperation& operation) {
  mmu_.invalidate(arch::decode_tlbi(operation.op, operation.operand), InvalidationCause::kDvm,
                  operation.id);
}

void CpuCore::reset() {
  mmu_.reset();
  context_ = {};
  access_id_ = 0;
  last_dvm_id_ = 0;
}

}  // namespace shootdown::hw
