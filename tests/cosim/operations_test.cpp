// The operations of memory management as steps: what each does to memory and TLBs, that the
// checkers are silent about all of them on every architecture, and that they find what is planted.
#include <gtest/gtest.h>

#include <ostream>
#include <random>
#include <string>
#include <vector>

#include "support/scenario.h"

namespace shootdown::tests {
namespace {

const char* const kArchitectures[] = {
    "arm64",
    "x86",
    "{base: x86, shape: x86_pv}",
    "generic",
    "{base: generic, shootdown: broadcast}",
    "{base: generic, shape: generic_merge}",
    "{base: generic, shape: no_range}",
    "{base: generic, shape: powerpc}",
    "{base: generic, shape: powerpc_hash}",
    "{base: generic, shape: s390}",
    "{base: generic, shape: sparc64}",
    "{base: generic, shape: riscv}",
};

std::string machine(const std::string& architecture, const std::string& kernel) {
  return "schema_version: 1\ndescription: operations\nkernel: " + kernel +
         "\narchitecture: " + architecture + R"(
hardware: {cpus: 3, memory: {size_bytes: 0x8000000}}
limits: {simulated_us: 200000}
processes:
  app:
    regions:
      heap: {at: 0x7f8000000000, pages: 16, kind: anonymous}
      file: {at: 0x7f8000100000, pages: 16, kind: shared_file}
      copy: {at: 0x7f8000200000, pages: 16, kind: private_file}
      frames: {at: 0x7f8000300000, pages: 4, kind: pfnmap}
      huge: {at: 0x7f8000400000, pages: 1, kind: anonymous, page_size: 2MiB}
      thp: {at: 0x7f8000600000, pages: 512, kind: anonymous}
      place: {at: 0x7f9000000000, pages: 16, kind: anonymous, mapped: by_step}
  child: {fork_of: app}
devices:
  nic0: {stream_id: 0x40, process: app, retry: {attempts: 1, delay_cycles: 100}}
)";
}

std::string thread(const std::string& name, const std::string& where, const std::string& process,
                   const std::vector<std::string>& steps) {
  std::string text = "  " + name + ":\n    on: " + where + "\n";
  if (!process.empty()) text += "    process: " + process + "\n";
  text += "    steps:\n";
  for (const std::string& step : steps) text += "      - " + step + "\n";
  return text;
}

cosim::RunResult run_steps(const std::string& architecture, const std::string& kernel,
                           const std::vector<std::string>& steps,
                           const std::vector<std::string>& set = {}) {
  return run(load_text(
      machine(architecture, kernel) + "threads:\n" + thread("main", "cpu0", "app", steps), set));
}

struct Sequence {
  const char* name;
  std::vector<std::string> steps;
};
std::ostream& operator<<(std::ostream& out, const Sequence& s) { return out << s.name; }

// Every operation, with accesses before and after it.
const std::vector<Sequence>& sequences() {
  static const std::string kWrite = "write: {at: heap, count: 16, stride_bytes: 4096, value: 7}";
  static const std::string kRead = "read: {at: heap, count: 16, stride_bytes: 4096}";
  static const std::string kWriteFile =
      "write: {at: file, count: 16, stride_bytes: 4096, value: 7}";
  static const std::string kWriteCopy =
      "write: {at: copy, count: 16, stride_bytes: 4096, value: 7}";
  static const std::string kWriteThp = "write: {at: thp, count: 512, stride_bytes: 4096, value: 7}";
  static const std::vector<Sequence> kSequences{
      {"Munmap", {kWrite, "munmap: {at: heap, pages: 8}", "read: heap + 0x8000", "munmap: heap"}},
      {"Mprotect",
       {kWrite, "mprotect: {at: heap, protection: read_only}", kRead,
        "mprotect: {at: heap, protection: read_write}", kWrite}},
      {"Dontneed", {kWrite, "madvise: {at: heap, advice: dontneed}", kRead, kWrite}},
      {"Free",
       {kWrite, "madvise: {at: heap, advice: free}", kRead, kWrite, "page_out: heap", kRead}},
      {"FreeAndReclaim", {kWrite, "madvise: {at: heap, advice: free}", "page_out: heap", kRead}},
      {"PageOut", {kWrite, "page_out: heap", kRead, kWrite, "page_out: heap", kWrite}},
      {"Writeback", {kWriteFile, "writeback: file", kWriteFile, "page_out: file", kWriteFile}},
      {"PrivateFile",
       {"read: {at: copy, count: 16, stride_bytes: 4096}", kWriteCopy,
        "madvise: {at: copy, advice: dontneed}", kWriteCopy}},
      {"Mremap",
       {kWrite, "mremap: {at: heap, to: 0x7f9000000000}",
        "write: {at: place, count: 16, stride_bytes: 4096, value: 8}", "munmap: place"}},
      {"MremapPart",
       {kWrite, "mremap: {at: heap + 0x4000, pages: 4, to: 0x7fa000001000}", "read: heap",
        "munmap: heap"}},
      {"MmapByStep", {"mmap: place", "write: place", "munmap: place"}},
      {"Migrate", {kWrite, "migrate: heap", kRead, kWrite, "migrate: heap", kWrite}},
      {"MigrateFile", {kWriteFile, "migrate: file", kWriteFile, "writeback: file"}},
      {"NumaHint", {kWrite, "numa_hint: heap", kRead, kWrite}},
      {"SoftDirty", {kWrite, "clear_soft_dirty: process", kRead, kWrite}},
      {"Age", {kWrite, "age: heap", kRead, "age: heap", kWrite}},
      {"Pin", {"pin: {at: heap, pages: 4, write: true}", kWrite, "munmap: heap", "unpin: heap"}},
      {"PinnedPagesStay",
       {kWrite, "pin: {at: heap, pages: 4, write: true}", "page_out: heap", "migrate: heap", kWrite,
        "unpin: heap"}},
      {"Revoke",
       {"write: {at: frames, count: 4, stride_bytes: 4096}", "revoke: frames", "munmap: frames"}},
      {"UnmapMappingRange", {kWriteFile, "unmap_mapping_range: {at: file, pages: 4}", kWriteFile}},
      {"Huge",
       {"write: huge", "mprotect: {at: huge, protection: read_only}", "read: huge",
        "munmap: huge"}},
      {"SplitHuge",
       {"write: huge", "split: huge", "read: huge + 0x5000", "write: huge + 0x5000",
        "munmap: huge"}},
      {"Collapse",
       {kWriteThp, "collapse: thp", "read: {at: thp, count: 512, stride_bytes: 4096}", "write: thp",
        "split: thp", "write: thp + 0x3000", "munmap: thp"}},
      {"CollapseAndCut",
       {kWriteThp, "collapse: thp", "munmap: {at: thp, pages: 3}", "write: thp + 0x3000",
        "mprotect: {at: thp + 0x4000, pages: 2, "
        "protection: read_only}",
        "read: thp + 0x4000", "munmap: thp"}},
      {"Exit", {kWrite, kWriteFile, kWriteCopy, "write: huge", "exit: process"}},
  };
  return kSequences;
}

class OperationTest : public testing::TestWithParam<std::tuple<Sequence, const char*>> {};

TEST_P(OperationTest, RunsWithoutAViolationInEveryRelease) {
  const auto& [sequence, architecture] = GetParam();
  for (const char* kernel : {"v5.18", "v6.1", "v6.2", "v6.6", "v6.7"}) {
    const auto result = run_steps(architecture, kernel, sequence.steps);
    EXPECT_EQ(result.verdict, cosim::Verdict::kPass)
        << kernel << ": " << testing::PrintToString(violations_of(result)) << " " << result.limit
        << (result.violations.empty() ? "" : result.violations[0].headline);
  }
}

INSTANTIATE_TEST_SUITE_P(All, OperationTest,
                         testing::Combine(testing::ValuesIn(sequences()),
                                          testing::ValuesIn(kArchitectures)),
                         [](const auto& test) {
                           std::string name = std::string(std::get<0>(test.param).name) + "_";
                           for (const char c : std::string(std::get<1>(test.param))) {
                             if (std::isalnum(static_cast<unsigned char>(c)) != 0) name += c;
                           }
                           return name;
                         });

// ---- Two processes ---------------------------------------------------------------------------

TEST(ForkTest, ParentAndChildWriteTheirOwnPages) {
  for (const char* architecture : kArchitectures) {
    const std::string text =
        machine(architecture, "v6.7") + "threads:\n" +
        thread("main", "cpu0", "app",
               {"write: {at: heap, count: 16, stride_bytes: 4096, value: 1}",
                "write: {at: thp, count: 16, stride_bytes: 4096, value: 1}",
                "page_out: {at: thp, "
                "pages: 8}",
                "pin: {at: heap, pages: 2, write: true}", "fork: child",
                "write: {at: heap, count: 16, stride_bytes: 4096, value: 2}", "unpin: heap",
                "wait_for: child_done", "exit: process"}) +
        thread("other", "cpu2", "app", {"read: {at: heap, count: 300, stride_bytes: 0}"}) +
        thread("young", "cpu1", "child",
               {"write: {at: heap, count: 16, stride_bytes: 4096, value: 3}",
                "read: {at: thp, count: 16, stride_bytes: 4096}", "munmap: heap",
                "signal: child_done", "exit: process"});
    const auto result = run(load_text(text));
    EXPECT_EQ(result.verdict, cosim::Verdict::kPass)
        << architecture << testing::PrintToString(violations_of(result)) << result.limit
        << (result.violations.empty() ? "" : result.violations[0].headline);
  }
}

TEST(ForkTest, WithoutItsFlushTheParentWritesIntoSharedPages) {
  const std::string text =
      machine("arm64", "v6.7") + "inject: [skip_fork_flush]\nthreads:\n" +
      thread("main", "cpu0", "app",
             {"write: {at: heap, count: 4, stride_bytes: 4096, value: 1}", "fork: child",
              "write: {at: heap, count: 4, stride_bytes: 4096, value: 2}"}) +
      thread("young", "cpu1", "child", {"read: {at: heap, count: 4, stride_bytes: 4096}"});
  const auto names = violations_of(run(load_text(text)));
  EXPECT_FALSE(names.empty());
}

TEST(UserfaultTest, AWriterWaitsUntilItsPageIsResolved) {
  for (const char* architecture : kArchitectures) {
    const std::string text =
        machine(architecture, "v6.7") + "threads:\n" +
        thread("monitor", "cpu0", "app",
               {"write: {at: heap, count: 4, stride_bytes: 4096, value: 1}", "uffd_protect: heap",
                "signal: protected", "delay_cycles: 20000", "uffd_resolve: heap",
                "signal: resolved"}) +
        thread("writer", "cpu1", "app",
               {"wait_for: protected", "read: heap",
                "write: {at: heap, count: 4, stride_bytes: 4096, value: 2}"});
    const auto config = load_text(text);
    cosim::Experiment experiment(config);
    const std::string log = event_log_of(experiment);
    EXPECT_LT(log.find("UFFDIO_WRITEPROTECT"), log.find("waits for userfaultfd"));
    const auto result = experiment.run();
    EXPECT_EQ(result.verdict, cosim::Verdict::kPass)
        << architecture << testing::PrintToString(violations_of(result)) << result.limit;
  }
}

// ---- Shootdown by IPI ------------------------------------------------------------------------

/// A CPU that reads all the time while another one unmaps.
std::string unmapped_under_a_reader(const std::string& architecture, const std::string& reader) {
  return machine(architecture, "v6.7") + "threads:\n" +
         thread("main", "cpu0", "app",
                {"write: {at: heap, count: 4, stride_bytes: 4096, value: 1}", "signal: mapped",
                 "wait_for: cached", "munmap: heap", "signal: unmapped"}) +
         thread("reader", "cpu1", "app",
                {"wait_for: mapped", "read: {at: heap, count: 4, stride_bytes: 4096}",
                 "signal: cached", reader, "read: {at: heap, count: 2000, stride_bytes: 0}"});
}

TEST(ShootdownTest, ACpuThatIsNotInterruptedKeepsItsEntries) {
  for (const char* architecture : {"generic", "x86"}) {
    const std::string text = unmapped_under_a_reader(architecture, "read: heap");
    EXPECT_TRUE(run(load_text(text)).violations.empty()) << architecture;
    const auto result = run(load_text(text, {"inject=[skip_ipi]"}));
    EXPECT_TRUE(has_violation(result, "use-after-free", "ipi"))
        << architecture << testing::PrintToString(violations_of(result));
  }
}

TEST(ShootdownTest, ALazyCpuCatchesUpByItsGeneration) {
  const std::string text = unmapped_under_a_reader("x86", "wait_for: unmapped");
  const auto config = load_text(text);
  cosim::Experiment experiment(config);
  const std::string log = event_log_of(experiment);
  EXPECT_TRUE(experiment.run().violations.empty());
  EXPECT_NE(log.find("switch_mm_irqs_off"), std::string::npos);
  const auto result = run(load_text(text, {"inject=[skip_generation_check]"}));
  EXPECT_TRUE(has_violation(result, "use-after-free", "ipi") ||
              has_violation(result, "use-after-free", "hardware") ||
              has_violation(result, "use-after-free", "cpu-tlbi"))
      << testing::PrintToString(violations_of(result));
}

TEST(MremapTest, AFlushAfterTheLocksIsTooLate) {
  // mremap() moves a page; another thread frees it at its new place before the flush.
  const std::string text =
      machine("arm64", "v6.7") + R"(inject: [mremap_late_flush]
schedule:
  - {hold: mover, at: enter flush_tlb_range, until: {signal: used}, at_most_cycles: 50000}
)" + "threads:\n" +
      thread("mover", "cpu0", "app",
             {"write: {at: file, count: 4, stride_bytes: 4096, value: 1}", "signal: mapped",
              "wait_for: cached", "mremap: {at: file, to: 0x7f9100000000}"}) +
      thread("user", "cpu1", "app",
             {"wait_for: mapped", "read: {at: file, count: 4, stride_bytes: 4096}",
              "signal: cached", "wait_for: freed", "read: file", "signal: used"}) +
      thread("zapper", "cpu2", "app",
             {"wait_for: cached", "delay_cycles: 4000", "unmap_mapping_range: file",
              "page_out: file", "signal: freed"});
  const auto late = run(load_text(text));
  EXPECT_TRUE(has_violation(late, "use-after-free", "flush"))
      << testing::PrintToString(violations_of(late)) << testing::PrintToString(late.remarks);
  const auto right = run(load_text(text, {"inject=[]"}));
  EXPECT_TRUE(right.violations.empty()) << testing::PrintToString(violations_of(right));
}

// ---- At random -------------------------------------------------------------------------------

/// A thread's random walk through the operations. Regions that are gone are not touched again.
std::vector<std::string> random_steps(std::mt19937& random, unsigned length) {
  const auto pick = [&](unsigned n) { return static_cast<unsigned>(random() % n); };
  const auto range = [&](const char* region) {
    const unsigned first = pick(14);
    const unsigned pages = 1 + pick(16 - first);
    return "at: " + std::string(region) + " + " + std::to_string(first * 4096) +
           ", pages: " + std::to_string(pages);
  };
  const auto access = [&](const char* kind, const char* region) {
    return std::string(kind) + ": {at: " + region + ", count: " + std::to_string(1 + pick(16)) +
           ", stride_bytes: 4096}";
  };
  std::vector<std::string> steps;
  for (unsigned i = 0; i < length; ++i) {
    const char* regions[] = {"heap", "file", "copy"};
    const char* region = regions[pick(3)];
    switch (pick(18)) {
      case 0:
        steps.push_back("madvise: {" + range(region) + ", advice: dontneed}");
        break;
      case 1:
        steps.push_back("madvise: {" + range("heap") + ", advice: free}");
        break;
      case 2:
        steps.push_back("page_out: {" + range(region) + "}");
        break;
      case 3:
        steps.push_back("migrate: {" + range(region) + "}");
        break;
      case 4:
        steps.push_back("numa_hint: {" + range(region) + "}");
        break;
      case 5:
        steps.push_back("writeback: {" + range("file") + "}");
        break;
      case 6:
        steps.push_back("age: {" + range(region) + "}");
        break;
      case 7:
        steps.push_back("pin: {" + range(region) + "}");
        steps.push_back("unpin: " + std::string(region));
        break;
      case 8:
        steps.push_back("mprotect: {" + range(region) + ", protection: read_only}");
        steps.push_back("mprotect: {at: " + std::string(region) + ", protection: read_write}");
        break;
      case 9:
        steps.push_back("clear_soft_dirty: process");
        break;
      case 10:
        steps.push_back("unmap_mapping_range: {" + range("file") + "}");
        break;
      case 11:
        steps.push_back(pick(2) == 0 ? "collapse: thp" : "split: thp");
        steps.push_back(access("write", "thp"));
        break;
      case 12:
        steps.push_back("madvise: {" + range("thp") + ", advice: dontneed}");
        break;
      case 13:
        steps.push_back("uffd_protect: {" + range("heap") + "}");
        steps.push_back("uffd_resolve: heap");
        break;
      case 14:
        steps.push_back(access("read", region));
        break;
      default:
        steps.push_back(access("write", region));
        break;
    }
  }
  return steps;
}

class RandomOperations : public testing::TestWithParam<const char*> {};

TEST_P(RandomOperations, OfThreeThreadsAndADeviceAreWithoutViolation) {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    std::mt19937 random(seed);
    std::string text = machine(GetParam(), seed % 2 == 0 ? "v6.7" : "v6.6") + "threads:\n";
    for (unsigned cpu = 0; cpu < 3; ++cpu) {
      const std::string number = std::to_string(cpu);
      text += thread("t" + number, "cpu" + number, "app", random_steps(random, 14));
    }
    text += thread("dma", "nic0", "",
                   {"write: {at: heap, count: 16, stride_bytes: 4096}",
                    "read: {at: file, count: 16, stride_bytes: 4096}",
                    "write: {at: copy, count: 200, stride_bytes: 0}",
                    "write: {at: file, count: 16, stride_bytes: 4096}"});
    auto config = load_text(text);
    // As the steps fall, and with delays drawn from three seeds.
    for (std::uint64_t order = 0; order < 4; ++order) {
      if (order != 0) config.random_schedule = order;
      const auto result = run(config);
      EXPECT_TRUE(result.violations.empty())
          << "seed " << seed << " order " << order << testing::PrintToString(violations_of(result))
          << result.violations[0].headline << "\n"
          << text;
      EXPECT_TRUE(result.limit.empty())
          << "seed " << seed << " order " << order << ": " << result.limit << "\n"
          << text;
    }
    if (HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(All, RandomOperations, testing::ValuesIn(kArchitectures),
                         [](const auto& test) {
                           std::string name;
                           for (const char c : std::string(test.param)) {
                             if (std::isalnum(static_cast<unsigned char>(c)) != 0) name += c;
                           }
                           return name;
                         });

}  // namespace
}  // namespace shootdown::tests
