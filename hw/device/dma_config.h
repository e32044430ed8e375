// Parameters and program of a DMA device. Plain data; validated by whoever fills it in.
#ifndef SHOOTDOWN_HW_DEVICE_DMA_CONFIG_H
#define SHOOTDOWN_HW_DEVICE_DMA_CONFIG_H

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "hw/arch/types.h"
#include "hw/mmu/mmu_config.h"

namespace shootdown::hw {

/// Reads or writes `bytes` (1 to 8) at each of `count` addresses, `stride_bytes` apart.
struct DmaAccess {
  arch::Access access{};
  arch::VirtAddr va{};
  unsigned bytes{8};
  std::uint64_t value{};
  std::uint64_t count{1};
  std::uint64_t stride_bytes{};
};
struct DmaDelay {
  std::uint64_t cycles{};
};
struct DmaWaitFor {
  unsigned signal{};
};
struct DmaSignal {
  unsigned signal{};
};
struct DmaStep;
struct DmaRepeat {
  std::uint64_t times{};
  std::vector<DmaStep> steps;
};
struct DmaStep : std::variant<DmaAccess, DmaDelay, DmaWaitFor, DmaSignal, DmaRepeat> {
  using variant::variant;
};

struct AtcConfig {
  TlbGeometry geometry{.entries = 16, .ways = 16};
  unsigned hit_latency_cycles{1};
  unsigned invalidate_latency_cycles{20};
  /// By default it asks for the translation anew, as PCIe ATS has it.
  HitWithoutPermission hit_without_permission{HitWithoutPermission::kRewalk};
  /// A refused translation becomes a page request (PRI). False: an access that the SMMU may stall.
  bool page_requests{};
};

struct DmaDeviceConfig {
  arch::StreamId stream_id{};
  std::optional<arch::SubstreamId> substream_id;
  std::optional<AtcConfig> atc;
  unsigned retry_attempts{32};  ///< of an access that was refused
  unsigned retry_delay_cycles{200};
};

}  // namespace shootdown::hw

#endif
