#include "cosim/ledger/address_spaces.h"

#include <algorithm>

namespace shootdown::cosim {

ActorId AddressSpaces::tagger(ActorId actor) const {
  const auto& actors = log_->actors();
  if (actor >= actors.size()) return kNoActor;
  switch (actors[actor].role) {
    case ActorRole::kCpu:
    case ActorRole::kThread:
      return kNoActor;
    case ActorRole::kSecondaryMmu:
      return actor;
    case ActorRole::kDevice:
    case ActorRole::kAtc:
      return tagger(actors[actor].parent);
  }
  return kNoActor;
}

void AddressSpaces::created(const sw::MmCreated& e) {
  by_asid_[{kNoActor, e.asid.value}] = e.mm;
  cpu_asids_[e.mm] = e.asid;
}

void AddressSpaces::bound(const sw::SvaBound& e) {
  const ActorId mmu = log_->find(ActorRole::kSecondaryMmu, e.unit);
  by_asid_[{mmu, e.asid.value}] = e.mm;
  const auto& actors = log_->actors();
  const auto device = std::find_if(actors.begin(), actors.end(), [&](const Actor& actor) {
    return actor.role == ActorRole::kDevice && actor.parent == mmu &&
           actor.stream_id == e.stream_id.value;
  });
  bindings_[{mmu, e.stream_id.value}] = {
      .device = device == actors.end() ? mmu : static_cast<ActorId>(device - actors.begin()),
      .mm = e.mm,
      .asid = e.asid,
      .atc = e.atc,
      .broadcast = e.broadcast};
}

std::optional<arch::MmId> AddressSpaces::mm_of(ActorId actor, arch::Asid asid) const {
  const auto found = by_asid_.find({tagger(actor), asid.value});
  return found == by_asid_.end() ? std::nullopt : std::optional(found->second);
}

arch::Asid AddressSpaces::cpu_asid(arch::MmId mm) const {
  const auto found = cpu_asids_.find(mm);
  return found == cpu_asids_.end() ? arch::Asid{} : found->second;
}

const Binding* AddressSpaces::binding(ActorId actor, arch::StreamId stream) const {
  const auto found = bindings_.find({tagger(actor), stream.value});
  return found == bindings_.end() ? nullptr : &found->second;
}

bool AddressSpaces::reachable(ActorId actor, std::optional<arch::MmId> mm) const {
  if (mm && log_->actor(actor).role == ActorRole::kCpu && exiting_.contains(*mm)) return false;
  const auto active = active_.find(actor);
  return active == active_.end() || mm == active->second;
}

bool AddressSpaces::takes_part_in_broadcast(ActorId actor) const {
  switch (log_->actor(actor).role) {
    case ActorRole::kCpu:
      return true;
    case ActorRole::kSecondaryMmu:
      return std::any_of(bindings_.begin(), bindings_.end(), [&](const auto& binding) {
        return binding.first.first == actor && binding.second.broadcast;
      });
    default:
      return false;
  }
}

}  // namespace shootdown::cosim
