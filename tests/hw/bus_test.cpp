// The bus: what a master sees is the same through the socket and by direct access.
#include "hw/interconnect/bus.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace shootdown::hw {
namespace {

using sc_core::sc_time;

/// Registers that count what reaches them.
class Registers : public sc_core::sc_module {
 public:
  explicit Registers(const sc_core::sc_module_name& name) : sc_core::sc_module(name) {}
  void b_transport(tlm::tlm_generic_payload& trans, sc_time&) {
    ++accesses;
    trans.set_response_status(tlm::TLM_OK_RESPONSE);
  }
  BlockingTarget<Registers> in{"in", *this, &Registers::b_transport};
  unsigned accesses{};
};

TEST(BusTest, DirectAccessHasTheLatencyAndTheLimitsOfTheWay) {
  const sc_time hop = sc_time::from_value(3000);
  const sc_time memory_latency = sc_time::from_value(40000);
  constexpr arch::PhysAddr kBase{0x8000'0000};
  constexpr std::uint64_t kBytes = 1 << 20;
  constexpr std::uint64_t kVisible = kBytes - 0x1000;  // the window hides the last page
  constexpr arch::PhysAddr kRegisters{0x1000'0000};
  Simulation simulation(sc_time::from_value(1000));
  PhysicalMemory ram(kBase, kBytes);
  MemoryController controller("memory", ram, memory_latency);
  Registers registers("registers");
  Interconnect interconnect("interconnect", hop);
  BusMaster master("master", simulation);
  interconnect.add_window(kBase, kVisible, /*relative=*/false);
  interconnect.out.bind(controller.in);
  interconnect.add_window(kRegisters, 0x1000, /*relative=*/true);
  interconnect.out.bind(registers.in);
  master.out.bind(interconnect.in);
  simulation.elaborate();

  const auto access = [&](tlm::tlm_command command, arch::PhysAddr address, std::uint64_t& value) {
    sc_time delay;
    const bool ok = master.transport(command, address, &value, 8, delay);
    return ok ? delay : sc_core::SC_ZERO_TIME;
  };
  std::uint64_t value = 0x1122'3344'5566'7788;
  // The first goes through the sockets and asks for direct access; the others need not.
  for (unsigned i = 0; i < 3; ++i) {
    EXPECT_EQ(access(tlm::TLM_WRITE_COMMAND, kBase + i * 8, value), hop + memory_latency) << i;
    EXPECT_EQ(ram.read64(kBase + i * 8), value);
    std::uint64_t back = 0;
    EXPECT_EQ(access(tlm::TLM_READ_COMMAND, kBase + i * 8, back), hop + memory_latency) << i;
    EXPECT_EQ(back, value);
  }
  // The last word that is visible, and the first that is not.
  EXPECT_NE(access(tlm::TLM_WRITE_COMMAND, kBase + (kVisible - 8), value), sc_core::SC_ZERO_TIME);
  EXPECT_EQ(ram.read64(kBase + (kVisible - 8)), value);
  EXPECT_EQ(access(tlm::TLM_WRITE_COMMAND, kBase + kVisible, value), sc_core::SC_ZERO_TIME);
  EXPECT_EQ(access(tlm::TLM_WRITE_COMMAND, kBase + (kVisible - 4), value), sc_core::SC_ZERO_TIME);
  EXPECT_EQ(ram.read64(kBase + kVisible), 0U);
  // Registers have effects: every access arrives.
  for (unsigned i = 1; i <= 3; ++i) {
    EXPECT_EQ(access(tlm::TLM_READ_COMMAND, kRegisters + 8, value), hop);
    EXPECT_EQ(registers.accesses, i);
  }
  // Memory that is cleared is clear for those who access it directly.
  ram.reset();
  value = 1;
  access(tlm::TLM_READ_COMMAND, kBase, value);
  EXPECT_EQ(value, 0U);
}

}  // namespace
}  // namespace shootdown::hw
