#include "cosim/observe/event_log.h"

#include <algorithm>

namespace shootdown::cosim {

ActorId EventLog::add_actor(ActorRole role, const std::string& name, ActorId parent,
                            std::uint32_t stream_id) {
  const auto alike = std::count_if(actors_.begin(), actors_.end(),
                                   [&](const Actor& actor) { return actor.role == role; });
  actors_.push_back({.role = role,
                     .index = static_cast<unsigned>(alike),
                     .parent = parent,
                     .stream_id = stream_id,
                     .name = name,
                     .silent_evictions = false,
                     .words = {}});
  return static_cast<ActorId>(actors_.size() - 1);
}

ActorId EventLog::find(ActorRole role, unsigned index) const {
  const auto found = std::find_if(actors_.begin(), actors_.end(), [&](const Actor& actor) {
    return actor.role == role && actor.index == index;
  });
  return found == actors_.end() ? kNoActor : static_cast<ActorId>(found - actors_.begin());
}

ActorId EventLog::mmu_of(ActorId actor) const {
  while (actor != kNoActor && actors_[actor].role != ActorRole::kSecondaryMmu) {
    actor = actors_[actor].parent;
  }
  return actor;
}

void EventLog::subscribe(EventSubscriber& subscriber) {
  const EventKinds interests = subscriber.interests();
  for (std::size_t kind = 0; kind < subscribers_.size(); ++kind) {
    if (interests.test(kind)) subscribers_[kind].push_back(&subscriber);
  }
}

void EventLog::unsubscribe(EventSubscriber& subscriber) {
  for (auto& list : subscribers_) std::erase(list, &subscriber);
}

std::string_view kind_name(const Payload& payload) {
  std::string_view name;
  payload.visit([&](const auto& p) { name = std::decay_t<decltype(p)>::kName; });
  return name;
}

}  // namespace shootdown::cosim
