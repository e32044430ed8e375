// One ordered log of everything that happens in a run: time, sequence number, actor, typed payload.
//
// Hardware events come from TLM analysis ports, software events from tracepoints. Checkers, waves,
// counters and files are subscribers. Nothing is kept here: who needs the past remembers it.
#ifndef SHOOTDOWN_COSIM_OBSERVE_EVENT_LOG_H
#define SHOOTDOWN_COSIM_OBSERVE_EVENT_LOG_H

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "hw/events.h"
#include "hw/sim/simulation.h"
#include "sw/kernel/tracepoints.h"

namespace shootdown::cosim {

using Payloads = arch::JoinedPayloads<hw::Event, sw::TraceEvent>;
using Payload = Payloads::Joined;

using ActorId = std::uint16_t;   ///< a piece of hardware: cpu0, smmu0, nic0, nic0.atc
using ThreadId = std::uint16_t;  ///< a thread of execution on a CPU; kNoThread for hardware
inline constexpr ThreadId kNoThread = 0xffff;

/// Valid while the log calls its subscribers.
struct Event {
  std::uint64_t time_ps{};   ///< since the start of the run
  std::uint64_t sequence{};  ///< 1, 2, 3 ... in a run
  ActorId actor{};
  ThreadId thread{kNoThread};
  Payload payload;
};

/// Kinds of events, as a set: bit i stands for alternative i of Payload.
using EventKinds = std::uint64_t;
inline constexpr EventKinds kAllEvents = ~EventKinds{0};
static_assert(Payload::kKinds <= 64);

/// The bit of one kind.
template <class P>
constexpr EventKinds kind_bit() {
  static_assert(Payload::index_of<P>() < Payload::kKinds);
  return EventKinds{1} << Payload::index_of<P>();
}
template <class... P>
constexpr EventKinds kinds_of() {
  return (kind_bit<P>() | ...);
}

class EventSubscriber {
 public:
  virtual ~EventSubscriber() = default;
  /// The events it wants to see.
  virtual EventKinds interests() const { return kAllEvents; }
  virtual void on_event(const Event& event) = 0;
};

class EventLog {
 public:
  explicit EventLog(const hw::Simulation& simulation) : simulation_(simulation) {}
  EventLog(const EventLog&) = delete;
  EventLog& operator=(const EventLog&) = delete;

  ActorId add_actor(const std::string& name);
  ThreadId add_thread(const std::string& name);
  const std::string& actor_name(ActorId actor) const { return actors_[actor]; }
  const std::string& thread_name(ThreadId thread) const { return threads_[thread]; }
  const std::vector<std::string>& actors() const { return actors_; }
  const std::vector<std::string>& threads() const { return threads_; }

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
  /// Starts a run: sequence numbers from 1.
  void open() {
    sequence_ = 0;
    open_ = true;
  }
  /// Ends a run: what unwinding threads still trace is not part of it.
  void close() { open_ = false; }
  /// Of the run, as the next event would have it.
  std::uint64_t now_ps() const { return simulation_.now_ps(); }
  std::uint64_t events() const { return sequence_; }

 private:
  const hw::Simulation& simulation_;
  std::vector<std::string> actors_;
  std::vector<std::string> threads_;
  std::array<std::vector<EventSubscriber*>, Payload::kKinds> subscribers_;
  std::uint64_t sequence_{};
  bool open_{};
};

/// Connects an analysis port to the log under an actor's name.
class HardwareProbe : public tlm::tlm_analysis_if<hw::Event> {
 public:
  HardwareProbe(EventLog& log, ActorId actor) : log_(log), actor_(actor) {}
  void write(const hw::Event& event) override {
    log_.append(actor_, kNoThread, Payloads::join(event));
  }

 private:
  EventLog& log_;
  ActorId actor_;
};

/// The name of a payload's kind.
std::string_view kind_name(const Payload& payload);

}  // namespace shootdown::cosim

#endif
