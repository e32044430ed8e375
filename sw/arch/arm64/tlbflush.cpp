#include "sw/arch/arm64/tlbflush.h"

#include <algorithm>

namespace shootdown::sw {

using arch::TlbiOp;

namespace {

constexpr std::uint64_t kUserAsidFlag = std::uint64_t{1} << 48;
constexpr std::uint64_t kEverything = ~std::uint64_t{0};
/// MAX_TLBI_RANGE_PAGES: what one operation of the largest scale covers.
constexpr std::uint64_t kMaxTlbiRangePages = arch::tlbi_range_pages(3, 31);

/// __TLBI_VADDR(): in units of 4 KiB whatever the granule.
std::uint64_t va_operand(std::uint64_t va, arch::Asid asid) {
  return arch::tlbi_va::VaPage::of(va >> 12) | arch::tlbi_va::AsidField::of(asid.value);
}

}  // namespace

Arm64TlbFlush::Arm64TlbFlush(Arm64Features features, const KernelBehaviour& kernel,
                             unsigned page_shift)
    : features_(features),
      page_shift_(page_shift),
      notifies_(kernel.notify_in_tlb_flush),
      ttl_unknown_(kernel.arm64_ttl_unknown),
      descending_scale_(kernel.arm64_descending_scale),
      max_range_allowed_(kernel.arm64_max_range_allowed),
      nosync_split_(kernel.arm64_range_nosync) {}

void Arm64TlbFlush::tlbi_user(Arm64FlushPort& port, TlbiOp op, std::uint64_t operand) const {
  port.tlbi(op, operand);
  if (features_.kpti) port.tlbi(op, operand | kUserAsidFlag);
}

void Arm64TlbFlush::dsb_ish(Arm64FlushPort& port) const {
  port.dsb(Arm64Dsb::kIsh);
  if (!features_.repeat_tlbi) return;
  port.tlbi(TlbiOp::kVale1is, 0);
  port.dsb(Arm64Dsb::kIsh);
}

void Arm64TlbFlush::notify(Arm64FlushPort& port, std::uint64_t start, std::uint64_t end) const {
  if (notifies_) port.notify(start, end);
}

void Arm64TlbFlush::flush_tlb_mm(Arm64FlushPort& port, arch::Asid asid) const {
  port.dsb(Arm64Dsb::kIshst);
  tlbi_user(port, TlbiOp::kAside1is, arch::tlbi_va::AsidField::of(asid.value));
  dsb_ish(port);
  notify(port, 0, kEverything);
}

void Arm64TlbFlush::flush_tlb_page_nosync(Arm64FlushPort& port, arch::Asid asid,
                                          std::uint64_t address) const {
  port.dsb(Arm64Dsb::kIshst);
  tlbi_user(port, TlbiOp::kVale1is, va_operand(address, asid));
  const std::uint64_t page = arch::align_down(address, page_shift_);
  notify(port, page, page + page_bytes());
}

void Arm64TlbFlush::flush_tlb_page(Arm64FlushPort& port, arch::Asid asid,
                                   std::uint64_t address) const {
  flush_tlb_page_nosync(port, asid, address);
  dsb_ish(port);
}

// ---- Ranges ----------------------------------------------------------------------------------

std::uint64_t Arm64TlbFlush::with_level(std::uint64_t operand, int level) const {
  // Before c910f2b65518 zero means "unknown", so that level 0 could not be hinted.
  const bool hinted = ttl_unknown_ ? level >= 0 && level <= 3 : level != 0;
  if (!features_.ttl || !hinted) return operand;
  return operand | arch::tlbi_va::Ttl::of(granule() << 2 | (static_cast<unsigned>(level) & 3));
}

bool Arm64TlbFlush::flushes_whole_mm(std::uint64_t bytes, std::uint64_t stride_bytes) const {
  if (!features_.tlbi_range && bytes >= max_tlbi_ops() * stride_bytes) return true;
  const std::uint64_t pages = bytes >> page_shift_;
  return max_range_allowed_ ? pages > kMaxTlbiRangePages : pages >= kMaxTlbiRangePages;
}

void Arm64TlbFlush::range_operations(Arm64FlushPort& port, arch::Asid asid, std::uint64_t start,
                                     std::uint64_t pages, const FlushShape& shape) const {
  namespace field = arch::tlbi_range;
  const TlbiOp single = shape.last_level ? TlbiOp::kVale1is : TlbiOp::kVae1is;
  const TlbiOp range = shape.last_level ? TlbiOp::kRvale1is : TlbiOp::kRvae1is;
  const unsigned ttl =
      shape.level >= 1 && shape.level <= 3 ? static_cast<unsigned>(shape.level) : 0;
  int scale = descending_scale_ ? 3 : 0;
  while (pages > 0) {
    const bool one = descending_scale_ ? pages == 1 : pages % 2 == 1;
    if (!features_.tlbi_range || one) {
      tlbi_user(port, single, with_level(va_operand(start, asid), shape.level));
      start += shape.stride_bytes;
      pages -= std::min(pages, shape.stride_bytes >> page_shift_);
      continue;
    }
    const auto shift = static_cast<unsigned>(5 * scale + 1);
    // Descending: as many units as one operation takes. Ascending: the five bits of this scale.
    const std::uint64_t units = descending_scale_
                                    ? std::min(pages, std::uint64_t{32} << shift) >> shift
                                    : pages >> shift & 31;
    if (units != 0) {
      const auto num = static_cast<unsigned>(units - 1);
      tlbi_user(port, range,
                field::BaseAddr::of(start >> page_shift_) | field::Ttl::of(ttl) |
                    field::Num::of(num) | field::Scale::of(static_cast<unsigned>(scale)) |
                    field::Tg::of(granule()) | field::AsidField::of(asid.value));
      const std::uint64_t done = arch::tlbi_range_pages(static_cast<unsigned>(scale), num);
      start += done << page_shift_;
      pages -= done;
    }
    scale += descending_scale_ ? -1 : 1;
  }
}

void Arm64TlbFlush::flush_tlb_range_nosync(Arm64FlushPort& port, arch::Asid asid,
                                           std::uint64_t start, std::uint64_t end,
                                           const FlushShape& shape) const {
  start &= ~(shape.stride_bytes - 1);
  end = (end + shape.stride_bytes - 1) & ~(shape.stride_bytes - 1);
  if (flushes_whole_mm(end - start, shape.stride_bytes)) return flush_tlb_mm(port, asid);
  port.dsb(Arm64Dsb::kIshst);
  range_operations(port, asid, start, (end - start) >> page_shift_, shape);
  notify(port, start, end);
}

void Arm64TlbFlush::flush_tlb_range(Arm64FlushPort& port, arch::Asid asid, std::uint64_t start,
                                    std::uint64_t end, const FlushShape& shape) const {
  const std::uint64_t first = start & ~(shape.stride_bytes - 1);
  const std::uint64_t last = (end + shape.stride_bytes - 1) & ~(shape.stride_bytes - 1);
  flush_tlb_range_nosync(port, asid, start, end, shape);
  // Since d9d8dc2bd3fb the DSB follows also where the whole mm was flushed, which has its own.
  if (nosync_split_ || !flushes_whole_mm(last - first, shape.stride_bytes)) dsb_ish(port);
}

// ---- Everything, and the kernel's own --------------------------------------------------------

void Arm64TlbFlush::flush_tlb_all(Arm64FlushPort& port) const {
  port.dsb(Arm64Dsb::kIshst);
  port.tlbi(TlbiOp::kVmalle1is, 0);
  dsb_ish(port);
  port.isb();
}

void Arm64TlbFlush::local_flush_tlb_all(Arm64FlushPort& port) const {
  port.dsb(Arm64Dsb::kNshst);
  port.tlbi_vmalle1_local();
  port.dsb(Arm64Dsb::kNsh);
  port.isb();
}

void Arm64TlbFlush::flush_tlb_kernel_range(Arm64FlushPort& port, std::uint64_t start,
                                           std::uint64_t end) const {
  if (end - start > max_tlbi_ops() * page_bytes()) return flush_tlb_all(port);
  port.dsb(Arm64Dsb::kIshst);
  const std::uint64_t last = va_operand(end, {});
  for (std::uint64_t operand = va_operand(start, {}); operand < last;
       operand += page_bytes() >> 12) {
    port.tlbi(TlbiOp::kVaale1is, operand);
  }
  dsb_ish(port);
  port.isb();
}

void Arm64TlbFlush::flush_tlb_kernel_pgtable(Arm64FlushPort& port, std::uint64_t address) const {
  port.dsb(Arm64Dsb::kIshst);
  port.tlbi(TlbiOp::kVaae1is, va_operand(address, {}));
  dsb_ish(port);
  port.isb();
}

}  // namespace shootdown::sw
