// A translating unit in simulated time: TLB look-up, hardware walk, invalidation and the rules for
// when an invalidation is complete. CPUs and the SMMU each own one.
//
// Completion (Arm ARM D8.14, IHI 0070 section 3.21): the matching entries are gone, every walk that
// began earlier has ended, and every access that was already translated has been performed.
#ifndef SHOOTDOWN_HW_MMU_MMU_H
#define SHOOTDOWN_HW_MMU_MMU_H

#include <cstdint>
#include <optional>

#include "hw/events.h"
#include "hw/interconnect/bus.h"
#include "hw/mmu/in_flight.h"
#include "hw/mmu/mmu_config.h"
#include "hw/mmu/translator.h"
#include "hw/mmu/two_stage_walk.h"
#include "hw/sim/arbiter.h"
#include "hw/sim/simulation.h"
#include "hw/sim/wait_list.h"

namespace shootdown::hw {

class Mmu {
 public:
  /// All arguments outlive this object. `engine` may be null.
  Mmu(Simulation& simulation, BusMaster& walker, EventPort& events, const MmuConfig& config,
      TlbEngine* engine);

  struct Outcome {
    TranslationProblem problem;  ///< type kNone: `entry` translates the access
    bool has_entry{};            ///< with F_PERMISSION: `entry` says what is permitted
    TlbEntry entry;
    TranslationSource source{};
    arch::FaultKind fault() const { return problem.type; }
  };
  /// Translates for an access that has entered in_flight(). Blocks for look-up and walk. The access
  /// may be refused although there is an entry: F_PERMISSION with what is permitted.
  Outcome translate(std::uint64_t access_id, const Requester& requester,
                    const TranslationContext& context, AccessRequest request);

  /// Takes effect in TLB and walk cache after the invalidation latency, and blocks for it.
  void invalidate(const arch::Invalidation& what, InvalidationCause cause, std::uint64_t cause_id);
  /// Takes effect at once, without an event. For test benches.
  void drop(const arch::Invalidation& what) { translator_.invalidate(what); }
  /// Blocks until every access that has entered so far is done.
  void drain();

  InFlight::Generation enter() { return in_flight_.enter(); }
  void leave(InFlight::Generation generation) {
    if (in_flight_.leave(generation)) drained_.wake_all();
  }
  unsigned occupancy() const { return translator_.occupancy(); }
  void reset();

 private:
  struct Walker;  // one walk on its way, with whose it is
  void read_descriptor(Walker& walker);
  void update_descriptor(Walker& walker);
  void translate_ipa(Walker& walker);
  void install_stage2(const Walker& walker);
  /// Takes an x86-64 entry that was read: sets its flags in memory, and returns what a walk is fed.
  /// Nothing if the entry has changed since.
  std::optional<std::uint64_t> use_x86_entry(const Walker& walker, std::uint64_t entry);
  Outcome walk(std::uint64_t access_id, const Requester& requester,
               const TranslationContext& context, AccessRequest request);
  /// What the TLB makes of the translation that a walk found.
  TlbEntry as_cached(const Walker& walker) const;
  void publish_fill(std::uint64_t access_id, const Requester& requester, const TlbEntry& entry,
                    const TlbFillResult& filled);

  Simulation& simulation_;
  BusMaster& walker_;
  EventPort& events_;
  MmuConfig config_;
  std::uint64_t hit_latency_ps_;
  Translator translator_;
  Arbiter walkers_;
  InFlight in_flight_;
  WaitList drained_;
};

/// An access between enter() and leave(), for a scope.
class InFlightAccess {
 public:
  explicit InFlightAccess(Mmu& mmu) : mmu_(mmu), generation_(mmu.enter()) {}
  ~InFlightAccess() { mmu_.leave(generation_); }
  InFlightAccess(const InFlightAccess&) = delete;
  InFlightAccess& operator=(const InFlightAccess&) = delete;

 private:
  Mmu& mmu_;
  InFlight::Generation generation_;
};

}  // namespace shootdown::hw

#endif
