#include "hw/smmu/pri_queue.h"

#include <array>

namespace shootdown::hw {

namespace smmuv3 = arch::smmuv3;
namespace reg = arch::smmuv3::reg;

PriQueue::PriQueue(Simulation& simulation, BusMaster& bus, EventPort& events,
                   RegisterFile& registers, Interrupts& interrupts, unsigned max_log2, bool align)
    : events_(events),
      registers_(registers),
      interrupts_(interrupts),
      queue_(bus, registers,
             {.base = reg::kPriqBase,
              .prod = reg::kPriqProd,
              .cons = reg::kPriqCons,
              .enable = smmuv3::cr0::Priqen::kMask,
              .abort_error = smmuv3::gerror::PriqAbt::kMask,
              .max_log2 = max_log2,
              .record_bytes = smmuv3::kPageRequestBytes,
              .align = align}),
      writer_(simulation) {}

std::optional<PageResponse> PriQueue::push(arch::StreamId sid,
                                           std::optional<arch::SubstreamId> ssid,
                                           const PageRequest& request) {
  using namespace smmuv3;  // PRI record fields
  const ArbiterHold hold(writer_);
  const bool stop_marker = ssid && request.last && !request.read && !request.write;
  const auto answer = [&](PageResponse response) {
    return stop_marker ? std::nullopt : std::optional(response);  // nobody waits for one
  };
  // PRIQEN counts as 0 while the SMMU is off.
  const bool on = queue_.enabled() && registers_.enabled(cr0::Smmuen::kMask);
  if (!on || queue_.aborted()) return answer(PageResponse::kFailure);
  const auto last_only = [&] {
    return irq_cfg::PriqLastOnly::get(registers_.get(reg::kPriqIrqCfg2)) != 0;
  };
  if (queue_.full()) queue_.note_overflow();
  if (queue_.overflow_pending()) {
    if (!request.last) return std::nullopt;
    // Lost; whoever waits for an answer to the whole group is told to try again, and software that
    // counts Last requests is told of this one.
    if (last_only()) interrupts_.raise(Interrupts::Source::kPriQueue);
    return answer(PageResponse::kSuccess);
  }
  std::array<std::uint64_t, 2> record{};
  record[0] = pri0::Sid::of(sid.value) | pri0::Privileged::of(ssid && request.privileged) |
              pri0::Execute::of(ssid && request.execute) | pri0::Read::of(request.read) |
              pri0::Write::of(request.write) | pri0::Last::of(request.last);
  if (ssid) record[0] |= pri0::Ssv::of(1) | pri0::Ssid::of(ssid->value);
  record[1] = pri1::PrgIndex::of(request.group) | pri1::Addr::set(0, request.address.value);
  const OutputQueue::Pushed pushed = queue_.push(record.data());
  if (pushed == OutputQueue::Pushed::kAborted) {
    interrupts_.error(queue_.place().abort_error);
    return answer(PageResponse::kFailure);
  }
  events_.write(PageRequestRecorded{.stream_id = sid,
                                    .substream_id = ssid.value_or(arch::SubstreamId{}),
                                    .address = request.address,
                                    .group = request.group,
                                    .last = request.last});
  const bool first = pushed == OutputQueue::Pushed::kFirst;
  if (last_only() ? request.last : first) interrupts_.raise(Interrupts::Source::kPriQueue);
  return std::nullopt;
}

void PriQueue::drain() { const ArbiterHold hold(writer_); }

}  // namespace shootdown::hw
