// The interconnect and its two kinds of end: memory and bus masters (TLM-2.0, blocking transport).
//
// Targets add their latency to `delay` and never block; masters spend it. An address that nobody
// answers is an address error (an external abort for a walker). A master asks once for direct
// access to RAM (DMI) and reads and writes there from then on, with the latency of the way.
#ifndef SHOOTDOWN_HW_INTERCONNECT_BUS_H
#define SHOOTDOWN_HW_INTERCONNECT_BUS_H

#include <tlm_utils/multi_passthrough_initiator_socket.h>
#include <tlm_utils/simple_initiator_socket.h>

#include <cstdint>
#include <optional>
#include <string>
#include <systemc>
#include <tlm>
#include <vector>

#include "hw/arch/types.h"
#include "hw/interconnect/blocking_target.h"
#include "hw/interconnect/physical_memory.h"
#include "hw/sim/simulation.h"

namespace shootdown::hw {

/// RAM behind a socket. Adds `latency_cycles` to each access.
class MemoryController : public sc_core::sc_module {
 public:
  MemoryController(const sc_core::sc_module_name& name, PhysicalMemory& memory,
                   sc_core::sc_time latency);
  BlockingTarget<MemoryController> in{"in", *this, &MemoryController::b_transport,
                                      &MemoryController::direct_access};

 private:
  void b_transport(tlm::tlm_generic_payload& trans, sc_core::sc_time& delay);
  bool direct_access(tlm::tlm_generic_payload& trans, tlm::tlm_dmi& dmi);
  PhysicalMemory& memory_;
  sc_core::sc_time latency_;
};

/// Routes by address. Each window is bound to `out` in the order in which it was added.
class Interconnect : public sc_core::sc_module {
 public:
  Interconnect(const sc_core::sc_module_name& name, sc_core::sc_time hop_latency);
  BlockingTarget<Interconnect> in{"in", *this, &Interconnect::b_transport,
                                  &Interconnect::direct_access};
  tlm_utils::multi_passthrough_initiator_socket<Interconnect> out{"out"};
  /// Addresses [base, base + bytes) go to the next target bound to `out`. `relative`: the target
  /// sees offsets from `base`.
  void add_window(arch::PhysAddr base, std::uint64_t bytes, bool relative);

 private:
  struct Window {
    arch::PhysAddr base;
    std::uint64_t bytes;
    bool relative;
  };
  void b_transport(tlm::tlm_generic_payload& trans, sc_core::sc_time& delay);
  bool direct_access(tlm::tlm_generic_payload& trans, tlm::tlm_dmi& dmi);
  std::optional<std::size_t> window_of(const tlm::tlm_generic_payload& trans) const;
  std::vector<Window> windows_;
  sc_core::sc_time hop_latency_;
};

/// Issues reads and writes and spends their latency in the running thread.
class BusMaster : public sc_core::sc_module {
 public:
  BusMaster(const sc_core::sc_module_name& name, Simulation& simulation);
  tlm_utils::simple_initiator_socket<BusMaster> out{"out"};

  // Every access is a choice point before it takes effect (hw/sim/choice.h).
  /// Each returns false on a bus error. The effect comes first, the latency follows it.
  bool read(arch::PhysAddr address, void* data, unsigned bytes);
  bool write(arch::PhysAddr address, const void* data, unsigned bytes);
  /// Stores `desired` if the word equals `expected`; `expected` receives what was there. One locked
  /// access: its latency, once, is added to `delay`.
  bool compare_exchange(arch::PhysAddr address, std::uint64_t& expected, std::uint64_t desired,
                        sc_core::sc_time& delay);
  /// One access whose latency is added to `delay`, for a master that spends it itself.
  bool transport(tlm::tlm_command command, arch::PhysAddr address, void* data, unsigned bytes,
                 sc_core::sc_time& delay);

 private:
  /// As transport(), without offering a choice.
  bool transfer(tlm::tlm_command command, arch::PhysAddr address, void* data, unsigned bytes,
                sc_core::sc_time& delay);
  /// The bytes at `address` in the host, or null if the access has to go through the socket.
  std::uint8_t* direct(arch::PhysAddr address, unsigned bytes) const {
    const std::uint64_t offset = address.value - direct_base_;
    return address.value >= direct_base_ && bytes <= direct_bytes_ &&
                   offset <= direct_bytes_ - bytes
               ? direct_ + offset
               : nullptr;
  }
  void spend(const sc_core::sc_time& delay);
  void ask_for_direct_access();

  Simulation& simulation_;
  bool asked_{};
  std::uint8_t* direct_{};
  std::uint64_t direct_base_{};
  std::uint64_t direct_bytes_{};
  sc_core::sc_time direct_latency_;
  tlm::tlm_generic_payload payload_;  // targets do not block, so that one is enough
};

}  // namespace shootdown::hw

#endif
