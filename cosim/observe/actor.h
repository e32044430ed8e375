// Who does things in a run: typed, declared once by whoever builds the platform, named for people.
// Nobody derives anything from a name.
#ifndef SHOOTDOWN_COSIM_OBSERVE_ACTOR_H
#define SHOOTDOWN_COSIM_OBSERVE_ACTOR_H

#include <cstdint>
#include <string>
#include <string_view>

#include "hw/arch/maintenance.h"

namespace shootdown::cosim {

/// Number of an actor in its log.
using ActorId = std::uint16_t;
inline constexpr ActorId kNoActor = 0xffff;
/// An actor of role kThread; kNoThread for hardware.
using ThreadId = ActorId;
inline constexpr ThreadId kNoThread = kNoActor;

enum class ActorRole : std::uint8_t {
  kCpu,
  kSecondaryMmu,  ///< an SMMU, or another MMU of devices
  kDevice,        ///< parent: the secondary MMU it is behind
  kAtc,           ///< parent: its device
  kThread,        ///< of the kernel or of a program; parent: its CPU
};
constexpr std::string_view name_of(ActorRole role) {
  switch (role) {
    case ActorRole::kCpu:
      return "cpu";
    case ActorRole::kSecondaryMmu:
      return "secondary_mmu";
    case ActorRole::kDevice:
      return "device";
    case ActorRole::kAtc:
      return "atc";
    case ActorRole::kThread:
      return "thread";
  }
  return "?";
}

struct Actor {
  ActorRole role{};
  unsigned index{};  ///< among those of its role: CPU 2, secondary MMU 0
  ActorId parent{kNoActor};
  std::uint32_t stream_id{};  ///< of a device: what its transactions carry
  std::string name;           ///< for people only
  /// Of a TLB that may drop entries without a TlbEvict: what it holds is not known.
  bool silent_evictions{};
  arch::MaintenanceWords words;  ///< of a secondary MMU
};

}  // namespace shootdown::cosim

#endif
