// Steps that do something to pages or to files: reclaim, migration, khugepaged, userfaultfd,
// drivers. All take a range of pages.
#include <fmt/format.h>

#include "cosim/program/place.h"
#include "cosim/program/step.h"
#include "hw/arch/check.h"
#include "sw/mm/huge_memory.h"
#include "sw/mm/hugetlb.h"
#include "sw/mm/levels.h"
#include "sw/mm/migrate.h"
#include "sw/mm/mmap.h"
#include "sw/mm/mprotect.h"
#include "sw/mm/pgtable.h"
#include "sw/mm/rmap.h"
#include "sw/mm/writeback.h"
#include "sw/mm/zap.h"

namespace shootdown::cosim {

namespace {

// ---- Arguments: a range, of a region that the step is for ------------------------------------

using Check = void (*)(const YamlValue& value, const MemoryOperation& step,
                       const RegionConfig& region);

template <Check kCheck>
MemoryOperation read_range_of(const YamlValue& value, const StepContext& context) {
  const ProcessConfig& process = context.process_config();
  const MemoryOperation step = on_range(read_range_step(value, process));
  kCheck(value, step, process.regions[step.region]);
  return step;
}

void any_memory(const YamlValue& value, const MemoryOperation&, const RegionConfig& region) {
  not_for_hugetlb(value, region);
}

void hugetlb_only(const YamlValue& value, const MemoryOperation&, const RegionConfig& region) {
  if (region.kind != RegionKind::kHugetlb) {
    value.fail("is no file of hugetlbfs", "a region of kind hugetlb");
  }
}

void driver_only(const YamlValue& value, const MemoryOperation&, const RegionConfig& region) {
  not_for_hugetlb(value, region);
  if (region.kind != RegionKind::kPfnmap) value.fail("is no driver's region", "kind: pfnmap");
}

void page_cache_only(const YamlValue& value, const MemoryOperation&, const RegionConfig& region) {
  not_for_hugetlb(value, region);
  if (region.kind != RegionKind::kSharedFile && region.kind != RegionKind::kPrivateFile) {
    value.fail("is no file", "a region of kind shared_file or private_file");
  }
}

void file_only(const YamlValue& value, const MemoryOperation&, const RegionConfig& region) {
  not_for_hugetlb(value, region);
  if (region.kind == RegionKind::kAnonymous) value.fail("is no file", "a region with a file");
}

void whole_blocks(const YamlValue& value, const MemoryOperation& step, const RegionConfig& region) {
  not_for_hugetlb(value, region);
  if (step.start.value % sw::kPmdSize != 0 || step.end.value % sw::kPmdSize != 0) {
    value.fail("is not made of whole 2 MiB", "at and pages in steps of 512 pages");
  }
}

// ---- What they do ----------------------------------------------------------------------------

/// A step that is one call of the kernel on the range.
template <void (*kFunction)(sw::Cpu&, sw::Mm&, arch::VirtAddr, arch::VirtAddr)>
StepEnd on_pages(StepHost& host, const MemoryOperation& step) {
  kFunction(host.cpu(), host.mm(), step.start, step.end);
  return StepEnd::kDone;
}

/// A part of a file.
struct FileRange {
  sw::File& file;
  std::uint64_t offset{};
  std::uint64_t end{};
};

FileRange file_range(StepHost& host, const MemoryOperation& step) {
  const arch::VirtAddr start = host.region(step.region).start;
  sw::File* file = host.file(step.region);
  SHOOTDOWN_CHECK(file != nullptr, "the step is for a file");
  return {*file, step.start.value - start.value, step.end.value - start.value};
}

/// The driver takes its frames back: whoever maps them is told, then they are free.
StepEnd revoke(StepHost& host, const MemoryOperation& operation) {
  sw::Cpu& cpu = host.cpu();
  const FileRange range = file_range(host, operation);
  const sw::FunctionTrace trace(cpu, "driver_revoke");
  const sw::WriteGuard driver(range.file.driver_lock, cpu);
  sw::unmap_mapping_range(cpu, range.file, range.offset, range.end);
  // Out of the file first: another thread may revoke meanwhile.
  for (;;) {
    const auto it = range.file.frames.lower_bound(range.offset);
    if (it == range.file.frames.end() || it->first >= range.end) break;
    sw::Page* frame = it->second;
    range.file.frames.erase(it);
    host.kernel().pages.put_page(cpu, *frame);
  }
  return StepEnd::kDone;
}

StepEnd page_out(StepHost& host, const MemoryOperation& step) {
  if (host.region(step.region).kind == RegionKind::kAnonymous) {
    sw::shrink_anonymous_pages(host.cpu(), host.mm(), step.start, step.end);
    return StepEnd::kDone;
  }
  const FileRange range = file_range(host, step);
  sw::shrink_file_pages(host.cpu(), host.kernel(), range.file, range.offset, range.end);
  return StepEnd::kDone;
}

StepEnd writeback(StepHost& host, const MemoryOperation& step) {
  const FileRange range = file_range(host, step);
  sw::write_cache_pages(host.cpu(), host.kernel(), range.file, range.offset, range.end);
  return StepEnd::kDone;
}

StepEnd unmap_file(StepHost& host, const MemoryOperation& step) {
  const FileRange range = file_range(host, step);
  sw::unmap_mapping_range(host.cpu(), range.file, range.offset, range.end);
  return StepEnd::kDone;
}

StepEnd punch_hole(StepHost& host, const MemoryOperation& step) {
  const FileRange range = file_range(host, step);
  sw::hugetlbfs_punch_hole(host.cpu(), host.kernel(), range.file, range.offset, range.end);
  return StepEnd::kDone;
}

StepEnd collapse(StepHost& host, const MemoryOperation& step) {
  for (arch::VirtAddr va = step.start; va < step.end; va = va + sw::kPmdSize) {
    sw::khugepaged_scan(host.cpu(), host.mm(), va);
  }
  return StepEnd::kDone;
}

StepEnd split(StepHost& host, const MemoryOperation& step) {
  sw::Mm& mm = host.mm();
  const sw::ReadGuard lock(mm.mmap_lock, host.cpu());
  for (arch::VirtAddr va = step.start; va < step.end; va = va + sw::kPmdSize) {
    if (const sw::Vma* vma = mm.find_vma(va)) sw::split_huge_pmd(host.cpu(), mm, *vma, va);
  }
  return StepEnd::kDone;
}

template <bool kProtect>
StepEnd uffd(StepHost& host, const MemoryOperation& step) {
  sw::mwriteprotect_range(host.cpu(), host.mm(), step.start, step.end, kProtect);
  return StepEnd::kDone;
}

StepEnd age(StepHost& host, const MemoryOperation& step) {
  sw::age_pages(host.cpu(), host.mm(), step.start, step.end);
  return StepEnd::kDone;
}

constexpr StepKind kSteps[]{{.name = "page_out",
                             .what = "reclaims pages, to swap or to their file",
                             .read = read_range_of<any_memory>,
                             .perform = page_out},
                            {.name = "writeback",
                             .what = "writes the dirty pages of a file back",
                             .read = read_range_of<page_cache_only>,
                             .perform = writeback},
                            {.name = "migrate",
                             .what = "moves pages to other frames",
                             .read = read_range_of<any_memory>,
                             .perform = on_pages<sw::migrate_pages>},
                            {.name = "collapse",
                             .what = "khugepaged makes 2 MiB blocks of pages",
                             .read = read_range_of<whole_blocks>,
                             .perform = collapse},
                            {.name = "split",
                             .what = "splits 2 MiB blocks into pages",
                             .read = read_range_of<whole_blocks>,
                             .perform = split},
                            {.name = "revoke",
                             .what = "a driver takes its frames back",
                             .read = read_range_of<driver_only>,
                             .perform = revoke},
                            {.name = "unmap_mapping_range",
                             .what = "unmaps a part of a file from everybody",
                             .read = read_range_of<file_only>,
                             .perform = unmap_file},
                            {.name = "numa_hint",
                             .what = "NUMA balancing takes access away, to see who comes",
                             .read = read_range_of<any_memory>,
                             .perform = on_pages<sw::change_prot_numa>},
                            {.name = "uffd_protect",
                             .what = "userfaultfd protects pages from writes",
                             .read = read_range_of<any_memory>,
                             .perform = uffd<true>,
                             .undone_by = "uffd_resolve"},
                            {.name = "uffd_resolve",
                             .what = "userfaultfd lets writes through again",
                             .read = read_range_of<any_memory>,
                             .perform = uffd<false>},
                            {.name = "age",
                             .what = "looks which pages were accessed, and makes them old",
                             .read = read_range_of<any_memory>,
                             .perform = age},
                            {.name = "punch_hole",
                             .what = "takes pages out of a file of hugetlbfs",
                             .read = read_range_of<hugetlb_only>,
                             .perform = punch_hole,
                             .for_hugetlb = "punch_hole"}};

}  // namespace

std::span<const StepKind> page_steps() { return kSteps; }

}  // namespace shootdown::cosim
