#include "sw/smmu/commands.h"

namespace shootdown::sw::smmu {

std::vector<Command> tlb_inv_range(const TlbiTarget& target, std::uint64_t iova, std::uint64_t size,
                                   const TlbiSteps& steps) {
  std::vector<Command> commands;
  if (!steps.range_invalidation) {
    for (std::uint64_t done = 0; done < size; done += std::uint64_t{1} << steps.granule_shift) {
      commands.push_back(tlbi(target, iova + done));
    }
    return commands;
  }
  constexpr std::uint64_t kNumMax = 31;
  std::uint64_t pages = size >> steps.leaf_shift;
  // 12, 14, 16 become 1, 2, 3.
  TlbiRange range{.tg = (steps.leaf_shift - 10) / 2};
  if (target.leaf) {
    range.ttl = 4 - (steps.granule_shift - 3) / (steps.leaf_shift - 3);
  } else if ((pages & kNumMax) == 1) {
    // Without a level hint NUM = SCALE = 0 is reserved: one page more is invalidated instead.
    ++pages;
  }
  while (pages != 0) {
    range.scale = static_cast<unsigned>(std::countr_zero(pages));
    const std::uint64_t num = (pages >> range.scale) & kNumMax;
    range.num = static_cast<unsigned>(num - 1);
    commands.push_back(tlbi(target, iova, range));
    iova += (num << range.scale) << steps.leaf_shift;
    pages -= num << range.scale;
  }
  return commands;
}

}  // namespace shootdown::sw::smmu
