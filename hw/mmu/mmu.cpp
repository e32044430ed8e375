#include "hw/mmu/mmu.h"

#include <algorithm>

namespace shootdown::hw {

using Fault = arch::FaultKind;

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
                            const TranslationContext& context, AccessRequest request) {
  const std::uint64_t start_ps = simulation_.now_ps();
  if (context.ignores_tags) request.va = without_tag(context.stage1, request.va);
  const TlbEntry* hit = translator_.lookup(request.va, context.space);
  const bool permitted = hit != nullptr && refusal_of(*hit, request) == Refusal::kNone;
  Outcome outcome;
  outcome.has_entry = hit != nullptr;
  if (hit != nullptr) outcome.entry = *hit;  // it may be gone when the latency has passed
  events_.write(TlbLookup{.access_id = access_id,
                          .requester = requester,
                          .va = request.va,
                          .access = request.access,
                          .outcome = hit == nullptr ? LookupOutcome::kMiss
                                     : permitted    ? LookupOutcome::kHit
                                                    : LookupOutcome::kNoPermission,
                          .pa = hit == nullptr ? arch::PhysAddr{} : hit->translate(request.va),
                          .regime = context.space.regime});
  // An RTL TLB has spent cycles of its own; the configured latency is a lower bound.
  const std::uint64_t spent_ps = simulation_.now_ps() - start_ps;
  if (spent_ps < hit_latency_ps_) simulation_.sleep_ps(hit_latency_ps_ - spent_ps);
  if (hit == nullptr) return walk(access_id, requester, context, request);
  if (permitted) return outcome;
  // Not a lack of permission: the dirty state is in memory, and only a walk can set it.
  if (waits_for_dirty(outcome.entry, request)) {
    return walk(access_id, requester, context, request);
  }
  if (config_.hit_without_permission == HitWithoutPermission::kFault) {
    outcome.problem =
        permission_problem(outcome.entry, request, refusal_of(outcome.entry, request));
    return outcome;
  }
  const bool rewalk = config_.hit_without_permission == HitWithoutPermission::kRewalk;
  events_.write(PermissionPolicy{.access_id = access_id,
                                 .requester = requester,
                                 .va = request.va,
                                 .access = request.access,
                                 .rewalk = rewalk});
  return rewalk ? walk(access_id, requester, context, request) : outcome;
}

struct Mmu::Walker {
  std::uint64_t access_id;
  const Requester& requester;
  const TranslationContext& context;
  AccessRequest request;
  TwoStageWalk walk;
};

void Mmu::read_descriptor(Walker& walker) {
  TwoStageWalk& walk = walker.walk;
  const arch::PhysAddr address = walk.address();
  std::uint64_t descriptor = 0;
  sc_core::sc_time delay;
  // The event stands where the value was read, before the latency: its order among stores counts.
  if (walker_.transport(tlm::TLM_READ_COMMAND, address, &descriptor, sizeof descriptor, delay)) {
    events_.write(WalkRead{.access_id = walker.access_id,
                           .level = walk.level(),
                           .stage2 = walk.in_stage2(),
                           .address = address,
                           .descriptor = {descriptor}});
    if (config_.format != arch::TableFormat::kX86_64) {
      walk.feed(descriptor);
    } else if (const auto used = use_x86_entry(walker, descriptor)) {
      walk.feed(*used);
    }  // else it has changed meanwhile, and is read again
  } else {
    walk.feed_abort();
  }
  simulation_.sleep(delay);
  simulation_.sleep_cycles(config_.walk_step_cycles);
}

void Mmu::update_descriptor(Walker& walker) {
  TwoStageWalk& walk = walker.walk;
  const arch::PhysAddr address = walk.address();
  std::uint64_t found = walk.expected();
  const std::uint64_t desired = walk.desired();
  sc_core::sc_time delay;
  if (!walker_.compare_exchange(address, found, desired, delay)) {
    walk.feed_abort();
    return;
  }
  const bool updated = found == walk.expected();
  if (updated) {
    events_.write(DescriptorUpdate{.access_id = walker.access_id,
                                   .requester = walker.requester,
                                   .va = walker.request.va,
                                   .level = walk.level(),
                                   .address = address,
                                   .before = {found},
                                   .after = {desired}});
  }
  walk.updated(updated);
  simulation_.sleep(delay);
}

void Mmu::translate_ipa(Walker& walker) {
  TwoStageWalk& walk = walker.walk;
  const AccessRequest wanted{.va = {walk.ipa().value}, .access = walk.stage2_access()};
  const TlbEntry* hit =
      config_.cache_stage2 ? translator_.lookup(wanted.va, walker.context.stage2_space) : nullptr;
  if (hit == nullptr || waits_for_dirty(*hit, wanted)) return walk.walk_stage2();
  // What a cached entry refuses, a walk may permit: the same choice as in front of the walk.
  if (config_.hit_without_permission == HitWithoutPermission::kRewalk &&
      refusal_of(*hit, wanted) != Refusal::kNone) {
    return walk.walk_stage2();
  }
  const TlbEntry entry = *hit;
  simulation_.sleep_ps(hit_latency_ps_);
  walk.use_stage2(entry);
}

void Mmu::install_stage2(const Walker& walker) {
  const auto& found = walker.walk.found_stage2();
  // Without stage 1 the entry is installed at the end, like any other.
  if (!found || !config_.cache_stage2 || !walker.context.has_stage1) return;
  const TlbEntry entry = *found;
  publish_fill(walker.access_id, walker.requester, entry,
               translator_.install(entry, walker.walk.epoch));
}

Mmu::Outcome Mmu::walk(std::uint64_t access_id, const Requester& requester,
                       const TranslationContext& context, AccessRequest request) {
  const ArbiterHold hold(walkers_);
  events_.write(WalkBegin{.access_id = access_id,
                          .requester = requester,
                          .va = request.va,
                          .regime = context.space.regime});
  const TableReference* cached =
      context.has_stage1 ? translator_.cached_table(request.va, context.space) : nullptr;
  Walker walker{access_id, requester, context, request, TwoStageWalk(context, request, cached)};
  TwoStageWalk& walk = walker.walk;
  translator_.set_age(walk);
  while (walk.need() != TwoStageWalk::Need::kNothing) {
    switch (walk.need()) {
      case TwoStageWalk::Need::kDescriptor:
        read_descriptor(walker);
        break;
      case TwoStageWalk::Need::kUpdate:
        update_descriptor(walker);
        break;
      case TwoStageWalk::Need::kStage2:
        translate_ipa(walker);
        break;
      case TwoStageWalk::Need::kNothing:
        break;
    }
    install_stage2(walker);
  }
  const Fault fault = walk.has_entry() ? Fault::kNone : walk.problem().type;
  events_.write(WalkEnd{.access_id = access_id, .fault = fault});
  simulation_.choice(ChoiceKind::kTime);  // what was found may be installed later
  if (config_.install_overtaken_fills) translator_.set_age(walk);
  if (walk.stage1()) translator_.install_tables(*walk.stage1(), walk.invalidations);
  Outcome outcome{.problem = walk.problem(),
                  .has_entry = walk.has_entry(),
                  .entry = {},
                  .source = TranslationSource::kWalk};
  if (!walk.has_entry()) return outcome;
  outcome.entry = as_cached(walker);
  publish_fill(access_id, requester, outcome.entry, translator_.install(outcome.entry, walk.epoch));
  return outcome;
}

TlbEntry Mmu::as_cached(const Walker& walker) const {
  TlbEntry entry = walker.walk.entry();
  const auto granule = static_cast<std::uint8_t>(arch::vmsa64::granule_shift(entry.granule));
  const arch::VirtAddr va = walker.request.va;
  if (config_.splinter_blocks && entry.page_shift > granule) {
    const arch::VirtAddr whole = entry.page;
    entry.block_shift = std::max(entry.page_shift, entry.block_shift);
    entry.page_shift = granule;
    entry.page = arch::page_of(va, granule);
    const std::uint64_t offset = entry.page.value - whole.value;
    entry.output = entry.output + offset;
    entry.ipa = {entry.ipa.value + offset};
  } else if (config_.merge_contiguous && !walker.context.has_stage2 &&
             walker.walk.stage1()->contiguous()) {
    const unsigned group =
        entry.page_shift + arch::vmsa64::contiguous_log2(entry.level, entry.granule);
    // A group that does not start at its own size is misprogrammed: each entry for itself.
    const std::uint64_t offset = entry.page.value - arch::align_down(entry.page.value, group);
    if (entry.output.value % arch::page_bytes(group) == offset) {
      entry.page = arch::page_of(va, group);
      entry.output = arch::page_of(entry.output, group);
      entry.page_shift = static_cast<std::uint8_t>(group);
    }
  }
  return entry;
}

void Mmu::publish_fill(std::uint64_t access_id, const Requester& requester, const TlbEntry& entry,
                       const TlbFillResult& filled) {
  if (filled.evicted) {
    events_.write(TlbEvict{.asid = filled.evicted->space.asid,
                           .global = filled.evicted->global,
                           .regime = filled.evicted->space.regime,
                           .page = filled.evicted->page,
                           .page_shift = filled.evicted->page_shift});
  }
  events_.write(TlbFill{.access_id = access_id,
                        .requester = requester,
                        .global = entry.global,
                        .regime = entry.space.regime,
                        .page = entry.page,
                        .page_shift = entry.page_shift,
                        .output = entry.output,
                        .permissions = entry.permissions,
                        .dropped = filled.dropped});
}

std::optional<std::uint64_t> Mmu::use_x86_entry(const Walker& walker, std::uint64_t entry) {
  namespace x86 = arch::x86_64;
  const Stage1Walk& walk = *walker.walk.stage1();
  const arch::PhysAddr address = walker.walk.address();
  const int level = walk.level();
  if (!x86::is_leaf(entry, level)) return x86::to_vmsa64(entry, level, true);
  const bool writes = walker.request.access == arch::Access::kWrite &&
                      x86::entry::Rw::get(entry) != 0 && x86::entry::User::get(entry) != 0 &&
                      walk.tables_permit_write();
  const std::uint64_t updated =
      entry | x86::entry::Accessed::kMask | (writes ? x86::entry::Dirty::kMask : 0);
  if (updated == entry) return x86::to_vmsa64(entry, level, true);
  // The entry may have changed since it was read: the flags are set by a locked operation.
  std::uint64_t found = entry;
  sc_core::sc_time delay;
  if (!walker_.compare_exchange(address, found, updated, delay)) {
    return x86::to_vmsa64(entry, level, true);
  }
  if (found != entry) return std::nullopt;
  events_.write(
      DescriptorUpdate{.access_id = walker.access_id,
                       .requester = walker.requester,
                       .va = arch::page_of(walker.request.va, arch::vmsa64::level_shift(level)),
                       .level = level,
                       .address = address,
                       .before = {entry},
                       .after = {updated}});
  simulation_.sleep(delay);
  return x86::to_vmsa64(updated, level, true);
}

void Mmu::invalidate(const arch::Invalidation& what, InvalidationCause cause,
                     std::uint64_t cause_id) {
  simulation_.sleep_cycles(config_.invalidate_latency_cycles);
  if (what.level || what.granule) {
    if (translator_.spared_by_hints(what) != 0) {
      events_.write(IllegalUse{
          .rule = "TLBI with a level or granule (TTL, TG) that no entry it covers came from: the "
                  "entry may stay (IHI 0070, 4.4.1)",
          .detail = {what.start}});
    }
  }
  const unsigned removed = config_.ignore_invalidations ? 0 : translator_.invalidate(what);
  events_.write(
      TlbInvalidate{.cause = cause, .cause_id = cause_id, .what = what, .removed = removed});
  simulation_.choice(ChoiceKind::kTime);  // whoever waits for it may hear of it later
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
