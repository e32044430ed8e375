#include "sw/mm/address_space.h"

#include "sw/mm/mm_types.h"

namespace shootdown::sw {

AddressSpace::Mapping::Part AddressSpace::Mapping::part(std::uint64_t from,
                                                        std::uint64_t to) const {
  const std::uint64_t limit = offset + (end.value - start.value);
  const std::uint64_t first = std::clamp(from, offset, limit);
  const std::uint64_t last = std::clamp(to, offset, limit);
  return {start + (first - offset), start + (last - offset)};
}

void AddressSpace::split(const Mm& mm, const Vma& lower, const Vma& upper) {
  const auto whole = std::find_if(i_mmap_.begin(), i_mmap_.end(), [&](const Mapping& mapping) {
    return mapping.mm == &mm && mapping.start < upper.start && upper.start < mapping.end;
  });
  if (whole == i_mmap_.end()) return;
  Mapping above = *whole;
  above.start = upper.start;
  above.offset = whole->offset + (upper.start.value - whole->start.value);
  above.vma = std::make_shared<const Vma>(upper);
  whole->end = upper.start;
  whole->vma = std::make_shared<const Vma>(lower);
  i_mmap_.insert(whole + 1, std::move(above));
}

void AddressSpace::remove(const Mm& mm, arch::VirtAddr start, arch::VirtAddr end) {
  std::vector<Mapping> kept;
  for (const Mapping& mapping : i_mmap_) {
    if (mapping.mm != &mm || mapping.end <= start || end <= mapping.start) {
      kept.push_back(mapping);
      continue;
    }
    if (mapping.start < start) {
      kept.push_back(mapping);
      kept.back().end = start;
    }
    if (end < mapping.end) {
      kept.push_back(mapping);
      kept.back().start = end;
      kept.back().offset = mapping.offset + (end.value - mapping.start.value);
    }
  }
  i_mmap_ = std::move(kept);
}

Page* File::find_page(std::uint64_t offset) const {
  auto found = pages.upper_bound(offset);
  if (found == pages.begin()) return nullptr;
  --found;
  Page* page = found->second;
  const bool inside = page != nullptr && offset < found->first + (arch::kPageSize << page->order);
  return inside ? page : nullptr;
}

bool File::caches_any(std::uint64_t offset, std::uint64_t end) const {
  const auto found = pages.lower_bound(offset);
  return found != pages.end() && found->first < end;
}

}  // namespace shootdown::sw
