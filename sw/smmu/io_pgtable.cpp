#include "sw/smmu/io_pgtable.h"

#include <algorithm>
#include <bit>

namespace shootdown::sw::smmu {

namespace {

// MAIR: normal non-cacheable, write-back, device, and inner non-cacheable outer write-back. The
// kernel's expression for the last one is a negative int, which is sign-extended.
constexpr std::uint64_t kMair = 0xffff'ffff'f404'ff44;

constexpr unsigned kMaxAddressBits4k = 48;
constexpr unsigned kMaxAddressBits64k = 52;
constexpr std::uint64_t kConcatenatedTablesMax = 16;
constexpr unsigned kDescriptorLog2 = 3;

}  // namespace

bool alloc_io_pgtable(Cpu& cpu, PageAllocator& pages, const Features& features,
                      const HostProperties& host, bool stage2, IoPgtable& result) {
  IoPgtable t;
  t.stage2 = stage2;
  t.pgsize_bitmap = restrict_page_sizes(features.pgsize_bitmap, host.page_shift);
  if (t.pgsize_bitmap == 0) return false;
  t.granule_shift = static_cast<unsigned>(std::countr_zero(t.pgsize_bitmap));
  const unsigned most = t.granule_shift == 16 ? kMaxAddressBits64k : kMaxAddressBits4k;
  if (stage2) {
    t.input_bits = features.input_bits;
    t.output_bits = features.output_bits;
  } else {
    t.input_bits = std::min(features.wide_addresses ? 52U : 48U, host.va_bits);
    t.output_bits = features.input_bits;
    t.mair = kMair;
  }
  t.input_bits = std::min(t.input_bits, most);
  t.output_bits = std::min(t.output_bits, most);

  const unsigned stride = t.granule_shift - kDescriptorLog2;
  const unsigned levels = (t.input_bits - t.granule_shift + stride - 1) / stride;
  unsigned start_bits = t.input_bits - t.granule_shift - stride * (levels - 1);
  t.start_level = 4 - levels;
  // Stage 2 can begin a level lower, with start tables side by side.
  if (stage2 && t.start_level == 0 && (std::uint64_t{1} << start_bits) <= kConcatenatedTablesMax) {
    start_bits += stride;
    ++t.start_level;
  }
  t.table = pages.alloc_cleared(cpu, std::uint64_t{1} << (start_bits + kDescriptorLog2));
  if (t.table == nullptr) return false;
  result = t;
  return true;
}

}  // namespace shootdown::sw::smmu
