#include "cosim/observe/counters.h"

#include "hw/arch/smmuv3_commands.h"

namespace shootdown::cosim {

void Counters::on_event(const Event& event) {
  const ActorId actor = event.actor;
  if (const auto* lookup = std::get_if<hw::TlbLookup>(&event.payload)) {
    switch (lookup->outcome) {
      case hw::LookupOutcome::kHit: count(actor, "tlb_hits"); break;
      case hw::LookupOutcome::kMiss: count(actor, "tlb_misses"); break;
      case hw::LookupOutcome::kNoPermission: count(actor, "tlb_hits_without_permission"); break;
    }
  } else if (std::holds_alternative<hw::AccessDone>(event.payload)) {
    count(actor, "accesses");
  } else if (std::holds_alternative<hw::WalkBegin>(event.payload)) {
    count(actor, "walks");
  } else if (const auto* fill = std::get_if<hw::TlbFill>(&event.payload)) {
    count(actor, fill->dropped ? "fills_dropped" : "fills");
  } else if (const auto* invalidate = std::get_if<hw::TlbInvalidate>(&event.payload)) {
    count(actor, "invalidations");
    counts_[{actor, "entries_invalidated"}] += invalidate->removed;
  } else if (std::holds_alternative<hw::TranslationFault>(event.payload)) {
    count(actor, "faults");
  } else if (const auto* command = std::get_if<hw::CommandFetched>(&event.payload)) {
    count(actor, name_of(arch::smmuv3::opcode_of(command->command)).data());
  } else if (std::holds_alternative<hw::EventRecorded>(event.payload)) {
    count(actor, "events_recorded");
  } else if (std::holds_alternative<hw::TlbiIssued>(event.payload)) {
    count(actor, "tlbi");
  } else if (std::holds_alternative<hw::DsbCompleted>(event.payload)) {
    count(actor, "dsb");
  } else if (std::holds_alternative<sw::FaultHandled>(event.payload)) {
    count(actor, "page_faults");
  } else if (std::holds_alternative<sw::NotifierCalled>(event.payload)) {
    count(actor, "notifier_calls");
  } else if (std::holds_alternative<sw::FlushBegin>(event.payload)) {
    count(actor, "flushes");
  } else if (std::holds_alternative<sw::PteStore>(event.payload)) {
    count(actor, "pte_stores");
  }
}

std::map<std::string, std::uint64_t> Counters::values() const {
  std::map<std::string, std::uint64_t> result;
  for (const auto& [key, value] : counts_) {
    result[log_.actor_name(key.first) + "." + std::string(key.second)] = value;
  }
  return result;
}

}  // namespace shootdown::cosim
