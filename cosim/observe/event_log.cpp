#include "cosim/observe/event_log.h"

namespace shootdown::cosim {

ActorId EventLog::add_actor(const std::string& name) {
  actors_.push_back(name);
  return static_cast<ActorId>(actors_.size() - 1);
}

ThreadId EventLog::add_thread(const std::string& name) {
  threads_.push_back(name);
  return static_cast<ThreadId>(threads_.size() - 1);
}

void EventLog::subscribe(EventSubscriber& subscriber) {
  for (std::size_t kind = 0; kind < subscribers_.size(); ++kind) {
    if ((subscriber.interests() >> kind & 1) != 0) subscribers_[kind].push_back(&subscriber);
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
