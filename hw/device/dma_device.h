// A DMA device with a program of its own, behind the SMMU, with or without an ATC.
//
// With an ATC it asks for translations (ATS), caches them and sends translated traffic. Where its
// ATC gives too little permission it asks for the page and then tries again through the ATC.
#ifndef SHOOTDOWN_HW_DEVICE_DMA_DEVICE_H
#define SHOOTDOWN_HW_DEVICE_DMA_DEVICE_H

#include <tlm_utils/simple_initiator_socket.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <systemc>
#include <vector>

#include "hw/arch/types.h"
#include "hw/device/dma_config.h"
#include "hw/events.h"
#include "hw/iommu/transaction.h"
#include "hw/mmu/in_flight.h"
#include "hw/mmu/mmu.h"
#include "hw/mmu/tlb_array.h"
#include "hw/sim/signal_board.h"
#include "hw/sim/simulation.h"
#include "hw/sim/wait_list.h"

namespace shootdown::hw {

class DmaDevice : public sc_core::sc_module, public AtcPort {
 public:
  /// `simulation` and `signals` outlive this object.
  DmaDevice(const sc_core::sc_module_name& name, Simulation& simulation, SignalBoard& signals,
            const DmaDeviceConfig& config);
  /// The payload must not free an extension that is a member here.
  ~DmaDevice() override { payload_.clear_extension(&stream_); }
  tlm_utils::simple_initiator_socket<DmaDevice> out{"out"};
  EventPort events{"events"};
  /// Of the ATC: look-ups, fills, invalidations.
  EventPort atc_events{"atc_events"};

  const DmaDeviceConfig& config() const { return config_; }
  void set_program(std::vector<DmaStep> program) { program_ = std::move(program); }
  /// From here on its ATC answers.
  void power_on();
  void start_program();
  bool finished() const { return program_thread_.finished(); }
  const SimThread& sim_thread() const { return program_thread_; }
  /// Accesses that were given up after all retries.
  unsigned failed_accesses() const { return failed_; }
  void reset();

  void invalidate_atc(const arch::Invalidation& what, std::optional<arch::SubstreamId> substream_id,
                      std::uint64_t command_number, std::function<void()> completed) override;
  void page_response(std::optional<arch::SubstreamId> substream_id, unsigned group,
                     PageResponse response) override;

 private:
  struct PendingInvalidation {
    arch::Invalidation what;
    std::uint64_t number{};
    std::function<void()> completed;
  };
  void run_program();
  void run_steps(const std::vector<DmaStep>& steps);
  void run_step(const DmaAccess& step);
  void run_step(const DmaRepeat& step);
  void run_step(const DmaDelay& step) { simulation_.sleep_cycles(step.cycles); }
  void run_step(const DmaWaitFor& step) { signals_.wait(step.signal); }
  void run_step(const DmaSignal& step) { signals_.raise(step.signal); }
  bool access(arch::VirtAddr va, arch::Access access, std::uint64_t& data, unsigned bytes);
  bool access_through_atc(arch::VirtAddr va, arch::Access access, std::uint64_t& data,
                          unsigned bytes);
  std::optional<TlbEntry> request_translation(std::uint64_t access_id, arch::VirtAddr va,
                                              arch::Access access);
  bool transport(StreamExtension::Kind kind, std::uint64_t access_id, std::uint64_t address,
                 arch::Access access, std::uint64_t& data, unsigned bytes);
  void refused(std::uint64_t access_id, arch::VirtAddr va, arch::Access access,
               TranslationSource source);
  /// Asks for a page and waits until it is there, or refused.
  void ask_for_page(std::uint64_t access_id, arch::VirtAddr va, arch::Access access,
                    std::uint64_t& data, unsigned bytes);
  void request_page(std::uint64_t access_id, arch::VirtAddr va, arch::Access access);
  void invalidation_loop();
  Requester requester() const;
  /// Identifiers of different devices differ: the SMMU sees them side by side.
  std::uint64_t first_access_id() const { return std::uint64_t{config_.stream_id.value} << 40; }

  Simulation& simulation_;
  SignalBoard& signals_;
  DmaDeviceConfig config_;
  std::vector<DmaStep> program_;
  SimThread program_thread_;
  std::optional<SimThread> atc_thread_;
  std::optional<TlbArray> atc_;
  InFlight atc_in_flight_;
  WaitList atc_drained_;
  std::deque<PendingInvalidation> invalidations_;
  std::optional<unsigned> waits_for_group_;  ///< a page request that is not answered yet
  unsigned last_group_{};
  WaitList page_answered_;
  tlm::tlm_generic_payload payload_;
  StreamExtension stream_;
  arch::Asid observed_asid_{};  ///< of the last translation, for events only
  std::uint64_t access_id_{};
  unsigned failed_{};
};

}  // namespace shootdown::hw

#endif
