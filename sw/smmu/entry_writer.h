// Changing a stream table entry or context descriptor that the SMMU may be reading, without a
// moment in which it would see neither the old nor the new one, where that is possible. Mirrors
// arm_smmu_write_entry() of v6.9 (7da51af9125c; for CDs v6.10, 78a5fbe8395b).
#ifndef SHOOTDOWN_SW_SMMU_ENTRY_WRITER_H
#define SHOOTDOWN_SW_SMMU_ENTRY_WRITER_H

#include <array>
#include <cstdint>
#include <functional>

#include "hw/arch/smmuv3_tables.h"
#include "hw/arch/types.h"
#include "sw/kernel/cpu.h"

namespace shootdown::sw::smmu {

/// An STE or a CD.
using Entry = std::array<std::uint64_t, arch::smmuv3::kStructureWords>;

/// arm_smmu_get_ste_used() and arm_smmu_get_cd_used(): the bits that the SMMU looks at, given what
/// the entry says.
Entry ste_used(const Entry& ste);
Entry cd_used(const Entry& cd);

Entry load_entry(Cpu& cpu, arch::PhysAddr address);

class EntryWriter {
 public:
  using Used = Entry (*)(const Entry&);
  /// `sync` makes the SMMU forget what it has cached of the entry, and waits for it.
  EntryWriter(Cpu& cpu, arch::PhysAddr address, Used used, std::function<void()> sync)
      : cpu_(cpu), address_(address), used_(used), sync_(std::move(sync)) {}

  /// Writes `target`, qword by qword. Hitless if the used bits of one qword alone change; else the
  /// entry is invalid meanwhile.
  void write(const Entry& target);

 private:
  /// Stores the qwords [first, last) that differ, then syncs if there were any.
  void store(const Entry& value, std::size_t first, std::size_t last);
  /// The entry, with the bits of `target` where the SMMU does not look now.
  Entry with_ignored_bits_of(const Entry& target) const;

  Cpu& cpu_;
  arch::PhysAddr address_;
  Used used_;
  std::function<void()> sync_;
  Entry entry_{};
};

}  // namespace shootdown::sw::smmu

#endif
