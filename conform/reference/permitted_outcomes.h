// Which outcomes the architecture permits a transaction, when caches may hold anything that was in
// memory since a completed invalidation covered it. By trying every combination on the reference.
//
// Source: Arm IHI 0070, sections 3.17, 3.21 and 4.4 (what may be cached, what drops it, when).
#ifndef SHOOTDOWN_CONFORM_REFERENCE_PERMITTED_OUTCOMES_H
#define SHOOTDOWN_CONFORM_REFERENCE_PERMITTED_OUTCOMES_H

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "conform/reference/reference_smmu.h"

namespace shootdown::conform::reference {

class PermittedOutcomes {
 public:
  /// RAM at [ram_base, ram_base + ram_bytes), zero; nothing elsewhere.
  PermittedOutcomes(const Identification& id, std::uint64_t ram_base, std::uint64_t ram_bytes);
  ~PermittedOutcomes();

  /// Memory changes, by whomever. `address` is a multiple of 8.
  void write_memory(std::uint64_t address, std::uint64_t word);
  /// CR0 as acknowledged, CR2, GBPA, STRTAB_BASE and STRTAB_BASE_CFG have new values.
  void set_registers(const Registers& registers);
  /// The SMMU has consumed this command without error. What it invalidates is gone for certain when
  /// a later CMD_SYNC has been consumed.
  void command(const std::array<std::uint64_t, 2>& words);

  /// Every outcome that is permitted now, without repetition; the one that a walk of memory as it
  /// is gives comes first.
  std::vector<Outcome> outcomes(const Transaction& transaction) const;

 private:
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace shootdown::conform::reference

#endif
