// What every checker is: a subscriber that reports violations.
#ifndef SHOOTDOWN_COSIM_CHECK_CHECKER_H
#define SHOOTDOWN_COSIM_CHECK_CHECKER_H

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "cosim/check/history.h"
#include "cosim/check/hops.h"
#include "cosim/check/violation.h"
#include "cosim/observe/event_log.h"

namespace shootdown::cosim {

/// Collects what the checkers of a run find. The same violation again is counted, not repeated.
class Findings {
 public:
  /// Called once a checker has seen enough and the run need not go on.
  void on_stop(std::function<void()> stop) { stop_ = std::move(stop); }
  void report(Violation violation);
  void note(Note note);
  void stop_run() const {
    if (stop_) stop_();
  }
  const std::vector<Violation>& violations() const { return violations_; }
  const std::vector<Note>& notes() const { return notes_; }
  void reset() {
    violations_.clear();
    notes_.clear();
  }
  /// If this kind has been seen for this actor and page, counts the repetition and returns true.
  bool repeats(std::string_view kind, const std::string& actor, arch::VirtAddr page);
  /// The same for violations that their headline tells apart.
  bool repeats(std::string_view kind, const std::string& actor, const std::string& headline);

 private:
  std::function<void()> stop_;
  std::vector<Violation> violations_;
  std::vector<Note> notes_;
};

class Checker : public EventSubscriber {
 public:
  Checker(const History& history, Findings& findings) : history_(history), findings_(findings) {}
  virtual void reset() {}
  /// The run is over. `quiet`: it came to its end by itself, so that all is as it will stay.
  virtual void on_end(bool /*quiet*/) {}

 protected:
  const std::string& actor_name(ActorId actor) const { return history_.log().actor_name(actor); }
  /// The device behind a stream, or the actor itself.
  std::string requester_name(ActorId actor, const hw::Requester& requester) const;
  const History& history_;
  Findings& findings_;
};

}  // namespace shootdown::cosim

#endif
