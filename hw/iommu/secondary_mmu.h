// What the machine knows of an MMU that stands before devices: its sockets, its wires, its life. An
// SMMU is one; the machine holds a list of them, and devices, CPUs and checkers do not know which
// kind each is.
//
// What it does it tells by events (hw/events.h): look-ups, fills, evictions, walks, invalidations,
// commands taken, barriers completed, faults. Checkers read nothing else.
#ifndef SHOOTDOWN_HW_IOMMU_SECONDARY_MMU_H
#define SHOOTDOWN_HW_IOMMU_SECONDARY_MMU_H

#include <cstdint>
#include <functional>
#include <string_view>
#include <tlm>

#include "hw/arch/maintenance.h"
#include "hw/arch/types.h"
#include "hw/events.h"
#include "hw/interconnect/bus.h"
#include "hw/iommu/transaction.h"

namespace shootdown::hw {

class SecondaryMmu {
 public:
  using Socket = tlm::tlm_base_target_socket_b<>;
  virtual ~SecondaryMmu() = default;

  /// Where transactions of devices arrive, each with a StreamExtension. Blocks for as long as they
  /// take, through a stall as well.
  virtual Socket& device_socket() = 0;
  /// Its registers, from offset 0 on, and how many bytes they take.
  virtual Socket& register_socket() = 0;
  virtual std::uint64_t register_bytes() const = 0;
  /// Its own accesses to memory: structures, tables, queues, messages.
  virtual BusMaster& memory_bus() = 0;
  virtual EventPort& event_port() = 0;
  /// What reports call it and its commands.
  virtual arch::MaintenanceWords words() const = 0;
  /// Connects a wire by its name ("event", "pri", "gerror"). False: it has no such wire. `handler`
  /// must not block.
  virtual bool connect_interrupt(std::string_view wire, std::function<void()> handler) = 0;
  /// A device of `stream_id` with an ATC, which outlives this. Before the first run.
  virtual void attach_atc(arch::StreamId stream_id, AtcPort& atc) = 0;

  /// Starts its engines; a run begins.
  virtual void start() = 0;
  /// Back to the state after power-on. Its threads have ended.
  virtual void reset() = 0;
};

}  // namespace shootdown::hw

#endif
