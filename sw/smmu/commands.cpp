#include "sw/smmu/commands.h"

namespace shootdown::sw::smmu {

std::vector<Command> tlb_inv_range(arch::Asid asid, std::uint64_t iova, std::uint64_t size,
                                   bool leaf, bool range_invalidation) {
  std::vector<Command> commands;
  if (!range_invalidation) {
    for (std::uint64_t done = 0; done < size; done += arch::kPageSize) {
      commands.push_back(tlbi_nh_va(asid, iova + done, leaf));
    }
    return commands;
  }
  constexpr std::uint64_t kNumMax = 31;
  std::uint64_t pages = size >> arch::kPageShift;
  // Without a level hint NUM = SCALE = 0 is reserved: one page more is invalidated instead.
  if (!leaf && (pages & kNumMax) == 1) ++pages;
  while (pages != 0) {
    const auto scale = static_cast<unsigned>(std::countr_zero(pages));
    const std::uint64_t num = (pages >> scale) & kNumMax;
    commands.push_back(
        tlbi_nh_va_range(asid, iova, leaf, static_cast<unsigned>(num - 1), scale, leaf ? 3 : 0));
    iova += (num << scale) << arch::kPageShift;
    pages -= num << scale;
  }
  return commands;
}

}  // namespace shootdown::sw::smmu
