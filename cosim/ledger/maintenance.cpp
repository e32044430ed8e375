#include "cosim/ledger/maintenance.h"

#include <algorithm>
#include <utility>

namespace shootdown::cosim {

namespace {

/// Where functions are not traced a stay has no end: it is cut after so many records.
constexpr std::size_t kLongestUntracedStay = 256;
/// Of TLBIs and commands that nobody ever waits for (a planted defect) only the last are kept.
constexpr std::size_t kMostOutstanding = 4096;

std::size_t records_of(const Stay& stay) {
  return stay.flushes.size() + stay.tlbis.size() + stay.ipis.size() + stay.notifiers.size() +
         stay.commands.size();
}

}  // namespace

std::shared_ptr<Stay>& Maintenance::stay_of(const Stamp& at) {
  constexpr std::uint32_t kHardware = 0x10000;
  ThreadStay& own = stays_[at.thread != kNoThread ? at.thread : kHardware | at.actor];
  const std::uint64_t entered = stacks_->entered_kernel(at.thread).sequence;
  const bool flushing = std::any_of(open_.begin(), open_.end(), [&](const auto& flush) {
    return flush->begin.thread == at.thread;
  });
  const bool cut =
      entered == 0 && own.stay && !flushing && records_of(*own.stay) >= kLongestUntracedStay;
  if (!own.stay || own.entered != entered || cut) {
    own = {.stay = std::make_shared<Stay>(), .entered = entered};
  }
  return own.stay;
}

FlushInStay Maintenance::began(const Stamp& at, const sw::FlushBegin& e) {
  auto flush = std::make_shared<FlushRecord>(FlushRecord{.begin = at,
                                                         .end = {},
                                                         .number = e.flush,
                                                         .mm = e.mm,
                                                         .start = e.start,
                                                         .limit = e.end,
                                                         .secondary = e.secondary,
                                                         .idle = false,
                                                         .path = stacks_->path(at.thread),
                                                         .local = {}});
  open_.push_back(flush);
  std::shared_ptr<Stay>& stay = stay_of(at);
  stay->flushes.push_back(flush);
  return {.flush = std::move(flush), .stay = stay};
}

std::shared_ptr<const FlushRecord> Maintenance::ended(const Stamp& at, const sw::FlushEnd& e) {
  const auto found = std::find_if(open_.begin(), open_.end(),
                                  [&](const auto& flush) { return flush->number == e.flush; });
  if (found == open_.end()) return nullptr;
  const std::shared_ptr<FlushRecord> flush = *found;
  open_.erase(found);
  flush->idle = !e.done;
  if (flush->idle) return nullptr;
  flush->end = at;
  return flush;
}

void Maintenance::issued(const Stamp& at, const hw::TlbiIssued& e) {
  auto tlbi = std::make_shared<TlbiRecord>(TlbiRecord{
      .at = at, .completed = {}, .dvm_id = e.dvm_id, .what = e.what, .op = e.op, .effects = {}});
  tlbi->effects.reserve(most_effects_);
  stay_of(at)->tlbis.push_back(tlbi);
  tlbis_.push_back(std::move(tlbi));
  if (tlbis_.size() > kMostOutstanding) tlbis_.pop_front();
}

void Maintenance::barrier(const Stamp& at, const hw::DsbCompleted& e) {
  std::erase_if(tlbis_, [&](const std::shared_ptr<TlbiRecord>& tlbi) {
    if (tlbi->at.actor != at.actor || tlbi->dvm_id > e.last_dvm_id) return false;
    tlbi->completed = at;
    return true;
  });
}

void Maintenance::sent(const Stamp& at, const sw::IpiSent& e) {
  stay_of(at)->ipis.push_back({.at = at, .mask = e.mask.value});
}

void Maintenance::notified(const Stamp& at, const sw::NotifierCalled& e) {
  stay_of(at)->notifiers.push_back({.at = at,
                                    .mm = e.mm,
                                    .start = e.start,
                                    .limit = e.end,
                                    .callback = e.callback,
                                    .release = e.release});
}

void Maintenance::submitted(const Stamp& at, const sw::CommandSubmitted& e) {
  auto command = std::make_shared<CommandRecord>();
  command->submitted = at;
  command->command = e.command;
  stay_of(at)->commands.push_back(command);
  units_[log_->find(ActorRole::kSecondaryMmu, e.unit)].submitted.push_back(std::move(command));
}

void Maintenance::fetched(const Stamp& at, const hw::CommandFetched& e) {
  Unit& unit = units_[at.actor];
  // Commands are taken in the order of submission; one at which the queue stopped comes again,
  // edited.
  std::shared_ptr<CommandRecord> command = std::exchange(unit.stopped_at, nullptr);
  if (!command) {
    if (unit.submitted.empty()) return;
    command = unit.submitted.front();
    unit.submitted.pop_front();
  }
  // What is neither an invalidation nor a barrier is done when the next command is taken, and no
  // barrier may ever come.
  if (!unit.fetched.empty()) {
    const auto last = std::prev(unit.fetched.end());
    if (last->second->command.what == arch::MaintenanceKind::kOther) unit.fetched.erase(last);
  }
  command->fetched = at;
  command->number = e.number;
  unit.fetched[e.number] = std::move(command);
  if (unit.fetched.size() > kMostOutstanding) unit.fetched.erase(unit.fetched.begin());
}

void Maintenance::failed(const Stamp& at, const hw::CommandError& e) {
  Unit& unit = units_[at.actor];
  const auto found = unit.fetched.find(e.number);
  if (found == unit.fetched.end()) return;
  CommandRecord& command = *found->second;
  command.failed = at;
  command.error = e.text;
  command.timeout = e.timeout;
  unit.stopped_at = found->second;
  unit.fetched.erase(found);
}

void Maintenance::completed(const Stamp& at, const hw::SyncCompleted& e) {
  Unit& unit = units_[at.actor];
  const auto barrier = unit.fetched.find(e.number);
  if (barrier != unit.fetched.end()) barrier->second->completed = at;
  // Nothing before it can have an effect any more, unless the barrier was too early. What is late
  // by more than the next barrier is forgotten.
  const auto last_but_one =
      std::find_if(unit.fetched.begin(), unit.fetched.end(), [&](const auto& fetched) {
        return fetched.second->command.what == arch::MaintenanceKind::kBarrier;
      });
  if (last_but_one != unit.fetched.end() && last_but_one->first < e.number) {
    unit.fetched.erase(unit.fetched.begin(), std::next(last_but_one));
  }
}

void Maintenance::answered(const Stamp& at, const hw::AtcInvalidationCompleted& e) {
  const ActorId device = log_->actor(at.actor).parent;
  if (device == kNoActor) return;
  const auto unit = units_.find(log_->actor(device).parent);
  if (unit == units_.end()) return;
  const auto command = unit->second.fetched.find(e.command_number);
  if (command != unit->second.fetched.end()) command->second->completed = at;
}

void Maintenance::took_effect(const Stamp& at, const hw::TlbInvalidate& e) {
  const Effect effect{.at = at, .removed = e.removed};
  const auto of_command = [&](ActorId mmu) {
    const auto unit = units_.find(mmu);
    if (unit == units_.end()) return;
    const auto command = unit->second.fetched.find(e.cause_id);
    if (command != unit->second.fetched.end()) command->second->effects.push_back(effect);
  };
  switch (e.cause) {
    case hw::InvalidationCause::kDvm: {
      const auto tlbi = std::find_if(tlbis_.begin(), tlbis_.end(),
                                     [&](const auto& one) { return one->dvm_id == e.cause_id; });
      if (tlbi == tlbis_.end()) break;
      (*tlbi)->effects.push_back(effect);
      most_effects_ = std::max(most_effects_, (*tlbi)->effects.size());
      break;
    }
    case hw::InvalidationCause::kCommand:
      of_command(at.actor);
      break;
    case hw::InvalidationCause::kAtcInvalidation:
      if (const ActorId device = log_->actor(at.actor).parent; device != kNoActor) {
        of_command(log_->actor(device).parent);
      }
      break;
    case hw::InvalidationCause::kLocal:
      for (const auto& flush : open_) flush->local.push_back({effect, e.what});
      break;
    case hw::InvalidationCause::kReset:
      break;
  }
}

void Maintenance::pending(const Stamp& at, const sw::FlushPending& e) {
  Pending& pending = pending_[e.mm];
  const bool more = e.count > std::exchange(pending.count, e.count);
  std::vector<std::uint64_t>& since = pending.since[at.thread];
  if (more) {
    since.push_back(at.sequence);
  } else if (!since.empty()) {
    since.pop_back();
  }
  if (since.empty()) pending.since.erase(at.thread);
}

bool Maintenance::flush_owed(arch::MmId mm, const Stamp& store) const {
  const auto pending = pending_.find(mm);
  if (pending == pending_.end()) return false;
  const auto since = pending->second.since.find(store.thread);
  return since != pending->second.since.end() && since->second.front() < store.sequence;
}

std::size_t Maintenance::outstanding() const {
  std::size_t count = tlbis_.size() + open_.size();
  for (const auto& [actor, unit] : units_) count += unit.submitted.size() + unit.fetched.size();
  return count;
}

}  // namespace shootdown::cosim
