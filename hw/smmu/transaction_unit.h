// What the SMMU makes of the transactions of its devices (a TBU, with its part of the TCU): what
// becomes of a transaction, from its configuration to its completion, abort or stall, and of
// translation and page requests. Source: Arm IHI 0070, sections 3.3, 3.9 (ATS), 3.12 (faults) and
// chapter 8 (PRI).
#ifndef SHOOTDOWN_HW_SMMU_TRANSACTION_UNIT_H
#define SHOOTDOWN_HW_SMMU_TRANSACTION_UNIT_H

#include <cstdint>
#include <optional>
#include <tlm>

#include "hw/events.h"
#include "hw/interconnect/bus.h"
#include "hw/iommu/transaction.h"
#include "hw/mmu/mmu.h"
#include "hw/smmu/config_unit.h"
#include "hw/smmu/event_queue.h"
#include "hw/smmu/event_record.h"
#include "hw/smmu/pri_queue.h"
#include "hw/smmu/register_file.h"
#include "hw/smmu/smmu_config.h"
#include "hw/smmu/stall_table.h"

namespace shootdown::hw {

class TransactionUnit {
 public:
  /// The parts of the SMMU that transactions meet. All outlive this object.
  struct Parts {
    Simulation& simulation;
    BusMaster& bus;
    EventPort& events;
    const RegisterFile& registers;
    Mmu& mmu;
    ConfigUnit& configs;
    StallTable& stalls;
    EventQueue& event_queue;
    PriQueue& pri_queue;
  };
  TransactionUnit(const Parts& parts, const SmmuFeatures& features, const FaultChoices& choices)
      : parts_(parts), features_(features), choices_(choices) {}

  /// A transaction of a device, with its StreamExtension. Blocks until it is done.
  void transport(tlm::tlm_generic_payload& trans);

 private:
  enum class End : std::uint8_t { kDone, kRetry, kTerminated };
  /// One access on its way.
  struct Attempt {
    tlm::tlm_generic_payload& trans;
    StreamExtension& stream;
    Requester requester;
    AccessRequest request;
    std::optional<std::uint16_t> stag;  ///< it is stalled, and tried again unasked
    std::optional<InFlightAccess> in_flight;
  };

  void untranslated(tlm::tlm_generic_payload& trans, StreamExtension& stream);
  /// Attempts it until it is done or terminated.
  void run(Attempt& attempt);
  End try_once(Attempt& attempt);
  End complete(Attempt& attempt, const Mmu::Outcome& outcome);
  static TranslationFault fault_of(const Attempt& attempt, arch::FaultKind kind,
                                   arch::smmuv3::EventType type, TranslationSource source,
                                   bool stalled);
  End configuration_failed(Attempt& attempt, const ConfigFault& fault);
  End translation_failed(Attempt& attempt, const StreamConfig& config, const Mmu::Outcome& outcome);
  End terminate(Attempt& attempt, const FaultPolicy& policy);
  /// Reports a stall and waits for the answer.
  End stall(Attempt& attempt, const arch::smmuv3::EventRecord& event, TranslationFault published);
  End wait_for_answer(Attempt& attempt);
  /// Waits as a stall that no event names.
  End hold(Attempt& attempt);

  void translated(tlm::tlm_generic_payload& trans, const StreamExtension& presented);
  void translate_split_stage(Attempt& attempt, const StreamConfig& config);
  void translation_request(tlm::tlm_generic_payload& trans, StreamExtension& stream);
  /// No configuration for a translation request or a translated transaction.
  void ats_failed(Attempt& attempt, const ConfigFault& fault);
  bool has_ste(const StreamExtension& stream);
  void answer_translation(Attempt& attempt, const StreamConfig& config);
  void page_request(tlm::tlm_generic_payload& trans, StreamExtension& stream);

  Attempt begin(tlm::tlm_generic_payload& trans, StreamExtension& stream);
  /// STE.PRIVCFG and INSTCFG; the configuration's ASID, for observers.
  static void apply(const AccessOverrides& overrides, Attempt& attempt);
  static void apply(const StreamConfig& config, Attempt& attempt);
  static void abort_transaction(tlm::tlm_generic_payload& trans);
  static Mmu::Outcome bypass(arch::VirtAddr va);
  EventSource source_of(const Attempt& attempt) const;
  bool forward(tlm::tlm_generic_payload& trans, arch::PhysAddr pa);
  void refuse(Attempt& attempt, arch::smmuv3::EventType type);
  /// Tells observers of a translation that an ATS transaction did not get.
  void refused(const Attempt& attempt, const Mmu::Outcome& outcome);
  bool in_range(std::uint64_t address) const { return address >> features_.output_bits == 0; }

  Parts parts_;
  SmmuFeatures features_;
  FaultChoices choices_;
};

}  // namespace shootdown::hw

#endif
