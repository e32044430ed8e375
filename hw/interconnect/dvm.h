// Broadcast TLB maintenance: TLBI messages and the Sync that DSB waits for.
//
// Outline of the AMBA protocol (IHI 0050, DVM): a requester sends operations, then one Sync; each
// receiver works through its messages in order and answers the Sync only when the operations before
// it are complete there. Encodings of the messages are not modelled.
#ifndef SHOOTDOWN_HW_INTERCONNECT_DVM_H
#define SHOOTDOWN_HW_INTERCONNECT_DVM_H

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "hw/arch/tlbi.h"
#include "hw/sim/simulation.h"
#include "hw/sim/wait_list.h"

namespace shootdown::hw {

struct DvmOperation {
  std::uint64_t id{};  ///< unique in a run, ascending in the order of issue
  arch::TlbiOp op{};
  std::uint64_t operand{};
};

/// What a receiver does with messages. Both calls block until the work is done there.
class DvmTarget {
 public:
  virtual ~DvmTarget() = default;
  virtual void dvm_operation(const DvmOperation& operation) = 0;
  virtual void dvm_complete() = 0;
};

class DvmNetwork {
 public:
  DvmNetwork(Simulation& simulation, unsigned hop_latency_cycles)
      : simulation_(simulation), hop_latency_cycles_(hop_latency_cycles), answered_(simulation) {}

  /// Registers a receiver; returns its number. Only before the first run.
  unsigned attach(DvmTarget& target, const std::string& name);
  /// Sends to every receiver and returns at once. The sender's own receiver is one hop nearer.
  std::uint64_t broadcast(unsigned sender, arch::TlbiOp op, std::uint64_t operand);
  /// Blocks until every receiver has completed all that `sender` has broadcast.
  void synchronize(unsigned sender);
  void start();
  void reset();

 private:
  struct Message {
    std::uint64_t arrival_ps{};
    bool sync{};
    DvmOperation operation;
    unsigned* unanswered{};  // of the sync this message belongs to; lives in synchronize()
  };
  struct Receiver {
    DvmTarget* target{};
    std::deque<Message> messages;
    std::unique_ptr<SimThread> thread;
  };
  void serve(Receiver& receiver);
  void send(unsigned sender, const Message& message);

  Simulation& simulation_;
  unsigned hop_latency_cycles_;
  std::vector<std::unique_ptr<Receiver>> receivers_;
  WaitList answered_;
  std::uint64_t last_id_{};
};

}  // namespace shootdown::hw

#endif
