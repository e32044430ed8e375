#include "cosim/check/sync_order_checker.h"

#include <fmt/format.h>

#include <algorithm>

#include "cosim/observe/format.h"

namespace shootdown::cosim {

namespace {

/// If nobody ever waits (a planted defect), only the last are kept.
constexpr std::size_t kMostOutstanding = 4096;

template <class Queue>
void bound(Queue& queue) {
  if (queue.size() > kMostOutstanding) queue.pop_front();
}

}  // namespace

void SyncOrderChecker::on_event(const Event& event) {
  if (const auto* tlbi = event.payload.get<hw::TlbiIssued>()) {
    tlbis_.push_back({.issuer = event.actor,
                      .number = tlbi->dvm_id,
                      .what = fmt::format("TLBI {}", tlbi->op),
                      .invalidation = tlbi->what,
                      .effects = {}});
    bound(tlbis_);
  } else if (const auto* fetched = event.payload.get<hw::CommandFetched>()) {
    const arch::Maintenance& command = fetched->command;
    const bool of_atc = command.what == arch::MaintenanceKind::kAtc;
    if (!command.invalidation) return;
    const Binding* binding = ledger_.spaces().binding(event.actor, command.stream_id);
    commands_[event.actor].push_back(
        {.issuer = event.actor,
         .number = fetched->number,
         .what = std::string(command.command),
         .invalidation = *command.invalidation,
         .of_atc = of_atc,
         .device = of_atc && binding != nullptr && binding->atc ? binding->device : kNoActor,
         .effects = {}});
    bound(commands_[event.actor]);
  } else if (const auto* error = event.payload.get<hw::CommandError>()) {
    // A command that was refused has no effect, which driver-misuse says; a barrier that failed has
    // told software that the ATCs before it have not answered.
    std::erase_if(commands_[event.actor], [&](const Outstanding& one) {
      return one.number == error->number || (error->timeout && one.of_atc);
    });
  } else if (const auto* effect = event.payload.get<hw::TlbInvalidate>()) {
    on_effect(event, *effect);
  } else if (const auto* answer = event.payload.get<hw::AtcInvalidationCompleted>()) {
    const ActorId device = ledger_.log().actor(event.actor).parent;
    if (device == kNoActor) return;
    for (Outstanding& one : commands_[ledger_.log().actor(device).parent]) {
      if (one.number == answer->command_number) one.answered = true;
    }
  } else if (const auto* dsb = event.payload.get<hw::DsbCompleted>()) {
    on_dsb(event, *dsb);
  } else if (const auto* sync = event.payload.get<hw::SyncCompleted>()) {
    on_sync(event, *sync);
  }
}

void SyncOrderChecker::on_effect(const Event& event, const hw::TlbInvalidate& e) {
  if (e.cause != hw::InvalidationCause::kDvm && e.cause != hw::InvalidationCause::kCommand) return;
  auto& waiting = e.cause == hw::InvalidationCause::kDvm ? tlbis_ : commands_[event.actor];
  for (Outstanding& one : waiting) {
    if (one.number == e.cause_id) one.effects.push_back(stamp_of(event));
  }
}

void SyncOrderChecker::on_dsb(const Event& event, const hw::DsbCompleted& dsb) {
  const auto vouched = [&](const Outstanding& tlbi) {
    return tlbi.issuer == event.actor && tlbi.number <= dsb.last_dvm_id;
  };
  for (const Outstanding& tlbi : tlbis_) {
    if (!vouched(tlbi)) continue;
    for (std::size_t i = 0; i < ledger_.log().actors().size(); ++i) {
      const auto tlb = static_cast<ActorId>(i);
      if (ledger_.spaces().takes_part_in_broadcast(tlb)) check_effect(event, tlb, tlbi);
    }
  }
  std::erase_if(tlbis_, vouched);
}

void SyncOrderChecker::on_sync(const Event& event, const hw::SyncCompleted& sync) {
  auto& commands = commands_[event.actor];
  while (!commands.empty() && commands.front().number <= sync.number) {
    const Outstanding& one = commands.front();
    if (!one.of_atc) {
      check_effect(event, event.actor, one);
    } else if (one.device != kNoActor && !one.answered) {
      report(event, event.actor, {one.invalidation.start},
             one.what + " has not completed at " + name(one.device));
    }
    commands.pop_front();
  }
}

void SyncOrderChecker::check_effect(const Event& completion, ActorId tlb,
                                    const Outstanding& invalidation) {
  const auto effect = std::find_if(invalidation.effects.begin(), invalidation.effects.end(),
                                   [&](const Stamp& one) { return one.actor == tlb; });
  if (effect == invalidation.effects.end()) {
    report(completion, tlb, {}, invalidation.what + " has not taken effect in " + name(tlb));
    return;
  }
  for (const OpenAccess& access : ledger_.cached().open_accesses(tlb)) {
    if (access.looked_up.sequence > effect->sequence) continue;
    const arch::VirtAddr page = arch::page_of(access.va);
    if (!invalidation.invalidation.covers(page.value, page.value + arch::kPageSize - 1,
                                          access.requester.asid, false)) {
      continue;
    }
    report(completion, tlb, access.va,
           fmt::format("an access of {} to {} that began at {} is still on its way after {}",
                       name(ledger_.requester(tlb, access.requester)), hex(access.va),
                       microseconds(access.looked_up.time_ps), invalidation.what));
  }
}

void SyncOrderChecker::report(const Event& completion, ActorId tlb, arch::VirtAddr va,
                              const std::string& text) {
  if (findings_.repeats(ViolationKind::kSyncOrder, tlb, va)) return;
  const bool dsb = completion.payload.get<hw::DsbCompleted>() != nullptr;
  const std::string completed(dsb ? "DSB" : ledger_.log().actor(completion.actor).words.barrier);
  Chain story = chain();
  story.add(ChainRole::kBarrier, stamp_of(completion), completed + " completes");
  story.add_missing(ChainRole::kEffect, tlb, text);
  findings_.report({.kind = ViolationKind::kSyncOrder,
                    .missing_hop = dsb ? Hop::kDsb : Hop::kSync,
                    .sequence = completion.sequence,
                    .time_ps = completion.time_ps,
                    .actor = tlb,
                    .actor_name = name(tlb),
                    .address = va,
                    .headline = completed + " completes, but " + text,
                    .hop_text = completed + " was reported before its effect",
                    .chain = std::move(story.items()),
                    .count = 1});
}

}  // namespace shootdown::cosim
