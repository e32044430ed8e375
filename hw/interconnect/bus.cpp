#include "hw/interconnect/bus.h"

#include <algorithm>
#include <cstring>

#include "hw/arch/check.h"

namespace shootdown::hw {

MemoryController::MemoryController(const sc_core::sc_module_name& name, PhysicalMemory& memory,
                                   sc_core::sc_time latency)
    : sc_core::sc_module(name), memory_(memory), latency_(latency) {}

void MemoryController::b_transport(tlm::tlm_generic_payload& trans, sc_core::sc_time& delay) {
  delay += latency_;
  const arch::PhysAddr address{trans.get_address()};
  const unsigned bytes = trans.get_data_length();
  if (!memory_.contains(address, bytes)) {
    trans.set_response_status(tlm::TLM_ADDRESS_ERROR_RESPONSE);
    return;
  }
  if (trans.is_read()) {
    memory_.read(address, trans.get_data_ptr(), bytes);
  } else {
    memory_.write(address, trans.get_data_ptr(), bytes);
  }
  trans.set_dmi_allowed(true);
  trans.set_response_status(tlm::TLM_OK_RESPONSE);
}

bool MemoryController::direct_access(tlm::tlm_generic_payload&, tlm::tlm_dmi& dmi) {
  dmi.set_dmi_ptr(memory_.bytes());
  dmi.set_start_address(memory_.base().value);
  dmi.set_end_address(memory_.base().value + (memory_.size_bytes() - 1));
  dmi.set_read_latency(latency_);
  dmi.set_write_latency(latency_);
  dmi.allow_read_write();
  return true;
}

Interconnect::Interconnect(const sc_core::sc_module_name& name, sc_core::sc_time hop_latency)
    : sc_core::sc_module(name), hop_latency_(hop_latency) {}

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

void Interconnect::b_transport(tlm::tlm_generic_payload& trans, sc_core::sc_time& delay) {
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

bool Interconnect::direct_access(tlm::tlm_generic_payload& trans, tlm::tlm_dmi& dmi) {
  const auto window = window_of(trans);
  // Registers have effects: only RAM, which sees whole addresses, is given out.
  if (!window || windows_[*window].relative) return false;
  if (!out[static_cast<int>(*window)]->get_direct_mem_ptr(trans, dmi)) return false;
  // The target may be larger than its window.
  const Window& visible = windows_[*window];
  const std::uint64_t first = std::max<std::uint64_t>(dmi.get_start_address(), visible.base.value);
  dmi.set_dmi_ptr(dmi.get_dmi_ptr() + (first - dmi.get_start_address()));
  dmi.set_start_address(first);
  dmi.set_end_address(
      std::min<std::uint64_t>(dmi.get_end_address(), visible.base.value + (visible.bytes - 1)));
  dmi.set_read_latency(dmi.get_read_latency() + hop_latency_);
  dmi.set_write_latency(dmi.get_write_latency() + hop_latency_);
  return true;
}

BusMaster::BusMaster(const sc_core::sc_module_name& name, Simulation& simulation)
    : sc_core::sc_module(name), simulation_(simulation) {}

bool BusMaster::transport(tlm::tlm_command command, arch::PhysAddr address, void* data,
                          unsigned bytes, sc_core::sc_time& delay) {
  simulation_.choice(
      command == tlm::TLM_READ_COMMAND ? ChoiceKind::kBusRead : ChoiceKind::kBusWrite,
      address.value);
  return transfer(command, address, data, bytes, delay);
}

bool BusMaster::transfer(tlm::tlm_command command, arch::PhysAddr address, void* data,
                         unsigned bytes, sc_core::sc_time& delay) {
  if (std::uint8_t* here = direct(address, bytes)) {
    if (command == tlm::TLM_READ_COMMAND) {
      std::memcpy(data, here, bytes);
    } else {
      std::memcpy(here, data, bytes);
    }
    delay += direct_latency_;
    return true;
  }
  payload_.set_command(command);
  payload_.set_address(address.value);
  payload_.set_data_ptr(static_cast<unsigned char*>(data));
  payload_.set_data_length(bytes);
  payload_.set_streaming_width(bytes);
  payload_.set_dmi_allowed(false);
  payload_.set_response_status(tlm::TLM_INCOMPLETE_RESPONSE);
  out->b_transport(payload_, delay);
  if (payload_.is_dmi_allowed() && !asked_) ask_for_direct_access();
  return payload_.is_response_ok();
}

void BusMaster::ask_for_direct_access() {
  asked_ = true;
  tlm::tlm_dmi dmi;
  if (!out->get_direct_mem_ptr(payload_, dmi) || !dmi.is_read_write_allowed()) return;
  SHOOTDOWN_CHECK(dmi.get_read_latency() == dmi.get_write_latency(),
                  "RAM with one latency for both directions");
  direct_ = dmi.get_dmi_ptr();
  direct_base_ = dmi.get_start_address();
  direct_bytes_ = dmi.get_end_address() - dmi.get_start_address() + 1;
  direct_latency_ = dmi.get_read_latency();
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
                                 std::uint64_t desired, sc_core::sc_time& delay) {
  simulation_.choice(ChoiceKind::kBusWrite, address.value);
  std::uint64_t found = 0;
  bool ok = transfer(tlm::TLM_READ_COMMAND, address, &found, 8, delay);
  if (ok && found == expected) {
    sc_core::sc_time same_access;
    ok = transfer(tlm::TLM_WRITE_COMMAND, address, &desired, 8, same_access);
  }
  expected = found;
  return ok;
}

}  // namespace shootdown::hw
