// One ordered log of everything that happens in a run: time, sequence number, actor, typed payload.
//
// Hardware events come from TLM analysis ports, software events from tracepoints. Checkers, waves,
// counters and files are subscribers. Nothing is kept here: who needs the past remembers it.
// Appending takes no simulated time, and no subscriber lets any pass.
#ifndef SHOOTDOWN_COSIM_OBSERVE_EVENT_LOG_H
#define SHOOTDOWN_COSIM_OBSERVE_EVENT_LOG_H

#include <array>
#include <bitset>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cosim/observe/actor.h"
#include "hw/events.h"
#include "hw/sim/simulation.h"
#include "sw/kernel/tracepoints.h"

namespace shootdown::cosim {

using Payloads = arch::JoinedPayloads<hw::Event, sw::TraceEvent>;
using Payload = Payloads::Joined;

/// Valid while the log calls its subscribers.
struct Event {
  std::uint64_t time_ps{};     ///< since the start of the run
  std::uint64_t sequence{};    ///< 1, 2, 3 ... in a run
  ActorId actor{};             ///< a piece of hardware; of software: the CPU it runs on
  ThreadId thread{kNoThread};  ///< of software
  Payload payload;
};

/// Kinds of events, as a set: bit i stands for alternative i of Payload.
using EventKinds = std::bitset<Payload::kKinds>;
inline const EventKinds kAllEvents = ~EventKinds{};

template <class... P>
EventKinds kinds_of() {
  EventKinds kinds;
  (kinds.set(Payload::index_of<P>()), ...);
  return kinds;
}

class EventSubscriber {
 public:
  virtual ~EventSubscriber() = default;
  /// The events it wants to see.
  virtual EventKinds interests() const { return kAllEvents; }
  /// Must not let time pass.
  virtual void on_event(const Event& event) = 0;
};

class EventLog {
 public:
  explicit EventLog(const hw::Simulation& simulation) : simulation_(simulation) {}
  EventLog(const EventLog&) = delete;
  EventLog& operator=(const EventLog&) = delete;

  /// Declares an actor; only before the first run. Its index counts those of its role.
  ActorId add_actor(ActorRole role, const std::string& name, ActorId parent = kNoActor,
                    std::uint32_t stream_id = 0);
  /// See Actor::silent_evictions.
  void set_silent_evictions(ActorId tlb) { actors_[tlb].silent_evictions = true; }
  void set_words(ActorId secondary_mmu, const arch::MaintenanceWords& words) {
    actors_[secondary_mmu].words = words;
  }
  /// The secondary MMU that a TLB belongs to or an ATC's device is behind, itself of itself;
  /// kNoActor: there is none.
  ActorId mmu_of(ActorId actor) const;
  const Actor& actor(ActorId actor) const { return actors_[actor]; }
  const std::string& name(ActorId actor) const { return actors_[actor].name; }
  const std::vector<Actor>& actors() const { return actors_; }
  /// The actor of a role with this index, or kNoActor.
  ActorId find(ActorRole role, unsigned index) const;

  /// Subscribers are called in the order in which they came; they outlive the log or leave it.
  void subscribe(EventSubscriber& subscriber);
  void unsubscribe(EventSubscriber& subscriber);

  void append(ActorId actor, ThreadId thread, const Payload& payload) {
    if (!open_) return;
    const Event event{.time_ps = simulation_.now_ps(),
                      .sequence = ++sequence_,
                      .actor = actor,
                      .thread = thread,
                      .payload = payload};
    for (EventSubscriber* subscriber : subscribers_[payload.index()]) subscriber->on_event(event);
  }
  /// The thread of software whose instructions are being carried out, or kNoThread.
  ThreadId running_thread() const { return simulation_.current_label(); }
  /// Starts a run: sequence numbers from 1.
  void open() {
    sequence_ = 0;
    open_ = true;
  }
  /// Ends a run: what unwinding threads still trace is not part of it.
  void close() { open_ = false; }
  /// Time since the start of the run, as stamped on the next event.
  std::uint64_t now_ps() const { return simulation_.now_ps(); }
  std::uint64_t events() const { return sequence_; }

 private:
  const hw::Simulation& simulation_;
  std::vector<Actor> actors_;
  std::array<std::vector<EventSubscriber*>, Payload::kKinds> subscribers_;
  std::uint64_t sequence_{};
  bool open_{};
};

/// Connects an analysis port to the log under an actor's name.
class HardwareProbe : public tlm::tlm_analysis_if<hw::Event> {
 public:
  HardwareProbe(EventLog& log, ActorId actor) : log_(log), actor_(actor) {}
  void write(const hw::Event& event) override {
    // What a CPU does, it does for the thread of software that runs on it.
    log_.append(actor_, log_.running_thread(), Payloads::join(event));
  }

 private:
  EventLog& log_;
  ActorId actor_;
};

/// The name of a payload's kind.
std::string_view kind_name(const Payload& payload);

}  // namespace shootdown::cosim

#endif
