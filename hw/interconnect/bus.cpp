#include "hw/interconnect/bus.h"

#include <cstring>

namespace shootdown::hw {

MemoryController::MemoryController(const sc_core::sc_module_name& name, PhysicalMemory& memory,
                                   sc_core::sc_time latency)
    : sc_core::sc_module(name), memory_(memory), latency_(latency) {
  in.register_b_transport(this, &MemoryController::b_transport);
  in.register_transport_dbg(this, &MemoryController::transport_dbg);
}

void MemoryController::b_transport(tlm::tlm_generic_payload& trans, sc_core::sc_time& delay) {
  delay += latency_;
  trans.set_response_status(transport_dbg(trans) != 0 ? tlm::TLM_OK_RESPONSE
                                                      : tlm::TLM_ADDRESS_ERROR_RESPONSE);
}

unsigned MemoryController::transport_dbg(tlm::tlm_generic_payload& trans) {
  const arch::PhysAddr address{trans.get_address()};
  const unsigned bytes = trans.get_data_length();
  if (!memory_.contains(address, bytes)) return 0;
  if (trans.is_read()) {
    if (bytes == 8) {
      const std::uint64_t value = memory_.read64(address);
      std::memcpy(trans.get_data_ptr(), &value, 8);
      return bytes;
    }
    memory_.read(address, trans.get_data_ptr(), bytes);
  } else {
    memory_.write(address, trans.get_data_ptr(), bytes);
  }
  return bytes;
}

Interconnect::Interconnect(const sc_core::sc_module_name& name, sc_core::sc_time hop_latency)
    : sc_core::sc_module(name), hop_latency_(hop_latency) {
  in.register_b_transport(this, &Interconnect::b_transport);
  in.register_transport_dbg(this, &Interconnect::transport_dbg);
}

void Interconnect::add_window(arch::PhysAddr base, std::uint64_t bytes, bool relative) {
  windows_.push_back({base, bytes, relative});
}

std::optional<std::size_t> Interconnect::window_of(const tlm::tlm_generic_payload& trans) const {
  for (std::size_t i = 0; i < windows_.size(); ++i) {
    const std::uint64_t offset = trans.get_address() - windows_[i].base.value;
    if (trans.get_address() >= windows_[i].base.value && offset < windows_[i].bytes &&
        trans.get_data_length() <= windows_[i].bytes - offset) {
      return i;
    }
  }
  return std::nullopt;
}

void Interconnect::b_transport(int, tlm::tlm_generic_payload& trans, sc_core::sc_time& delay) {
  delay += hop_latency_;
  const auto window = window_of(trans);
  if (!window) {
    trans.set_response_status(tlm::TLM_ADDRESS_ERROR_RESPONSE);
    return;
  }
  const auto address = trans.get_address();
  if (windows_[*window].relative) trans.set_address(address - windows_[*window].base.value);
  out[static_cast<int>(*window)]->b_transport(trans, delay);
  trans.set_address(address);
}

unsigned Interconnect::transport_dbg(int, tlm::tlm_generic_payload& trans) {
  const auto window = window_of(trans);
  if (!window) return 0;
  const auto address = trans.get_address();
  if (windows_[*window].relative) trans.set_address(address - windows_[*window].base.value);
  const unsigned bytes = out[static_cast<int>(*window)]->transport_dbg(trans);
  trans.set_address(address);
  return bytes;
}

BusMaster::BusMaster(const sc_core::sc_module_name& name, Simulation& simulation)
    : sc_core::sc_module(name), simulation_(simulation) {}

bool BusMaster::transport(tlm::tlm_command command, arch::PhysAddr address, void* data,
                          unsigned bytes, sc_core::sc_time& delay) {
  payload_.set_command(command);
  payload_.set_address(address.value);
  payload_.set_data_ptr(static_cast<unsigned char*>(data));
  payload_.set_data_length(bytes);
  payload_.set_streaming_width(bytes);
  payload_.set_response_status(tlm::TLM_INCOMPLETE_RESPONSE);
  out->b_transport(payload_, delay);
  return payload_.is_response_ok();
}

void BusMaster::spend(const sc_core::sc_time& delay) { simulation_.sleep(delay); }

bool BusMaster::read(arch::PhysAddr address, void* data, unsigned bytes) {
  sc_core::sc_time delay;
  const bool ok = transport(tlm::TLM_READ_COMMAND, address, data, bytes, delay);
  spend(delay);
  return ok;
}

bool BusMaster::write(arch::PhysAddr address, const void* data, unsigned bytes) {
  sc_core::sc_time delay;
  // The generic payload has one pointer for both directions; a write command only reads it.
  const bool ok = transport(tlm::TLM_WRITE_COMMAND, address, const_cast<void*>(data), bytes, delay);
  spend(delay);
  return ok;
}

bool BusMaster::compare_exchange(arch::PhysAddr address, std::uint64_t& expected,
                                 std::uint64_t desired) {
  sc_core::sc_time delay;
  std::uint64_t found = 0;
  bool ok = transport(tlm::TLM_READ_COMMAND, address, &found, 8, delay);
  // No time passes between the two: the exchange is atomic.
  if (ok && found == expected) {
    ok = transport(tlm::TLM_WRITE_COMMAND, address, &desired, 8, delay);
  }
  expected = found;
  spend(delay);
  return ok;
}

}  // namespace shootdown::hw
