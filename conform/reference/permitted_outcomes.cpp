#include "conform/reference/permitted_outcomes.h"

#include <set>

#include "conform/reference/configuration_history.h"
#include "conform/reference/outcome_search.h"

namespace shootdown::conform::reference {
namespace {

enum Opcode : std::uint8_t { kPrefetchConfig = 0x01, kPrefetchAddr = 0x02, kSync = 0x46 };

}  // namespace

class PermittedOutcomes::State {
 public:
  State(const Identification& id, std::uint64_t ram_base, std::uint64_t ram_bytes)
      : history_{id, VersionedMemory(ram_base, ram_bytes), {}, {}, 0}, configurations_(history_) {}

  void write_memory(std::uint64_t address, std::uint64_t word);
  void set_registers(const Registers& registers);
  void command(const std::array<std::uint64_t, 2>& words);
  std::vector<Outcome> outcomes(const Transaction& transaction);

 private:
  History history_;
  ConfigurationHistory configurations_;
  /// Streams that may have filled a TLB: those that were used, or named in a prefetch.
  std::set<StreamName> streams_;
};

void PermittedOutcomes::State::write_memory(std::uint64_t address, std::uint64_t word) {
  if (!history_.memory.write(address, word, history_.now + 1)) return;
  ++history_.now;
  configurations_.memory_changed(address);
}

void PermittedOutcomes::State::set_registers(const Registers& registers) {
  ++history_.now;
  history_.registers.set(registers, history_.now);
  configurations_.changed();
}

void PermittedOutcomes::State::command(const std::array<std::uint64_t, 2>& words) {
  ++history_.now;
  InvalidationLog& log = history_.invalidations;
  const auto opcode = static_cast<std::uint8_t>(words[0]);
  if (opcode == kSync) {
    if (log.pending_configuration() ||
        (log.pending_translation() && configurations_.depends_on_translation()))
      configurations_.changed();
    log.complete();
    return;
  }
  if (opcode == kPrefetchConfig || opcode == kPrefetchAddr) {
    StreamName stream{.stream_id = static_cast<std::uint32_t>(words[0] >> 32), .substream_id = {}};
    if ((words[0] >> 11 & 1) != 0)
      stream.substream_id = static_cast<std::uint32_t>(words[0] >> 12) & 0xFFFFF;
    streams_.insert(stream);
    log.used(history_.now);
    return;
  }
  const auto invalidation = decode_invalidation(words, history_.id, history_.registers.now());
  if (invalidation) log.add(*invalidation, history_.now);
}

std::vector<Outcome> PermittedOutcomes::State::outcomes(const Transaction& transaction) {
  if (history_.registers.enabled()) {
    streams_.insert({transaction.stream_id, transaction.substream_id});
    history_.invalidations.used(history_.now);
  }
  return OutcomeSearch(history_, configurations_, streams_, transaction).run();
}

PermittedOutcomes::PermittedOutcomes(const Identification& id, std::uint64_t ram_base,
                                     std::uint64_t ram_bytes)
    : state_(std::make_unique<State>(id, ram_base, ram_bytes)) {}

PermittedOutcomes::~PermittedOutcomes() = default;

void PermittedOutcomes::write_memory(std::uint64_t address, std::uint64_t word) {
  state_->write_memory(address, word);
}

void PermittedOutcomes::set_registers(const Registers& registers) {
  state_->set_registers(registers);
}

void PermittedOutcomes::command(const std::array<std::uint64_t, 2>& words) {
  state_->command(words);
}

std::vector<Outcome> PermittedOutcomes::outcomes(const Transaction& transaction) const {
  return state_->outcomes(transaction);
}

}  // namespace shootdown::conform::reference
