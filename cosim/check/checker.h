// What every checker is: a subscriber that reports violations.
#ifndef SHOOTDOWN_COSIM_CHECK_CHECKER_H
#define SHOOTDOWN_COSIM_CHECK_CHECKER_H

#include <functional>
#include <string>
#include <vector>

#include "cosim/check/chain.h"
#include "cosim/ledger/ledger.h"
#include "cosim/observe/event_log.h"
#include "cosim/observe/finding.h"

namespace shootdown::cosim {

/// Collects what the checkers of a run find. The same violation again is counted, not repeated.
class Findings {
 public:
  /// Called once a checker has seen enough and the run need not go on.
  void on_stop(std::function<void()> stop) { stop_ = std::move(stop); }
  /// Called for each violation when it is reported first.
  void on_violation(std::function<void(const Violation&)> found) { found_ = std::move(found); }
  void report(Violation violation);
  /// Of a kind only the first is kept.
  void note(Note note);
  bool noted(NoteKind kind) const;
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
  bool repeats(ViolationKind kind, ActorId actor, arch::VirtAddr page);
  /// As above, for violations that their headline tells apart.
  bool repeats(ViolationKind kind, ActorId actor, const std::string& headline);

 private:
  std::function<void()> stop_;
  std::function<void(const Violation&)> found_;
  std::vector<Violation> violations_;
  std::vector<Note> notes_;
};

class Checker : public EventSubscriber {
 public:
  Checker(const Ledger& ledger, Findings& findings) : ledger_(ledger), findings_(findings) {}
  virtual void reset() {}
  /// The run is over. `quiet`: it came to its end by itself, so that all is as it will stay.
  virtual void on_end(bool /*quiet*/) {}

 protected:
  /// "kernel" for nobody.
  std::string name(ActorId actor) const {
    return actor == kNoActor ? "kernel" : ledger_.log().name(actor);
  }
  Chain chain() const { return Chain(ledger_.log()); }
  const Ledger& ledger_;
  Findings& findings_;
};

}  // namespace shootdown::cosim

#endif
