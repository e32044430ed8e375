// A command to a secondary MMU in words that every kind of it shares: what it maintains, and which
// translations it means. Drivers and models decode their own formats to this (smmuv3::describe()).
#ifndef SHOOTDOWN_HW_ARCH_MAINTENANCE_H
#define SHOOTDOWN_HW_ARCH_MAINTENANCE_H

#include <cstdint>
#include <optional>
#include <string_view>

#include "hw/arch/fields.h"
#include "hw/arch/invalidation.h"
#include "hw/arch/types.h"

namespace shootdown::arch {

enum class MaintenanceKind : std::uint8_t {
  kOther,          ///< hints, answers to faults and page requests
  kTlb,            ///< drops translations of the MMU itself
  kAtc,            ///< drops translations of a device's ATC
  kConfiguration,  ///< drops cached structures
  kBarrier,        ///< completes when what came before it is complete
};
constexpr std::string_view name_of(MaintenanceKind kind) {
  switch (kind) {
    case MaintenanceKind::kOther:
      return "other";
    case MaintenanceKind::kTlb:
      return "tlb";
    case MaintenanceKind::kAtc:
      return "atc";
    case MaintenanceKind::kConfiguration:
      return "configuration";
    case MaintenanceKind::kBarrier:
      return "barrier";
  }
  return "?";
}

/// What an architecture calls its own, for reports. Static storage.
struct MaintenanceWords {
  std::string_view mmu{"MMU"};
  std::string_view tlb{"invalidation"};  ///< the usual command of kTlb for a process's page
  std::string_view atc{"ATC invalidation"};
  std::string_view barrier{"barrier"};
};

struct Maintenance {
  SHOOTDOWN_FIELDS((MaintenanceKind, what),
                   // Of kTlb and kAtc: what has to go. Others have none.
                   (std::optional<Invalidation>, invalidation),
                   // Of kAtc and of commands that name a device.
                   (StreamId, stream_id),
                   // In the architecture's words; static storage.
                   (std::string_view, command),
                   // As written.
                   (RawWord, word0), (RawWord, word1));
};

}  // namespace shootdown::arch

#endif
