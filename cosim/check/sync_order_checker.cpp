#include "cosim/check/sync_order_checker.h"

#include <fmt/format.h>

#include "cosim/observe/format.h"

namespace shootdown::cosim {

namespace smmuv3 = arch::smmuv3;

void SyncOrderChecker::on_event(const Event& event) {
  if (const auto* dsb = event.payload.get<hw::DsbCompleted>()) {
    on_dsb(event, *dsb);
  } else if (const auto* sync = event.payload.get<hw::SyncCompleted>()) {
    on_sync(event, *sync);
  }
}

void SyncOrderChecker::on_dsb(const Event& event, const hw::DsbCompleted&) {
  const auto& tlbis = history_.tlbis();
  for (std::size_t i = first_tlbi_; i < tlbis.size(); ++i) {
    const TlbiRecord& tlbi = tlbis[i];
    // The history has just marked what this DSB completes.
    if (tlbi.completed.sequence != event.sequence) continue;
    const std::string what = fmt::format("TLBI {}", name_of(tlbi.op));
    for (std::size_t actor = 0; actor < history_.log().actors().size(); ++actor) {
      const auto id = static_cast<ActorId>(actor);
      if (history_.takes_part_in_broadcast(id)) {
        check_effect(event, id, hw::InvalidationCause::kDvm, tlbi.dvm_id, what);
      }
    }
  }
  while (first_tlbi_ < tlbis.size() && tlbis[first_tlbi_].completed) ++first_tlbi_;
}

void SyncOrderChecker::on_sync(const Event& event, const hw::SyncCompleted& sync) {
  const auto& commands = history_.commands();
  for (std::size_t i = first_command_; i < commands.size(); ++i) {
    const CommandRecord& command = commands[i];
    if (!command.fetched || command.number > sync.number) break;
    first_command_ = i + 1;
    if (command.refused) continue;  // driver-misuse says so
    const auto opcode = smmuv3::opcode_of(command.command);
    const std::string what{name_of(opcode)};
    if (smmuv3::is_tlbi(opcode)) {
      check_effect(event, event.actor, hw::InvalidationCause::kCommand, command.number, what);
    } else if (opcode == smmuv3::Opcode::kAtcInv) {
      const arch::StreamId sid{
          static_cast<std::uint32_t>(smmuv3::cmd0::Sid::get(command.command.dw0))};
      const Binding* binding = history_.binding(sid);
      if (binding != nullptr && binding->atc && !history_.atc_completed(command.number)) {
        report(event, event.actor, {smmuv3::cmd1::Va::get(command.command.dw1)},
               what + " has not completed at " + binding->device);
      }
    }
  }
}

void SyncOrderChecker::check_effect(const Event& completion, ActorId tlb,
                                    hw::InvalidationCause cause, std::uint64_t cause_id,
                                    const std::string& what) {
  const InvalidationRecord* effect = nullptr;
  const auto& records = history_.invalidations(tlb);
  for (auto record = records.rbegin(); record != records.rend(); ++record) {
    if (record->event.cause == cause && record->event.cause_id == cause_id) {
      effect = &*record;
      break;
    }
  }
  if (effect == nullptr) {
    report(completion, tlb, {}, what + " has not taken effect in " + actor_name(tlb));
    return;
  }
  for (const OpenAccess& access : history_.open_accesses(tlb)) {
    if (access.looked_up.sequence > effect->at.sequence) continue;
    const arch::VirtAddr page = arch::page_of(access.va);
    if (!effect->event.what.covers(page.value, page.value + arch::kPageSize - 1,
                                   access.requester.asid, false)) {
      continue;
    }
    report(completion, tlb, access.va,
           fmt::format("an access of {} to {} that began at {} is still on its way after {}",
                       requester_name(tlb, access.requester), hex(access.va),
                       microseconds(access.looked_up.time_ps), what));
  }
}

void SyncOrderChecker::report(const Event& completion, ActorId tlb, arch::VirtAddr va,
                              const std::string& text) {
  const std::string& name = actor_name(tlb);
  if (findings_.repeats("sync-order", name, va)) return;
  const bool dsb = completion.payload.get<hw::DsbCompleted>() != nullptr;
  const std::string completed = dsb ? "DSB" : "CMD_SYNC";
  Violation violation{.kind = "sync-order",
                      .time_ps = completion.time_ps,
                      .actor = name,
                      .address = va,
                      .headline = completed + " completes, but " + text,
                      .missing_hop = dsb ? "dsb" : "sync",
                      .hop_text = completed + " was reported before its effect",
                      .chain = {},
                      .count = 1};
  violation.chain.push_back({.time_ps = completion.time_ps,
                             .happened = true,
                             .actor = actor_name(completion.actor),
                             .text = completed + " completes",
                             .note = ""});
  violation.chain.push_back(
      {.time_ps = 0, .happened = false, .actor = name, .text = text, .note = "MISSING"});
  findings_.report(std::move(violation));
}

}  // namespace shootdown::cosim
