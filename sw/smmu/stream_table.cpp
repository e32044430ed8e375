#include "sw/smmu/stream_table.h"

#include <algorithm>

#include "hw/arch/smmuv3_registers.h"
#include "hw/arch/smmuv3_tables.h"

namespace shootdown::sw::smmu {

namespace smmuv3 = arch::smmuv3;

namespace {
constexpr std::uint64_t kReadAllocate = std::uint64_t{1} << 62;
constexpr unsigned kFirstLevelLog2Max = 17;  // 1 MiB of descriptors (STRTAB_L1_SZ_SHIFT)
constexpr unsigned kLinear = 0;
constexpr unsigned kTwoLevel = 1;
}  // namespace

bool StreamTable::init(Cpu& cpu, PageAllocator& pages, const Features& features,
                       const Entry& initial) {
  initial_ = initial;
  two_level_ = features.two_level_stream_table;
  if (two_level_) {
    const unsigned first_level = std::min(kFirstLevelLog2Max, features.sid_bits - kSplit);
    log2_ = first_level + kSplit;
    leaves_.resize(std::size_t{1} << first_level);
    table_ = pages.alloc_cleared(cpu, leaves_.size() * smmuv3::kL1DescriptorBytes);
    return table_ != nullptr;
  }
  log2_ = features.sid_bits;
  table_ = pages.alloc_cleared(cpu, smmuv3::kSteBytes << log2_);
  if (table_ == nullptr) return false;
  fill(cpu, table_->address, std::uint64_t{1} << log2_);
  return true;
}

bool StreamTable::init_sid(Cpu& cpu, PageAllocator& pages, arch::StreamId sid) {
  if (std::uint64_t{sid.value} >> log2_ != 0) return false;
  if (find(sid)) return true;
  Page* const leaf = pages.alloc_cleared(cpu, smmuv3::kSteBytes << kSplit);
  if (leaf == nullptr) return false;
  fill(cpu, leaf->address, std::uint64_t{1} << kSplit);
  const std::size_t index = sid.value >> kSplit;
  leaves_[index] = leaf;
  // Nothing of it was ever valid, so that there is nothing to invalidate.
  cpu.store(
      table_->address + index * smmuv3::kL1DescriptorBytes,
      smmuv3::l1std::Span::of(kSplit + 1) | smmuv3::l1std::L2Ptr::set(0, leaf->address.value));
  return true;
}

void StreamTable::fill(Cpu& cpu, arch::PhysAddr first, std::uint64_t count) const {
  // One page by stores, the others as copies of it.
  constexpr std::uint64_t kPerPage = arch::kPageSize / smmuv3::kSteBytes;
  for (std::uint64_t i = 0; i < std::min(count, kPerPage); ++i) {
    for (std::size_t word = 0; word < initial_.size(); ++word) {
      if (initial_[word] == 0) continue;  // the table was cleared
      cpu.store(first + i * smmuv3::kSteBytes + 8 * word, initial_[word]);
    }
  }
  for (std::uint64_t i = kPerPage; i < count; i += kPerPage) {
    cpu.copy_page(first + i * smmuv3::kSteBytes, first);
  }
}

std::optional<arch::PhysAddr> StreamTable::find(arch::StreamId sid) const {
  if (std::uint64_t{sid.value} >> log2_ != 0) return std::nullopt;
  if (!two_level_) return table_->address + std::uint64_t{sid.value} * smmuv3::kSteBytes;
  const Page* leaf = leaves_[sid.value >> kSplit];
  if (leaf == nullptr) return std::nullopt;
  const std::uint64_t index = sid.value & ((1U << kSplit) - 1);
  return leaf->address + index * smmuv3::kSteBytes;
}

std::uint64_t StreamTable::base_register() const { return table_->address.value | kReadAllocate; }

std::uint32_t StreamTable::base_cfg_register() const {
  namespace cfg = smmuv3::strtab_base_cfg;
  return static_cast<std::uint32_t>(cfg::Log2Size::of(log2_) |
                                    cfg::Fmt::of(two_level_ ? kTwoLevel : kLinear) |
                                    cfg::Split::of(two_level_ ? kSplit : 0));
}

}  // namespace shootdown::sw::smmu
