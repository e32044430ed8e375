#include "sw/mm/mmap.h"

#include <algorithm>
#include <iterator>
#include <memory>
#include <vector>

#include "hw/arch/check.h"
#include "sw/mm/free_pgtables.h"
#include "sw/mm/hugetlb.h"
#include "sw/mm/kernel_gather.h"
#include "sw/mm/mmu_notifier.h"
#include "sw/mm/pfnmap.h"
#include "sw/mm/rmap.h"
#include "sw/mm/zap.h"

namespace shootdown::sw {

bool range_is_free(const Mm& mm, arch::VirtAddr start, arch::VirtAddr end) {
  return std::none_of(mm.vmas.begin(), mm.vmas.end(),
                      [&](const Vma& vma) { return vma.overlaps(start, end); });
}

void vma_link(Cpu& cpu, Mm& mm, const Vma& vma) {
  const auto after = std::find_if(mm.vmas.begin(), mm.vmas.end(),
                                  [&](const Vma& other) { return other.start >= vma.start; });
  SHOOTDOWN_CHECK(after == mm.vmas.end() || vma.end <= after->start, "areas overlap");
  SHOOTDOWN_CHECK(after == mm.vmas.begin() || std::prev(after)->end <= vma.start, "areas overlap");
  mm.vmas.insert(after, vma);
  vma_link_rmap(cpu, mm, vma);
}

bool do_mmap(Cpu& cpu, Mm& mm, Vma vma) {
  const FunctionTrace trace(cpu, "do_mmap");
  const WriteGuard lock(mm.mmap_lock, cpu);
  if (!range_is_free(mm, vma.start, vma.end)) return false;
  if (vma.file == nullptr) vma.file_offset = vma.start.value;
  const bool own_pages = !vma.shared && !vma.pfnmap;
  if (own_pages && vma.anon_vma == nullptr) vma.anon_vma = &mm.kernel.anon_vmas.emplace_back();
  if (vma.is_hugetlb()) vma.hugetlb_vma_lock = std::make_shared<RwSemaphore>();
  if (!vma.pfnmap) {
    vma_link(cpu, mm, vma);
    return true;
  }
  const ReadGuard driver(vma.file->driver_lock, cpu);
  vma_link(cpu, mm, vma);
  remap_pfn_range(cpu, mm, vma);
  return true;
}

namespace {

/// The areas themselves and where they stand in trees. The file's lock is held.
void split_in_place(Cpu& cpu, Mm& mm, std::vector<Vma>::iterator vma, arch::VirtAddr at) {
  Vma upper = *vma;
  upper.file_offset += at.value - vma->start.value;
  upper.start = at;
  if (upper.is_hugetlb()) upper.hugetlb_vma_lock = std::make_shared<RwSemaphore>();
  vma->end = at;
  if (vma->file != nullptr) vma->file->split(mm, *vma, upper);
  if (vma->anon_vma != nullptr) {
    const WriteGuard lock(vma->anon_vma->lock, cpu);
    vma->anon_vma->split(mm, *vma, upper);
  }
  mm.vmas.insert(vma + 1, upper);
}

}  // namespace

void split_vma(Cpu& cpu, Mm& mm, arch::VirtAddr at) {
  const auto vma = std::find_if(mm.vmas.begin(), mm.vmas.end(), [&](const Vma& candidate) {
    return candidate.start < at && at < candidate.end;
  });
  if (vma == mm.vmas.end()) return;
  if (vma->is_hugetlb()) {
    hugetlb_split(cpu, mm, *vma, at, [&] { split_in_place(cpu, mm, vma, at); });
  } else if (vma->file != nullptr) {
    const WriteGuard i_mmap(vma->file->lock, cpu);
    split_in_place(cpu, mm, vma, at);
  } else {
    split_in_place(cpu, mm, vma, at);
  }
}

void do_munmap(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end) {
  const FunctionTrace trace(cpu, "do_munmap");
  {
    const WriteGuard lock(mm.mmap_lock, cpu);
    split_vma(cpu, mm, start);
    split_vma(cpu, mm, end);
    std::vector<Vma> detached;
    for (const Vma& vma : mm.vmas) {
      if (vma.overlaps(start, end)) detached.push_back(vma);
    }
    std::erase_if(mm.vmas, [&](const Vma& vma) { return vma.overlaps(start, end); });
    KernelGather gather(cpu, mm);
    const MmuNotifierRange range{.mm = mm, .start = start, .end = end};
    mmu_notifier_invalidate_range_start(cpu, range);
    for (const Vma& vma : detached) unmap_single_vma(cpu, mm, gather.tlb, vma, start, end);
    // The notifier section ends before the last flush and before anything is freed.
    mmu_notifier_invalidate_range_end(cpu, range);
    free_pgtables(cpu, mm, gather.tlb, detached, start, end);
    gather.finish();
  }
  cpu.trace(ProtectionRemoved{.mm = mm.id, .start = start, .end = end, .operation = "munmap"});
}

void exit_mmap(Cpu& cpu, Mm& mm) {
  const FunctionTrace trace(cpu, "exit_mmap");
  mmu_notifier_release(cpu, mm);
  cpu.trace(MmExiting{.mm = mm.id});
  {
    const WriteGuard lock(mm.mmap_lock, cpu);
    std::vector<Vma> detached;
    detached.swap(mm.vmas);
    KernelGather gather(cpu, mm, /*fullmm=*/true);
    for (const Vma& vma : detached) {
      unmap_single_vma(cpu, mm, gather.tlb, vma, vma.start, vma.end);
    }
    free_pgtables(cpu, mm, gather.tlb, detached, {}, {std::uint64_t{1} << 48});
    gather.finish();
  }
  // mm_drop(). The ASID is not given away again.
  Page* pgd = mm.kernel.pages.find(mm.pgd);
  SHOOTDOWN_CHECK(pgd != nullptr, "the top table is gone already");
  mm.kernel.pages.put_page(cpu, *pgd);
}

}  // namespace shootdown::sw
