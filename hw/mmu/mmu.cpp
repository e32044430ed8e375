#include "hw/mmu/mmu.h"

namespace shootdown::hw {

using Fault = arch::smmuv3::EventType;

Mmu::Mmu(Simulation& simulation, BusMaster& walker, EventPort& events, const MmuConfig& config,
         TlbEngine* engine)
    : simulation_(simulation),
      walker_(walker),
      events_(events),
      config_(config),
      hit_latency_ps_(simulation.clock_period().value() * config.hit_latency_cycles),
      translator_(config.translator, engine),
      walkers_(simulation, config.walkers),
      drained_(simulation) {}

Mmu::Outcome Mmu::translate(std::uint64_t access_id, const Requester& requester,
                            const Stage1Context& context, arch::VirtAddr va, arch::Access access,
                            bool privileged) {
  const std::uint64_t start_ps = simulation_.now_ps();
  const TlbEntry* hit = translator_.lookup(va, context.asid);
  const bool permitted = hit != nullptr && hit->permissions.permits(access, privileged);
  Outcome outcome;
  if (hit != nullptr) outcome.entry = *hit;  // whoever listens may let time pass
  events_.write(TlbLookup{.access_id = access_id,
                          .requester = requester,
                          .va = va,
                          .access = access,
                          .outcome = hit == nullptr ? LookupOutcome::kMiss
                                     : permitted    ? LookupOutcome::kHit
                                                    : LookupOutcome::kNoPermission,
                          .pa = hit == nullptr ? arch::PhysAddr{} : hit->translate(va)});
  // An RTL TLB has spent cycles of its own; the configured latency is a lower bound.
  const std::uint64_t spent_ps = simulation_.now_ps() - start_ps;
  if (spent_ps < hit_latency_ps_) simulation_.sleep_ps(hit_latency_ps_ - spent_ps);
  if (hit == nullptr) return walk(access_id, requester, context, va, access, privileged);
  if (permitted) return outcome;
  switch (config_.hit_without_permission) {
    case HitWithoutPermission::kFault:
      outcome.fault = Fault::kFPermission;
      return outcome;
    case HitWithoutPermission::kRewalk:
    case HitWithoutPermission::kIgnore:
      break;
  }
  const bool rewalk = config_.hit_without_permission == HitWithoutPermission::kRewalk;
  events_.write(PermissionPolicy{.access_id = access_id,
                                 .requester = requester,
                                 .va = va,
                                 .access = access,
                                 .rewalk = rewalk});
  return rewalk ? walk(access_id, requester, context, va, access, privileged) : outcome;
}

Mmu::Outcome Mmu::walk(std::uint64_t access_id, const Requester& requester,
                       const Stage1Context& context, arch::VirtAddr va, arch::Access access,
                       bool privileged) {
  const ArbiterHold walker(walkers_);
  events_.write(WalkBegin{.access_id = access_id, .requester = requester, .va = va});
  Stage1Walk walk = translator_.begin_walk(context, va);
  while (!walk.done()) {
    const arch::PhysAddr address = walk.descriptor_address();
    const int level = walk.level();
    std::uint64_t descriptor = 0;
    sc_core::sc_time delay;
    // The event stands where the value was read, before the latency: its order among stores counts.
    if (walker_.transport(tlm::TLM_READ_COMMAND, address, &descriptor, sizeof descriptor, delay)) {
      events_.write(WalkRead{
          .access_id = access_id, .level = level, .address = address, .descriptor = descriptor});
      if (config_.format != arch::TableFormat::kX86_64) {
        walk.feed(descriptor);
      } else if (const auto used =
                     use_x86_entry(access_id, requester, va, access, walk, address, descriptor)) {
        walk.feed(*used);
      }  // else it has changed meanwhile, and is read again
    } else {
      walk.feed_abort();
    }
    simulation_.sleep(delay);
    simulation_.sleep_cycles(config_.walk_step_cycles);
  }
  events_.write(WalkEnd{.access_id = access_id, .fault = walk.fault()});
  if (config_.install_overtaken_fills) translator_.set_age(walk);
  const TlbFillResult filled = translator_.install(walk);
  Outcome outcome{.fault = walk.fault(), .entry = walk.entry(), .source = TranslationSource::kWalk};
  if (outcome.fault != Fault::kNone) return outcome;
  if (filled.evicted) {
    events_.write(TlbEvict{.asid = filled.evicted->asid,
                           .global = filled.evicted->global,
                           .page = filled.evicted->page,
                           .page_shift = filled.evicted->page_shift});
  }
  events_.write(TlbFill{.access_id = access_id,
                        .requester = requester,
                        .global = outcome.entry.global,
                        .page = outcome.entry.page,
                        .page_shift = outcome.entry.page_shift,
                        .output = outcome.entry.output,
                        .permissions = outcome.entry.permissions,
                        .dropped = filled.dropped});
  if (!outcome.entry.permissions.permits(access, privileged)) {
    outcome.fault = Fault::kFPermission;
  }
  return outcome;
}

std::optional<std::uint64_t> Mmu::use_x86_entry(std::uint64_t access_id, const Requester& requester,
                                                arch::VirtAddr va, arch::Access access,
                                                const Stage1Walk& walk, arch::PhysAddr address,
                                                std::uint64_t entry) {
  namespace x86 = arch::x86_64;
  const int level = walk.level();
  if (!x86::is_leaf(entry, level)) return x86::to_vmsa64(entry, level, true);
  const bool writes = access == arch::Access::kWrite && x86::entry::Rw::get(entry) != 0 &&
                      x86::entry::User::get(entry) != 0 && walk.tables_permit_write();
  std::uint64_t updated =
      entry | x86::entry::Accessed::kMask | (writes ? x86::entry::Dirty::kMask : 0);
  if (updated == entry) return x86::to_vmsa64(entry, level, true);
  // Whoever heard of the read may have let time pass. The flags are set by a locked operation.
  std::uint64_t now = 0;
  sc_core::sc_time no_time;
  if (!walker_.transport(tlm::TLM_READ_COMMAND, address, &now, sizeof now, no_time)) {
    return x86::to_vmsa64(entry, level, true);
  }
  if (now != entry) return std::nullopt;
  const std::uint64_t fed = x86::to_vmsa64(updated, level, true);
  walker_.transport(tlm::TLM_WRITE_COMMAND, address, &updated, sizeof updated, no_time);
  events_.write(DescriptorUpdate{.access_id = access_id,
                                 .requester = requester,
                                 .va = arch::page_of(va, arch::vmsa64::level_shift(level)),
                                 .level = level,
                                 .address = address,
                                 .before = entry,
                                 .after = updated});
  return fed;
}

void Mmu::invalidate(const arch::Invalidation& what, InvalidationCause cause,
                     std::uint64_t cause_id) {
  simulation_.sleep_cycles(config_.invalidate_latency_cycles);
  const unsigned removed = config_.ignore_invalidations ? 0 : translator_.invalidate(what);
  events_.write(
      TlbInvalidate{.cause = cause, .cause_id = cause_id, .what = what, .removed = removed});
}

void Mmu::drain() {
  if (config_.complete_without_drain) return;
  const InFlight::Generation generation = in_flight_.close();
  while (!in_flight_.drained(generation)) drained_.wait();
}

void Mmu::reset() {
  translator_.reset();
  walkers_.reset();
  in_flight_.reset();
  drained_.reset();
}

}  // namespace shootdown::hw
