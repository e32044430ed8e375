// A machine of one SMMU, memory and a DMA device without a program, driven from outside step by
// step: what recorded sequences of register, memory and DMA accesses are replayed on.
#ifndef SHOOTDOWN_CONFORM_SMMU_BOARD_H
#define SHOOTDOWN_CONFORM_SMMU_BOARD_H

#include <tlm_utils/simple_initiator_socket.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "hw/interconnect/bus.h"
#include "hw/interconnect/dvm.h"
#include "hw/interconnect/physical_memory.h"
#include "hw/sim/sc_kernel.h"
#include "hw/sim/simulation.h"
#include "hw/smmu/smmu.h"

namespace shootdown::conform {

class SmmuBoard {
 public:
  /// RAM at [base, base + bytes) and nothing elsewhere.
  SmmuBoard(const hw::SmmuConfig& config, arch::PhysAddr base, std::uint64_t bytes);
  ~SmmuBoard();
  SmmuBoard(const SmmuBoard&) = delete;
  SmmuBoard& operator=(const SmmuBoard&) = delete;

  /// Runs `script` from reset, in a simulated process. What it throws is thrown here.
  void run(std::function<void()> script);

  // For the script. Each blocks for as long as the access takes.
  std::uint64_t read_register(std::uint32_t offset, unsigned bytes);
  void write_register(std::uint32_t offset, std::uint64_t value, unsigned bytes);
  /// Lets time pass until `condition` holds; false if nothing is left that could bring it about.
  bool wait_until(const std::function<bool()>& condition);

  struct Access {
    arch::StreamId stream_id{};
    std::optional<arch::SubstreamId> substream_id;
    arch::VirtAddr address{};
    bool write{};
    bool privileged{};
    bool instruction{};
    hw::StreamExtension::Kind kind{hw::StreamExtension::Kind::kUntranslated};
    bool no_write{};                 ///< kTranslationRequest: NW
    hw::PageRequest page_request{};  ///< kPageRequest
  };
  struct AccessResult {
    bool ok{};
    /// Where the SMMU let the access go; it may have found no memory there.
    std::optional<arch::PhysAddr> output;
    bool bypass{};
    hw::StreamExtension::Answer answer;  ///< of requests
  };
  /// One transaction within a page.
  AccessResult dma(const Access& access, std::uint8_t* data, unsigned bytes);

  /// The same by one of kDevices further initiators, while the script goes on. `data` is used until
  /// done() says so.
  static constexpr unsigned kDevices = 4;
  void launch(unsigned device, const Access& access, std::uint8_t* data, unsigned bytes);
  bool done(unsigned device) const { return devices_[device]->result.has_value(); }
  const AccessResult& result(unsigned device) const { return devices_[device]->result.value(); }

  hw::PhysicalMemory& memory() { return memory_; }
  hw::IdRegisters identification() const { return hw::id_registers(features_); }
  /// What a write of hardware replaced, in the order of the writes since the last forget_writes().
  struct Replaced {
    arch::PhysAddr address{};
    std::vector<std::uint8_t> bytes;
  };
  const std::vector<Replaced>& writes() const { return ram_.writes; }
  void forget_writes() { ram_.writes.clear(); }
  hw::Smmu& smmu() { return *smmu_; }
  hw::DvmNetwork& dvm() { return dvm_; }
  hw::Simulation& simulation() { return simulation_; }

 private:
  /// Remembers where the accesses on their way went, by their numbers.
  class Observer : public tlm::tlm_analysis_if<hw::Event> {
   public:
    void write(const hw::Event& event) override;
    std::map<std::uint64_t, hw::AccessDone> done;
  };
  /// An initiator for one socket of the SMMU.
  struct Port : sc_core::sc_module {
    explicit Port(const sc_core::sc_module_name& name) : sc_module(name) {}
    tlm_utils::simple_initiator_socket<Port> out{"out"};
  };
  /// RAM that remembers what writes replace. No direct access: it would not see them.
  class Ram : public sc_core::sc_module {
   public:
    Ram(const sc_core::sc_module_name& name, hw::PhysicalMemory& memory)
        : sc_module(name), memory_(memory) {}
    hw::BlockingTarget<Ram> in{"in", *this, &Ram::b_transport};
    std::vector<Replaced> writes;

   private:
    void b_transport(tlm::tlm_generic_payload& trans, sc_core::sc_time& delay);
    hw::PhysicalMemory& memory_;
  };
  /// An initiator with a process of its own, which does one access after the other.
  struct Device {
    Device(SmmuBoard& board, unsigned number);
    Port port;
    hw::SimThread process;
    Access access;
    std::uint8_t* data{};
    unsigned bytes{};
    std::optional<AccessResult> result;
  };
  AccessResult perform(Port& port, const Access& access, std::uint8_t* data, unsigned bytes);
  void reset();
  bool transport(Port& port, tlm::tlm_generic_payload& payload);

  hw::SmmuFeatures features_;
  hw::ScKernel kernel_;
  hw::Simulation simulation_;
  hw::PhysicalMemory memory_;
  Ram ram_;
  hw::Interconnect interconnect_;
  hw::DvmNetwork dvm_;
  std::unique_ptr<hw::Smmu> smmu_;
  Port registers_{"registers"};
  Port device_{"device"};
  std::vector<std::unique_ptr<Device>> devices_;
  Observer observer_;
  std::function<void()> script_;
  hw::SimThread host_;
  std::uint64_t access_id_{};
};

}  // namespace shootdown::conform

#endif
