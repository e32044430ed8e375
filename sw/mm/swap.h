// Swap: what stands in an entry whose page is elsewhere, and the storage behind it.
// Mirrors include/linux/swapops.h and mm/swapfile.c.
#ifndef SHOOTDOWN_SW_MM_SWAP_H
#define SHOOTDOWN_SW_MM_SWAP_H

#include <array>
#include <cstdint>
#include <map>

#include "hw/arch/types.h"
#include "sw/kernel/cpu.h"

namespace shootdown::sw {

struct Page;

/// What a non-present entry stands for.
enum class SwapType : std::uint8_t { kSwap = 1, kMigrationRead = 2, kMigrationWrite = 3 };

/// The offset of a migration entry: the frame that moves, and whether its entry was dirty.
inline constexpr std::uint64_t kMigrationDirty = std::uint64_t{1} << 39;

/// Pages written out, by slot. A slot lives as long as entries refer to it.
class SwapSpace {
 public:
  /// get_swap_page(): a slot with one reference, of the caller.
  std::uint64_t allocate();
  void get(std::uint64_t slot) { ++slots_[slot].references; }
  /// Returns the page of the swap cache, whose reference the caller drops, if the slot is gone.
  [[nodiscard]] Page* put(std::uint64_t slot);
  /// The swap cache: the page that still holds what the slot is for, with a reference of its own.
  /// Null: it is gone.
  void set_cached(std::uint64_t slot, Page* page);
  Page* cached(std::uint64_t slot) const;
  void write(Cpu& cpu, std::uint64_t slot, const Page& page);
  void read(Cpu& cpu, std::uint64_t slot, const Page& page) const;
  std::size_t used() const { return slots_.size(); }

 private:
  struct Slot {
    unsigned references{};
    Page* cached{};
    std::array<std::uint64_t, arch::kPageSize / 8> contents{};
  };
  std::map<std::uint64_t, Slot> slots_;
  std::uint64_t last_{};
};

}  // namespace shootdown::sw

#endif
