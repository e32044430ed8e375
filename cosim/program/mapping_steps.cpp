// Steps that are system calls on address spaces: what each is given, and what the kernel does.
#include <fmt/format.h>

#include "cosim/program/place.h"
#include "cosim/program/step.h"
#include "sw/mm/gup.h"
#include "sw/mm/levels.h"
#include "sw/mm/madvise.h"
#include "sw/mm/mmap.h"
#include "sw/mm/mprotect.h"
#include "sw/mm/mremap.h"
#include "sw/mm/zap.h"

namespace shootdown::cosim {

namespace {

// ---- Arguments -------------------------------------------------------------------------------

MemoryOperation read_mprotect(const YamlValue& value, const StepContext& context) {
  const ProcessConfig& process = context.process_config();
  YamlMap map(value);
  MemoryOperation result = on_range(read_range(map.require("at"), map.find("pages"), process));
  result.write = map.require("protection").word({"read_only", "read_write"}) == 1;
  map.finish();
  return result;
}

MemoryOperation read_madvise(const YamlValue& value, const StepContext& context) {
  const ProcessConfig& process = context.process_config();
  YamlMap map(value);
  MemoryOperation result = on_range(read_range(map.require("at"), map.find("pages"), process));
  const YamlValue advice = map.require("advice");
  result.free = advice.word({"dontneed", "free"}) == 1;
  if (result.free) not_for_hugetlb(advice, process.regions[result.region]);
  map.finish();
  return result;
}

MemoryOperation read_mremap(const YamlValue& value, const StepContext& context) {
  const ProcessConfig& process = context.process_config();
  YamlMap map(value);
  const YamlValue at = map.require("at");
  MemoryOperation result = on_range(read_range(at, map.find("pages"), process));
  const YamlValue to = map.require("to");
  const RegionConfig& region = process.regions[result.region];
  const std::uint64_t bytes = result.end.value - result.start.value;
  result.to = {to.integer(arch::kPageSize, (std::uint64_t{1} << 48) - bytes)};
  if (arch::page_of(result.to, region.page_shift) != result.to) {
    to.fail(fmt::format("is {:#x}", result.to.value), "the start of a page");
  }
  for (const RegionConfig& other : process.regions) {
    // A region that a step maps may stand for the new place, to be accessed by name.
    const bool free = other.mapped_by_step && other.start == result.to;
    if (!free && result.to < other.end() && other.start < result.to + bytes) {
      to.fail("lies in region '" + other.name + "'",
              "free addresses, or a region with mapped: by_step");
    }
  }
  map.finish();
  return result;
}

/// Only `munmap` can go through several regions, as one call: `through` names the last.
MemoryOperation read_munmap(const YamlValue& value, const StepContext& context) {
  const ProcessConfig& process = context.process_config();
  if (value.is_scalar()) {
    return on_range(read_range(value, std::nullopt, process));
  }
  YamlMap map(value);
  const YamlValue at = map.require("at");
  const auto through = map.find("through");
  MemoryOperation result =
      on_range(read_range(at, through ? std::nullopt : map.find("pages"), process));
  if (through) {
    const PageRange last = read_range(*through, std::nullopt, process);
    if (last.end <= result.start) through->fail("lies before `at`", "a region behind it");
    result.end = last.end;
  }
  map.finish();
  return result;
}

MemoryOperation read_pin(const YamlValue& value, const StepContext& context) {
  const ProcessConfig& process = context.process_config();
  if (value.is_scalar()) return on_range(read_range(value, std::nullopt, process));
  YamlMap map(value);
  MemoryOperation result = on_range(read_range(map.require("at"), map.find("pages"), process));
  map.read("write", result.write);
  map.finish();
  return result;
}

MemoryOperation read_mmap(const YamlValue& value, const StepContext& context) {
  const ProcessConfig& process = context.process_config();
  const PageRange range = read_range(value, std::nullopt, process);
  const RegionConfig& region = process.regions[range.region];
  if (!region.mapped_by_step || range.start != region.start) {
    value.fail("is mapped from the start", "a whole region with mapped: by_step");
  }
  return on_range(range);
}

MemoryOperation read_fork(const YamlValue& value, const StepContext& context) {
  const Config& config = context.config;
  std::vector<std::string> children;
  std::vector<std::size_t> numbers;
  for (std::size_t i = 0; i < config.processes.size(); ++i) {
    if (config.processes[i].fork_of != context.process) continue;
    children.push_back(config.processes[i].name);
    numbers.push_back(i);
  }
  if (children.empty()) value.fail("no process is a fork of this one", "one with fork_of");
  MemoryOperation result;
  result.process = numbers[value.word(children)];
  return result;
}

/// Of steps that are for the whole process.
MemoryOperation read_whole_process(const YamlValue& value, const StepContext&) {
  value.word({"process"});
  return {};
}

// ---- What a generator gives them -------------------------------------------------------------

std::string draw_mprotect(StepDraw& draw) {
  return fmt::format("{{{}, protection: {}}}", draw.pages_of(draw.region()),
                     draw.random().one_in(2) ? "read_only" : "read_write");
}

std::string draw_madvise(StepDraw& draw) {
  return fmt::format("{{{}, advice: {}}}", draw.pages_of(draw.region()),
                     draw.random().one_in(3) ? "free" : "dontneed");
}

std::string draw_mremap(StepDraw& draw) {
  return fmt::format("{{{}, to: {}}}", draw.pages_of(draw.region()), draw.free_address());
}

std::string draw_pin(StepDraw& draw) {
  return fmt::format("{{{}, write: {}}}", draw.pages_of(draw.region()), draw.random().one_in(2));
}

std::string draw_region(StepDraw& draw) { return draw.region().name; }

std::string draw_process(StepDraw&) { return "process"; }

// ---- What they do ----------------------------------------------------------------------------

StepEnd succeeded(bool good) { return good ? StepEnd::kDone : StepEnd::kFailed; }

StepEnd mmap(StepHost& host, const MemoryOperation& step) {
  return succeeded(sw::do_mmap(host.cpu(), host.mm(), host.vma_of(step.region)));
}

StepEnd munmap(StepHost& host, const MemoryOperation& step) {
  sw::do_munmap(host.cpu(), host.mm(), step.start, step.end);
  return StepEnd::kDone;
}

StepEnd mprotect(StepHost& host, const MemoryOperation& step) {
  return succeeded(sw::do_mprotect(host.cpu(), host.mm(), step.start, step.end,
                                   {.read = true, .write = step.write}));
}

StepEnd madvise(StepHost& host, const MemoryOperation& step) {
  const auto advise = step.free ? sw::madvise_free : sw::madvise_dontneed;
  advise(host.cpu(), host.mm(), step.start, step.end);
  return StepEnd::kDone;
}

StepEnd mremap(StepHost& host, const MemoryOperation& step) {
  return succeeded(sw::do_mremap(host.cpu(), host.mm(), step.start, step.end, step.to));
}

StepEnd fork_process(StepHost& host, const MemoryOperation& step) {
  host.fork(step.process);
  return StepEnd::kDone;
}

StepEnd exit_process(StepHost& host, const MemoryOperation&) {
  host.exit();
  return StepEnd::kExited;
}

StepEnd clear_soft_dirty(StepHost& host, const MemoryOperation&) {
  sw::clear_soft_dirty(host.cpu(), host.mm());
  return StepEnd::kDone;
}

/// One call a page of the size that the area has: the 4 KiB parts of one of hugetlb are pinned at
/// once.
StepEnd pin(StepHost& host, const MemoryOperation& operation) {
  const bool hugetlb = host.region(operation.region).kind == RegionKind::kHugetlb;
  const std::uint64_t page_bytes = hugetlb ? sw::kPmdSize : arch::kPageSize;
  PinnedPages& pinned = host.pinned();
  bool all = true;
  for (arch::VirtAddr va = operation.start; va < operation.end; va = va + page_bytes) {
    if (pinned.contains(va.value)) continue;
    if (sw::Page* page = sw::pin_user_pages_fast(host.cpu(), host.mm(), va, operation.write)) {
      pinned[va.value] = page;
    } else {
      all = false;
    }
  }
  return all ? StepEnd::kDone : StepEnd::kFailed;
}

/// Fails if nothing there is pinned.
StepEnd unpin(StepHost& host, const MemoryOperation& operation) {
  PinnedPages& pinned = host.pinned();
  bool any = false;
  for (auto it = pinned.lower_bound(operation.start.value);
       it != pinned.end() && it->first < operation.end.value;) {
    sw::unpin_user_page(host.cpu(), host.mm(), *it->second);
    it = pinned.erase(it);
    any = true;
  }
  return any ? StepEnd::kDone : StepEnd::kFailed;
}

constexpr StepKind kSteps[]{
    {.name = "mmap",
     .what = "maps a region that is `mapped: by_step`",
     .read = read_mmap,
     .perform = mmap,
     .draw = draw_region,
     .for_hugetlb = "mmap"},
    {.name = "munmap",
     .what = "unmaps pages",
     .read = read_munmap,
     .perform = munmap,
     .for_hugetlb = "munmap"},
    {.name = "mprotect",
     .what = "changes the protection of pages",
     .read = read_mprotect,
     .perform = mprotect,
     .failure = "mprotect met a hole after {}",
     .draw = draw_mprotect,
     .for_hugetlb = "mprotect"},
    {.name = "madvise",
     .what = "advice `dontneed` or `free`",
     .read = read_madvise,
     .perform = madvise,
     .draw = draw_madvise,
     .for_hugetlb = "madvise dontneed"},
    {.name = "mremap",
     .what = "moves pages to another address",
     .read = read_mremap,
     .perform = mremap,
     .failure_at = &MemoryOperation::to,
     .draw = draw_mremap,
     .for_hugetlb = "mremap"},
    {.name = "fork",
     .what = "makes a child process",
     .read = read_fork,
     .perform = fork_process,
     .life = Life::kBirth,
     .draw = draw_process},
    {.name = "exit",
     .what = "ends the process, when its other threads have ended",
     .read = read_whole_process,
     .perform = exit_process,
     .life = Life::kDeath,
     .draw = draw_process},
    {.name = "pin",
     .what = "pins pages (pin_user_pages_fast)",
     .read = read_pin,
     .perform = pin,
     .failure = "could not pin all from {} on",
     .draw = draw_pin,
     .for_hugetlb = "pin"},
    {.name = "unpin",
     .what = "unpins what this thread has pinned",
     .read =
         [](const YamlValue& value, const StepContext& context) {
           return on_range(read_range_step(value, context.process_config()));
         },
     .perform = unpin,
     .failure = "has pinned nothing at {}",
     .for_hugetlb = "unpin"},
    {.name = "clear_soft_dirty",
     .what = "clears the soft-dirty bits of the process",
     .read = read_whole_process,
     .perform = clear_soft_dirty,
     .draw = draw_process}};

}  // namespace

std::span<const StepKind> mapping_steps() { return kSteps; }

}  // namespace shootdown::cosim
