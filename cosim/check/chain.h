// Builds the causal chain of a finding, item by item, in the order in which it is told.
#ifndef SHOOTDOWN_COSIM_CHECK_CHAIN_H
#define SHOOTDOWN_COSIM_CHECK_CHAIN_H

#include <string>
#include <utility>
#include <vector>

#include "cosim/ledger/stamp.h"
#include "cosim/observe/finding.h"

namespace shootdown::cosim {

class Chain {
 public:
  /// `log` outlives the chain.
  explicit Chain(const EventLog& log) : log_(&log) {}

  /// What happened at `at`, by its actor.
  Chain& add(ChainRole role, const Stamp& at, std::string text, std::string note = {}) {
    return add(role, at, at.actor, std::move(text), std::move(note));
  }
  /// Likewise, put down to another actor: the device behind an SMMU, a thread on a CPU.
  Chain& add(ChainRole role, const Stamp& at, ActorId actor, std::string text,
             std::string note = {}) {
    items_.push_back({.role = role,
                      .happened = true,
                      .sequence = at.sequence,
                      .time_ps = at.time_ps,
                      .actor = actor,
                      .actor_name = actor == kNoActor ? "kernel" : log_->name(actor),
                      .text = std::move(text),
                      .note = std::move(note)});
    return *this;
  }
  /// What should have happened, by `actor`.
  Chain& add_missing(ChainRole role, ActorId actor, std::string text) {
    add(role, Stamp{}, actor, std::move(text), "MISSING");
    items_.back().happened = false;
    return *this;
  }
  Chain& append(const Chain& other) {
    items_.insert(items_.end(), other.items_.begin(), other.items_.end());
    return *this;
  }
  /// Puts what happened in order of time. What is missing stays behind what it stands behind.
  void sort_by_time();

  bool empty() const { return items_.empty(); }
  std::vector<ChainItem>& items() { return items_; }
  const std::vector<ChainItem>& items() const { return items_; }

 private:
  const EventLog* log_;
  std::vector<ChainItem> items_;
};

}  // namespace shootdown::cosim

#endif
