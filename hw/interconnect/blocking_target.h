// A target socket for blocking transport, bound by any number of initiators, whose calls go
// straight to a member function. The convenience sockets of tlm_utils take three or four calls more
// for each transaction, which is a large part of what a transaction costs.
#ifndef SHOOTDOWN_HW_INTERCONNECT_BLOCKING_TARGET_H
#define SHOOTDOWN_HW_INTERCONNECT_BLOCKING_TARGET_H

#include <systemc>
#include <tlm>

#include "hw/arch/check.h"

namespace shootdown::hw {

/// `kPolicy`: whether nobody may be bound to it.
template <class Module, sc_core::sc_port_policy kPolicy = sc_core::SC_ONE_OR_MORE_BOUND>
class BlockingTarget : public tlm::tlm_target_socket<32, tlm::tlm_base_protocol_types, 0, kPolicy>,
                       private tlm::tlm_fw_transport_if<> {
 public:
  using Transport = void (Module::*)(tlm::tlm_generic_payload& trans, sc_core::sc_time& delay);
  using Direct = bool (Module::*)(tlm::tlm_generic_payload& trans, tlm::tlm_dmi& dmi);

  /// `module` owns this socket. Without `direct` there is no direct access to memory (DMI).
  BlockingTarget(const char* name, Module& module, Transport transport, Direct direct = nullptr)
      : BlockingTarget::tlm_target_socket(name),
        module_(module),
        transport_(transport),
        direct_(direct) {
    this->bind(static_cast<tlm::tlm_fw_transport_if<>&>(*this));
  }

 private:
  void b_transport(tlm::tlm_generic_payload& trans, sc_core::sc_time& delay) override {
    (module_.*transport_)(trans, delay);
  }
  bool get_direct_mem_ptr(tlm::tlm_generic_payload& trans, tlm::tlm_dmi& dmi) override {
    return direct_ != nullptr && (module_.*direct_)(trans, dmi);
  }
  unsigned transport_dbg(tlm::tlm_generic_payload&) override { return 0; }
  tlm::tlm_sync_enum nb_transport_fw(tlm::tlm_generic_payload&, tlm::tlm_phase&,
                                     sc_core::sc_time&) override {
    SHOOTDOWN_CHECK(false, "this socket takes blocking transport only");
    return tlm::TLM_COMPLETED;
  }

  Module& module_;
  Transport transport_;
  Direct direct_;
};

}  // namespace shootdown::hw

#endif
