// Address spaces, who uses them, and by which tags: ASIDs of the CPUs and of each secondary MMU,
// and the devices bound to them. Memory: as many as there are ASIDs and devices.
#ifndef SHOOTDOWN_COSIM_LEDGER_ADDRESS_SPACES_H
#define SHOOTDOWN_COSIM_LEDGER_ADDRESS_SPACES_H

#include <map>
#include <optional>
#include <set>

#include "cosim/ledger/stamp.h"
#include "hw/arch/types.h"
#include "sw/kernel/tracepoints.h"

namespace shootdown::cosim {

/// A device that uses the tables of a process.
struct Binding {
  ActorId device{kNoActor};
  arch::MmId mm{};
  arch::Asid asid{};
  bool atc{};
  bool broadcast{};  ///< its MMU follows the CPUs' broadcast TLBIs for this ASID
};

class AddressSpaces {
 public:
  /// `log` has all actors; outlives this object.
  explicit AddressSpaces(const EventLog& log) : log_(&log) {}

  void created(const sw::MmCreated& e);
  void bound(const sw::SvaBound& e);
  /// The CPU may use translations of `mm` from now on; none: of nobody, until it is told again.
  void activated(ActorId cpu, arch::MmId mm) { active_[cpu] = mm; }
  /// Its devices are told to stop using it, for good: what they still try is refused on purpose.
  void released(arch::MmId mm) { released_.insert(mm); }
  bool is_released(arch::MmId mm) const { return released_.contains(mm); }
  /// No CPU loads it again.
  void exiting(arch::MmId mm) { exiting_.insert(mm); }

  /// Whose an ASID is to `actor`: CPUs and each secondary MMU (with its devices and their ATCs) can
  /// have numbers of their own.
  std::optional<arch::MmId> mm_of(ActorId actor, arch::Asid asid) const;
  /// The ASID that the CPUs use for it.
  arch::Asid cpu_asid(arch::MmId mm) const;
  /// Of the device of `stream` behind the MMU that `actor` is, or belongs to; null: none is bound.
  const Binding* binding(ActorId actor, arch::StreamId stream) const;
  /// Whether a CPU may use its translations of `mm` now: not if it has another address space
  /// loaded, or none will load it again. Other actors always may.
  bool reachable(ActorId actor, std::optional<arch::MmId> mm) const;
  /// Whether broadcast TLBIs have to take effect there.
  bool takes_part_in_broadcast(ActorId actor) const;

  void reset() { *this = AddressSpaces(*log_); }

 private:
  /// CPUs share their numbers: one key for all of them.
  ActorId tagger(ActorId actor) const;

  const EventLog* log_;
  std::map<std::pair<ActorId, std::uint16_t>, arch::MmId> by_asid_;  // by tagger
  std::map<arch::MmId, arch::Asid> cpu_asids_;
  std::map<std::pair<ActorId, std::uint32_t>, Binding> bindings_;  // by MMU and stream
  std::map<ActorId, arch::MmId> active_;                           // of CPUs that tell
  std::set<arch::MmId> exiting_;
  std::set<arch::MmId> released_;
};

}  // namespace shootdown::cosim

#endif
