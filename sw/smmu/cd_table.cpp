#include "sw/smmu/cd_table.h"

#include "hw/arch/smmuv3_tables.h"

namespace shootdown::sw::smmu {

namespace smmuv3 = arch::smmuv3;

bool CdTable::alloc(Cpu& cpu, PageAllocator& pages, unsigned ssid_bits, bool two_level) {
  ssid_bits_ = ssid_bits;
  two_level_ = two_level && ssid_bits > kLeafLog2;
  if (two_level_) leaves_.resize(std::size_t{1} << (ssid_bits - kLeafLog2));
  table_ = pages.alloc_cleared(cpu, two_level_ ? leaves_.size() * smmuv3::kL1DescriptorBytes
                                               : smmuv3::kCdBytes << ssid_bits);
  return table_ != nullptr;
}

std::optional<arch::PhysAddr> CdTable::find(arch::SubstreamId ssid) const {
  if (table_ == nullptr || std::uint64_t{ssid.value} >> ssid_bits_ != 0) return std::nullopt;
  if (!two_level_) return table_->address + std::uint64_t{ssid.value} * smmuv3::kCdBytes;
  const Page* leaf = leaves_[ssid.value >> kLeafLog2];
  if (leaf == nullptr) return std::nullopt;
  const std::uint64_t index = ssid.value & ((1U << kLeafLog2) - 1);
  return leaf->address + index * smmuv3::kCdBytes;
}

std::optional<arch::PhysAddr> CdTable::find_or_alloc(Cpu& cpu, PageAllocator& pages,
                                                     arch::SubstreamId ssid,
                                                     const std::function<void()>& linked) {
  if (const auto found = find(ssid)) return found;
  if (table_ == nullptr || std::uint64_t{ssid.value} >> ssid_bits_ != 0) return std::nullopt;
  const std::size_t index = ssid.value >> kLeafLog2;
  Page* const leaf = pages.alloc_cleared(cpu, smmuv3::kCdBytes << kLeafLog2);
  if (leaf == nullptr) return std::nullopt;
  leaves_[index] = leaf;
  cpu.store(table_->address + index * smmuv3::kL1DescriptorBytes,
            smmuv3::l1cd::Valid::of(1) | smmuv3::l1cd::L2Ptr::set(0, leaf->address.value));
  linked();
  return find(ssid);
}

}  // namespace shootdown::sw::smmu
