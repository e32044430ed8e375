#include "hw/interconnect/dvm.h"

namespace shootdown::hw {

unsigned DvmNetwork::attach(DvmTarget& target, const std::string& name) {
  auto receiver = std::make_unique<Receiver>();
  Receiver* raw = receiver.get();
  raw->target = &target;
  raw->thread = std::make_unique<SimThread>(simulation_, (name + "_dvm").c_str(),
                                            [this, raw] { serve(*raw); });
  receivers_.push_back(std::move(receiver));
  return static_cast<unsigned>(receivers_.size() - 1);
}

void DvmNetwork::send(unsigned sender, const Message& message) {
  for (unsigned i = 0; i < receivers_.size(); ++i) {
    Message copy = message;
    copy.arrival_ps = simulation_.now_ps();
    if (i != sender) {
      copy.arrival_ps += std::uint64_t{hop_latency_cycles_} * simulation_.clock_period().value();
    }
    receivers_[i]->messages.push_back(copy);
    receivers_[i]->thread->wake();
  }
}

std::uint64_t DvmNetwork::broadcast(unsigned sender, arch::TlbiOp op, std::uint64_t operand) {
  Message message;
  message.operation = {.id = ++last_id_, .op = op, .operand = operand};
  send(sender, message);
  return last_id_;
}

void DvmNetwork::synchronize(unsigned sender) {
  unsigned unanswered = static_cast<unsigned>(receivers_.size());
  Message message;
  message.sync = true;
  message.unanswered = &unanswered;
  send(sender, message);
  while (unanswered != 0) answered_.wait();
  simulation_.choice(ChoiceKind::kDvmMessage);  // the last answer may come later
}

void DvmNetwork::serve(Receiver& receiver) {
  for (;;) {
    while (receiver.messages.empty()) simulation_.block();
    const Message message = receiver.messages.front();
    receiver.messages.pop_front();
    const std::uint64_t now = simulation_.now_ps();
    if (message.arrival_ps > now) {
      simulation_.sleep(sc_core::sc_time::from_value(message.arrival_ps - now));
    }
    simulation_.choice(ChoiceKind::kDvmMessage);
    if (!message.sync) {
      receiver.target->dvm_operation(message.operation);
      continue;
    }
    receiver.target->dvm_complete();
    simulation_.sleep_cycles(hop_latency_cycles_);  // the answer travels back
    --*message.unanswered;
    answered_.wake_all();
  }
}

void DvmNetwork::start() {
  for (auto& receiver : receivers_) receiver->thread->start();
}

void DvmNetwork::reset() {
  for (auto& receiver : receivers_) receiver->messages.clear();
  answered_.reset();
  last_id_ = 0;
}

}  // namespace shootdown::hw
