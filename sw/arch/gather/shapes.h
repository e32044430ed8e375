// The shapes that architectures give to struct mmu_gather: knobs, geometry, what becomes of tables,
// and which rule tlb_flush() follows.
//
// Every architecture that Linux has falls into one of them; arm64 is also a whole stack here, the
// others end at the flush functions they call. Sources: each architecture's Kconfig,
// asm/tlb.h and asm/pgalloc.h, v6.1 and v6.12.
#ifndef SHOOTDOWN_SW_ARCH_GATHER_SHAPES_H
#define SHOOTDOWN_SW_ARCH_GATHER_SHAPES_H

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "sw/kernel/version.h"
#include "sw/mm/gather_config.h"

namespace shootdown::sw {

enum class TlbFlushRule : std::uint8_t {
  kGeneric,
  kArm64,
  kX86,
  kRiscv,
  kPowerpcRadix,
  kPowerpcHash,
  kS390,
  kSparc64
};

struct GatherShape {
  GatherConfig config;
  TlbFlushRule rule{};
  // What the rules ask of the release.
  bool riscv_range_flush{};         ///< c5e9b2c2ae82
  bool ppc_lazy_shootdown{};        ///< e43c0a0c3c28
  bool arm64_ttl_unknown{};         ///< c910f2b65518
  bool arm64_unshare_walk_cache{};  ///< c2ff4764e03e
};

struct GatherOptions {
  bool x86_five_levels{};
  bool init_on_free{};
};

/// Names of the shapes: arm64, arm64_16k, arm64_64k, x86_pv, x86_native, x86_nfc, x86_pae, generic,
/// generic_up, generic_merge, no_range, powerpc, powerpc_hash, s390, sparc64, riscv, riscv_ipi.
std::span<const std::string_view> gather_shape_names();
/// The shape in a kernel; nothing for an unknown name.
std::optional<GatherShape> gather_shape(std::string_view name, const KernelBehaviour& kernel,
                                        const GatherOptions& options = {});

}  // namespace shootdown::sw

#endif
