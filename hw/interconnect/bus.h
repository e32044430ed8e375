// The interconnect and its two kinds of end: memory and bus masters (TLM-2.0, blocking transport).
//
// Targets add their latency to `delay` and never block; masters spend it. An address that nobody
// answers is an address error (an external abort for a walker).
#ifndef SHOOTDOWN_HW_INTERCONNECT_BUS_H
#define SHOOTDOWN_HW_INTERCONNECT_BUS_H

#include <tlm_utils/multi_passthrough_initiator_socket.h>
#include <tlm_utils/multi_passthrough_target_socket.h>
#include <tlm_utils/simple_initiator_socket.h>
#include <tlm_utils/simple_target_socket.h>

#include <cstdint>
#include <optional>
#include <string>
#include <systemc>
#include <tlm>
#include <vector>

#include "hw/arch/types.h"
#include "hw/interconnect/physical_memory.h"
#include "hw/sim/process.h"

namespace shootdown::hw {

/// RAM behind a socket. Adds `latency_cycles` to each access.
class MemoryController : public sc_core::sc_module {
 public:
  MemoryController(const sc_core::sc_module_name& name, PhysicalMemory& memory,
                   sc_core::sc_time latency);
  tlm_utils::simple_target_socket<MemoryController> in{"in"};

 private:
  void b_transport(tlm::tlm_generic_payload& trans, sc_core::sc_time& delay);
  unsigned transport_dbg(tlm::tlm_generic_payload& trans);
  PhysicalMemory& memory_;
  sc_core::sc_time latency_;
};

/// Routes by address. Each window is bound to `out` in the order in which it was added.
class Interconnect : public sc_core::sc_module {
 public:
  Interconnect(const sc_core::sc_module_name& name, sc_core::sc_time hop_latency);
  tlm_utils::multi_passthrough_target_socket<Interconnect> in{"in"};
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
  void b_transport(int id, tlm::tlm_generic_payload& trans, sc_core::sc_time& delay);
  unsigned transport_dbg(int id, tlm::tlm_generic_payload& trans);
  std::optional<std::size_t> window_of(const tlm::tlm_generic_payload& trans) const;
  std::vector<Window> windows_;
  sc_core::sc_time hop_latency_;
};

/// Issues reads and writes and spends their latency in the running process.
class BusMaster : public sc_core::sc_module {
 public:
  BusMaster(const sc_core::sc_module_name& name, Simulation& simulation);
  tlm_utils::simple_initiator_socket<BusMaster> out{"out"};

  /// Each returns false on a bus error. The effect is at the call; the latency follows it.
  bool read(arch::PhysAddr address, void* data, unsigned bytes);
  bool write(arch::PhysAddr address, const void* data, unsigned bytes);
  /// Stores `desired` if the word equals `expected`; `expected` receives what was there.
  bool compare_exchange(arch::PhysAddr address, std::uint64_t& expected, std::uint64_t desired);
  /// The same access without its latency, for a master that has its own (`delay` is added to).
  bool transport(tlm::tlm_command command, arch::PhysAddr address, void* data, unsigned bytes,
                 sc_core::sc_time& delay);

 private:
  void spend(const sc_core::sc_time& delay);
  Simulation& simulation_;
  tlm::tlm_generic_payload payload_;  // targets do not block, so that one is enough
};

}  // namespace shootdown::hw

#endif
