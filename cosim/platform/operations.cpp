#include "cosim/platform/operations.h"

#include "hw/arch/check.h"
#include "sw/mm/gup.h"
#include "sw/mm/huge_memory.h"
#include "sw/mm/hugetlb.h"
#include "sw/mm/madvise.h"
#include "sw/mm/migrate.h"
#include "sw/mm/mmap.h"
#include "sw/mm/mprotect.h"
#include "sw/mm/mremap.h"
#include "sw/mm/pgtable.h"
#include "sw/mm/rmap.h"
#include "sw/mm/writeback.h"
#include "sw/mm/zap.h"

namespace shootdown::cosim {

namespace {

using Kind = MemoryOperation::Kind;

/// A part of a file.
struct FileRange {
  sw::File& file;
  std::uint64_t offset{};
  std::uint64_t end{};
};

FileRange file_range(SoftwareStack& software, std::size_t process,
                     const MemoryOperation& operation) {
  const arch::VirtAddr start = software.region(process, operation.region).start;
  sw::File* file = software.file(process, operation.region);
  SHOOTDOWN_CHECK(file != nullptr, "the step is for a file");
  return {*file, operation.start.value - start.value, operation.end.value - start.value};
}

/// The driver takes its frames back: whoever maps them is told, then they are free.
void revoke(sw::Cpu& cpu, SoftwareStack& software, const FileRange& range) {
  const sw::FunctionTrace trace(cpu, "driver_revoke");
  sw::unmap_mapping_range(cpu, range.file, range.offset, range.end);
  // Out of the file first: another thread may revoke meanwhile.
  for (;;) {
    const auto it = range.file.frames.lower_bound(range.offset);
    if (it == range.file.frames.end() || it->first >= range.end) break;
    sw::Page* frame = it->second;
    range.file.frames.erase(it);
    software.kernel().pages.put_page(cpu, *frame);
  }
}

void page_out(sw::Cpu& cpu, SoftwareStack& software, std::size_t process,
              const MemoryOperation& operation) {
  if (software.region(process, operation.region).kind == RegionKind::kAnonymous) {
    return sw::shrink_anonymous_pages(cpu, software.mm(process), operation.start, operation.end);
  }
  const FileRange range = file_range(software, process, operation);
  sw::shrink_file_pages(cpu, software.kernel(), range.file, range.offset, range.end);
}

/// False if a page could not be pinned. One call a page, as hugetlb has them: its 4 KiB parts are
/// pinned at once.
bool pin(sw::Cpu& cpu, sw::Mm& mm, const MemoryOperation& operation, std::uint64_t page_bytes,
         PinnedPages& pinned) {
  bool all = true;
  for (arch::VirtAddr va = operation.start; va < operation.end; va = va + page_bytes) {
    if (pinned.contains(va.value)) continue;
    if (sw::Page* page = sw::pin_user_pages_fast(cpu, mm, va, operation.write)) {
      pinned[va.value] = page;
    } else {
      all = false;
    }
  }
  return all;
}

/// False if nothing there is pinned.
bool unpin(sw::Cpu& cpu, sw::Mm& mm, const MemoryOperation& operation, PinnedPages& pinned) {
  bool any = false;
  for (auto it = pinned.lower_bound(operation.start.value);
       it != pinned.end() && it->first < operation.end.value;) {
    sw::unpin_user_page(cpu, mm, *it->second);
    it = pinned.erase(it);
    any = true;
  }
  return any;
}

/// `action` for each 2 MiB of the range.
template <class Action>
void for_each_pmd(const MemoryOperation& operation, Action&& action) {
  for (arch::VirtAddr va = operation.start; va < operation.end; va = va + sw::kPmdSize) action(va);
}

void split(sw::Cpu& cpu, sw::Mm& mm, const MemoryOperation& operation) {
  const sw::ReadGuard lock(mm.mmap_lock, cpu);
  for_each_pmd(operation, [&](arch::VirtAddr va) {
    if (const sw::Vma* vma = mm.find_vma(va)) sw::split_huge_pmd(cpu, mm, *vma, va);
  });
}

}  // namespace

bool perform(sw::Cpu& cpu, SoftwareStack& software, std::size_t process, const MemoryOperation& op,
             PinnedPages& pinned) {
  sw::Mm& mm = software.mm(process);
  switch (op.kind) {
    case Kind::kMmap:
      return sw::do_mmap(cpu, mm, software.vma_of(cpu, process, op.region));
    case Kind::kMunmap:
      sw::do_munmap(cpu, mm, op.start, op.end);
      return true;
    case Kind::kMprotect:
      return sw::do_mprotect(cpu, mm, op.start, op.end, {.read = true, .write = op.write});
    case Kind::kMadviseDontneed:
      sw::madvise_dontneed(cpu, mm, op.start, op.end);
      return true;
    case Kind::kMadviseFree:
      sw::madvise_free(cpu, mm, op.start, op.end);
      return true;
    case Kind::kMremap:
      return sw::do_mremap(cpu, mm, op.start, op.end, op.to);
    case Kind::kPageOut:
      page_out(cpu, software, process, op);
      return true;
    case Kind::kWriteback: {
      const FileRange range = file_range(software, process, op);
      sw::write_cache_pages(cpu, software.kernel(), range.file, range.offset, range.end);
      return true;
    }
    case Kind::kMigrate:
      sw::migrate_pages(cpu, mm, op.start, op.end);
      return true;
    case Kind::kCollapse:
      for_each_pmd(op, [&](arch::VirtAddr va) { sw::khugepaged_scan(cpu, mm, va); });
      return true;
    case Kind::kSplit:
      split(cpu, mm, op);
      return true;
    case Kind::kPin:
      return pin(cpu, mm, op,
                 software.region(process, op.region).kind == RegionKind::kHugetlb ? sw::kPmdSize
                                                                                  : arch::kPageSize,
                 pinned);
    case Kind::kUnpin:
      return unpin(cpu, mm, op, pinned);
    case Kind::kRevoke:
      revoke(cpu, software, file_range(software, process, op));
      return true;
    case Kind::kUnmapMappingRange: {
      const FileRange range = file_range(software, process, op);
      sw::unmap_mapping_range(cpu, range.file, range.offset, range.end);
      return true;
    }
    case Kind::kNumaHint:
      sw::change_prot_numa(cpu, mm, op.start, op.end);
      return true;
    case Kind::kUffdProtect:
      sw::mwriteprotect_range(cpu, mm, op.start, op.end, true);
      return true;
    case Kind::kUffdResolve:
      sw::mwriteprotect_range(cpu, mm, op.start, op.end, false);
      return true;
    case Kind::kClearSoftDirty:
      sw::clear_soft_dirty(cpu, mm);
      return true;
    case Kind::kAge:
      sw::age_pages(cpu, mm, op.start, op.end);
      return true;
    case Kind::kPunchHole: {
      const FileRange range = file_range(software, process, op);
      sw::hugetlbfs_punch_hole(cpu, software.kernel(), range.file, range.offset, range.end);
      return true;
    }
    case Kind::kFork:
    case Kind::kExit:
      break;
  }
  SHOOTDOWN_CHECK(false, "a step of the platform's own");
  return false;
}

}  // namespace shootdown::cosim
