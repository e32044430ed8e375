// Bad input of every kind: exit status 2, one line `file:line:column: key: problem (what is
// allowed)`, nothing written.
#include <gtest/gtest.h>

#include <ostream>
#include <regex>
#include <string>
#include <vector>

#include "../support/program.h"

namespace shootdown::tests {
namespace {

const char* const kGood = R"(schema_version: 1
description: A good configuration.
kernel: v6.5
architecture: arm64
hardware:
  cpus: 2
  memory: {size_bytes: 67108864}
  cpu_tlb: {model: systemc, entries: 64, ways: 4}
  smmu:
    tlb: {model: systemc, entries: 32, ways: 4}
    faults: stall
    command_queue_entries: 256
processes:
  app:
    regions:
      buffer: {at: 0x7f8000010000, pages: 4, kind: shared_file}
      heap: {at: 0x7f8000020000, pages: 4, kind: anonymous}
devices:
  nic0: {stream_id: 0x40, process: app, atc: false}
threads:
  main: {on: cpu0, process: app, steps: [{read: buffer}, {signal: go}]}
  dma: {on: nic0, steps: [{wait_for: go}, {write: {at: buffer + 0x10, value: 1}}]}
expect:
  - {kernel: "< v6.6", violation: fault-loop}
)";

struct Case {
  const char* name;
  const char* from;   ///< replaced in kGood ...
  const char* to;     ///< ... by this
  const char* where;  ///< line, and the column if it is of interest
  const char* key;
  const char* says;  ///< part of the problem or of what is allowed
};
std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.name; }

const Case kCases[] = {
    {"UnknownTopKey", "architecture: arm64", "architectur: arm64", "4:1", "architectur",
     "unknown key"},
    {"UnknownHardwareKey", "cpus: 2", "cpu: 2", "6:3", "hardware.cpu", "known here"},
    {"HugetlbSmallPages", "pages: 4, kind: shared_file", "pages: 4, kind: hugetlb, page_size: 4KiB",
     "16:", "processes.app.regions.buffer.page_size", "4KiB for hugetlb (2MiB)"},
    {"HugetlbMisaligned", "pages: 4, kind: shared_file", "pages: 4, kind: hugetlb",
     "16:", "processes.app.regions.buffer.at", "a multiple of the page size"},
    {"TwoKindsOfFile",
     "kind: shared_file}\n      heap: {at: 0x7f8000020000, pages: 4, kind: anonymous}",
     "kind: shared_file, file: f}\n      heap: {at: 0x7f8000200000, pages: 4, kind: hugetlb, file: "
     "f}",
     "17:", "processes.app.regions.heap", "region 'buffer' makes another kind of file"},
    {"PunchHoleElsewhere", "{read: buffer}", "{punch_hole: buffer}",
     "21:", "threads.main.steps[0].punch_hole", "a region of kind hugetlb"},
    {"MisspeltRequiredKey", "stream_id: 0x40", "streamid: 0x40", "19:10", "devices.nic0.stream_id",
     "'streamid' is given"},
    {"UnknownTlbKey", "entries: 32,", "entrys: 32,", "10:", "hardware.smmu.tlb.entrys",
     "unknown key"},
    {"UnknownRegionKey", "pages: 4, kind: shared_file", "pages: 4, kinds: shared_file",
     "16:", "processes.app.regions.buffer.kinds", "unknown key"},
    {"MissingVersion", "schema_version: 1\n", "", "1:1", "schema_version", "is missing"},
    {"WrongVersion", "schema_version: 1", "schema_version: 2", "1:17", "schema_version", "(1)"},
    {"MissingDescription", "description: A good configuration.\n", "", "1:1", "description",
     "is missing"},
    {"MissingKernel", "kernel: v6.5\n", "", "1:1", "kernel", "is missing"},
    {"MissingRegionAddress", "at: 0x7f8000010000, ", "", "16:", "processes.app.regions.buffer.at",
     "is missing"},
    {"MissingStreamId", "stream_id: 0x40, ", "", "19:", "devices.nic0.stream_id", "is missing"},
    {"MissingSteps", ", steps: [{read: buffer}, {signal: go}]", "", "21:", "threads.main.steps",
     "is missing"},
    {"ThreadInTwoPlaces", "main: {on: cpu0,", "main: {on: cpu0, cpu: cpu1,",
     "21:", "threads.main.cpu", "one of on, cpu, device"},
    {"DeviceThatIsACpu", "main: {on: cpu0,", "main: {device: cpu0,", "21:", "threads.main.device",
     "one of nic0"},
    {"MissingThreadProcess", "{on: cpu0, process: app,", "{on: cpu0,",
     "21:", "threads.main.process", "is missing"},
    {"DuplicateTopKey", "kernel: v6.5\n", "kernel: v6.5\nkernel: v6.6\n", "4:1", "kernel", "twice"},
    {"DuplicateNestedKey", "cpus: 2", "cpus: 2\n  cpus: 3", "7:3", "hardware.cpus", "twice"},
    {"DuplicateRegion", "      heap:", "      buffer:", "17:7", "processes.app.regions.buffer",
     "twice"},
    {"UnknownKernel", "kernel: v6.5\n", "kernel: v4.19\n", "3:9", "kernel", "v5.18, v5.19"},
    {"KernelWithoutV", "kernel: v6.5\n", "kernel: 6.5\n", "3:9", "kernel", "unknown kernel"},
    {"UnknownChange", "kernel: v6.5\n", "kernel: {base: v6.5, apply: [deadbeef1234]}\n",
     "3:", "kernel.apply[0]", "6bbd42e2df8f"},
    {"ChangeAppliedThatIsIn", "kernel: v6.5\n", "kernel: {base: v6.5, apply: [7cc8f9c7146a]}\n",
     "3:", "kernel", "which v6.5 has already"},
    {"ChangeRevertedThatIsNotIn", "kernel: v6.5\n",
     "kernel: {base: v6.5, revert: [6bbd42e2df8f]}\n", "3:", "kernel",
     "which v6.5 does not have yet"},
    {"ChangeTwice", "kernel: v6.5\n", "kernel: {base: v6.5, apply: [6bbd42e2df8f, 6bbd42e2df8f]}\n",
     "3:", "kernel", "twice"},
    {"ChangeWithoutTheOneItNeeds", "kernel: v6.5\n",
     "kernel: {base: v6.5, revert: [7cc8f9c7146a]}\n", "3:", "kernel",
     "5df397dec7c4 without 7cc8f9c7146a"},
    {"KernelMapWithoutBase", "kernel: v6.5\n", "kernel: {apply: [6bbd42e2df8f]}\n",
     "3:", "kernel.base", "is missing"},
    {"UnknownArchitecture", "arm64", "sparc", "4:15", "architecture", "one of arm64"},
    {"CpusNotANumber", "cpus: 2", "cpus: two", "6:9", "hardware.cpus", "from 1 to 64"},
    {"CpusZero", "cpus: 2", "cpus: 0", "6:9", "hardware.cpus", "from 1 to 64"},
    {"CpusTooMany", "cpus: 2", "cpus: 65", "6:9", "hardware.cpus", "from 1 to 64"},
    {"CpusNegative", "cpus: 2", "cpus: -1", "6:9", "hardware.cpus", "is '-1'"},
    {"CpusAList", "cpus: 2", "cpus: [2]", "6:9", "hardware.cpus", "a list"},
    {"CpusAFraction", "cpus: 2", "cpus: 2.5", "6:9", "hardware.cpus", "is '2.5'"},
    {"LeadingZero", "cpus: 2", "cpus: 010", "6:9", "hardware.cpus", "leading zero"},
    {"NumberOverflow", "cpus: 2", "cpus: 99999999999999999999999", "6:9", "hardware.cpus",
     "from 1 to 64"},
    {"BadHex", "stream_id: 0x40", "stream_id: 0xzz", "19:", "devices.nic0.stream_id", "is '0xzz'"},
    {"WaysDoNotDivide", "entries: 32, ways: 4", "entries: 32, ways: 5",
     "10:", "hardware.smmu.tlb.ways", "must divide"},
    {"WaysMoreThanEntries", "entries: 32, ways: 4", "entries: 4, ways: 8",
     "10:", "hardware.smmu.tlb.ways", "must divide"},
    {"SetsNoPowerOfTwo", "entries: 32, ways: 4", "entries: 24, ways: 4",
     "10:", "hardware.smmu.tlb.entries", "power of two"},
    {"PlruWaysNoPowerOfTwo", "entries: 32, ways: 4", "entries: 24, ways: 3",
     "10:", "hardware.smmu.tlb.ways", "plru"},
    {"RtlGeometryNotBuilt", "model: systemc, entries: 32, ways: 4",
     "model: rtl, entries: 128, ways: 2", "10:", "hardware.smmu.tlb.model", "32/4"},
    {"RtlReplacement", "model: systemc, entries: 32, ways: 4",
     "model: rtl, entries: 32, ways: 4, replacement: lru", "10:", "hardware.smmu.tlb.model",
     "plru"},
    {"UnknownModel", "{model: systemc, entries: 32", "{model: verilog, entries: 32",
     "10:", "hardware.smmu.tlb.model", "lockstep"},
    {"PriWithoutAts", "faults: stall", "faults: stall\n    ats: false\n    pri: true",
     "13:", "hardware.smmu.pri", "ats: true"},
    {"Vmid16WithoutStage2", "faults: stall", "faults: stall\n    vmid16: true",
     "12:", "hardware.smmu.vmid16", "stage2: true"},
    {"VmidWildcardWithoutStage2", "faults: stall", "faults: stall\n    vmid_wildcard: true",
     "12:", "hardware.smmu.vmid_wildcard", "stage2: true"},
    {"LargeLinearStreamTable", "faults: stall",
     "faults: stall\n    two_level_stream_table: false\n    stream_id_bits: 17",
     "12:", "hardware.smmu.two_level_stream_table", "at most 16 stream_id_bits"},
    {"WaysOfAFewEntries", "faults: stall",
     "faults: stall\n    ste_cache_ways: 4\n    ste_cache_entries: 6",
     "13:", "hardware.smmu.ste_cache_entries", "a multiple of ste_cache_ways"},
    {"WaysThatDoNotDivide", "faults: stall", "faults: stall\n    ste_cache_ways: 5",
     "12:", "hardware.smmu.ste_cache_ways", "a divisor of ste_cache_entries"},
    {"GranuleTwice", "faults: stall", "faults: stall\n    granules: [4k, 16k, 4k]",
     "12:", "hardware.smmu.granules[2]", "each once"},
    {"UnknownFaultModel", "faults: stall", "faults: ignore", "11:13", "hardware.smmu.faults",
     "stall, terminate"},
    {"QueueNoPowerOfTwo", "command_queue_entries: 256", "command_queue_entries: 200",
     "12:", "hardware.smmu.command_queue_entries", "power of two"},
    {"QueueTooSmall", "command_queue_entries: 256", "command_queue_entries: 64",
     "12:", "hardware.smmu.command_queue_entries", "128"},
    {"MemoryNotWholePages", "size_bytes: 67108864", "size_bytes: 67108865",
     "7:", "hardware.memory.size_bytes", "4096"},
    {"RegionUnaligned", "0x7f8000010000", "0x7f8000010008",
     "16:", "processes.app.regions.buffer.at", "multiple"},
    {"RegionsOverlap", "heap: {at: 0x7f8000020000", "heap: {at: 0x7f8000013000",
     "17:", "processes.app.regions.heap", "overlaps region 'buffer'"},
    {"RegionBeyondTheEnd", "0x7f8000020000, pages: 4", "0xfffffffff000, pages: 4",
     "17:", "processes.app.regions.heap.pages", "48-bit"},
    {"RegionAtZero", "0x7f8000020000", "0", "17:", "processes.app.regions.heap.at", "from 4096"},
    {"RegionWithoutPages", "pages: 4, kind: anonymous", "pages: 0, kind: anonymous",
     "17:", "processes.app.regions.heap.pages", "from 1"},
    {"UnknownRegionKind", "kind: anonymous", "kind: heap", "17:", "processes.app.regions.heap.kind",
     "private_file"},
    {"UnknownPageSize", "kind: anonymous", "page_size: 16KiB",
     "17:", "processes.app.regions.heap.page_size", "4KiB, 2MiB"},
    {"RegionNameNoIdentifier", "      heap:", "      he-ap:", "17:7", "processes.app.regions.he-ap",
     "letters"},
    {"DeviceProcessUnknown", "process: app, atc", "process: web, atc",
     "19:", "devices.nic0.process", "one of app"},
    {"StreamIdTooLarge", "0x40", "0x10000", "19:", "devices.nic0.stream_id", "65535"},
    {"StreamIdTwice", "devices:\n", "devices:\n  eth1: {stream_id: 64, process: app}\n",
     "20:", "devices.nic0.stream_id", "already used by 'eth1'"},
    {"AtcWithoutAts", R"(command_queue_entries: 256
processes:
  app:
    regions:
      buffer: {at: 0x7f8000010000, pages: 4, kind: shared_file}
      heap: {at: 0x7f8000020000, pages: 4, kind: anonymous}
devices:
  nic0: {stream_id: 0x40, process: app, atc: false})",
     R"(ats: false
processes:
  app:
    regions:
      buffer: {at: 0x7f8000010000, pages: 4, kind: shared_file}
      heap: {at: 0x7f8000020000, pages: 4, kind: anonymous}
devices:
  nic0: {stream_id: 0x40, process: app, atc: true})",
     "19:", "devices.nic0.atc", "hardware.smmu.ats: true"},
    {"AtcNeitherBoolNorMap", "atc: false", "atc: maybe", "19:", "devices.nic0.atc",
     "true or false"},
    {"ThreadOnUnknownCpu", "on: cpu0", "on: cpu2", "21:", "threads.main.on", "cpu0, cpu1, nic0"},
    {"TwoThreadsOnADevice", "threads:\n", "threads:\n  other: {on: nic0, steps: [{read: heap}]}\n",
     "23:", "threads.dma.on", "one thread per device"},
    {"UnknownStep", "{read: buffer}", "{peek: buffer}", "21:", "threads.main.steps[0].peek",
     "unknown step"},
    {"StepNotAMap", "{read: buffer}", "read", "21:", "threads.main.steps[0]", "not one step"},
    {"StepWithTwoKeys", "{read: buffer}", "{read: buffer, write: buffer}",
     "21:", "threads.main.steps[0]", "not one step"},
    {"DeviceStepOnlyForCpus", "{wait_for: go}", "{munmap: heap}",
     "22:", "threads.dma.steps[0].munmap", "unknown step"},
    {"EmptySteps", "[{read: buffer}, {signal: go}]", "[]", "21:", "threads.main.steps",
     "at least one step"},
    {"UnknownRegionInStep", "{read: buffer}", "{read: bufer}", "21:", "threads.main.steps[0].read",
     "buffer, heap"},
    {"OffsetBeyondRegion", "buffer + 0x10", "buffer + 0x4000",
     "22:", "threads.dma.steps[1].write.at", "0 to 0x3fff"},
    {"AccessAcrossPages", "buffer + 0x10", "buffer + 0xffc", "22:", "threads.dma.steps[1].write.at",
     "cross a page"},
    {"AccessesPastTheEnd", "buffer + 0x10, value: 1", "buffer, count: 5, stride_bytes: 4096",
     "22:", "threads.dma.steps[1].write.at", "past the end"},
    {"AddressInNoRegion", "buffer + 0x10", "0x1000", "22:", "threads.dma.steps[1].write.at",
     "lies in no region"},
    {"SignalNobodyRaises", "{signal: go}", "{signal: og}", "22:", "threads.dma.steps[0].wait_for",
     "nobody raises"},
    {"UnknownViolation", "violation: fault-loop", "violation: loop", "24:", "expect[0].violation",
     "use-after-free"},
    {"HopWithoutViolation", "violation: fault-loop", "violation: none, missing_hop: atc",
     "24:", "expect[0].missing_hop", "only with"},
    {"UnknownHop", "violation: fault-loop", "violation: fault-loop, missing_hop: bus",
     "24:", "expect[0].missing_hop", "notifier"},
    {"BadKernelCondition", "\"< v6.6\"", "\"~ v6.6\"", "24:", "expect[0].kernel", "with HASH"},
    {"UnknownInjection", "expect:\n", "inject: [skip_everything]\nexpect:\n", "23:", "inject[0]",
     "skip_notifier"},
    {"InjectionThatCanDoNothing", "expect:\n", "inject: [skip_ipi]\nexpect:\n", "23:", "inject[0]",
     "can do nothing"},
    {"ArchitectureOfNobody", "architecture: arm64", "architecture: mips", "4:15", "architecture",
     "arm64, x86, generic"},
    {"UnknownShape", "architecture: arm64", "architecture: {base: generic, shape: vax}",
     "4:", "architecture.shape", "powerpc"},
    {"ShapeOfAnotherArchitecture", "architecture: arm64", "architecture: {base: x86, shape: riscv}",
     "4:", "architecture.shape", "x86_native"},
    {"KnobsOfARealArchitecture", "architecture: arm64",
     "architecture: {base: x86, knobs: {merge_vmas: true}}", "4:", "architecture.knobs",
     "base: generic"},
    {"KnobsThatKconfigForbids", "architecture: arm64",
     "architecture: {base: generic, knobs: {no_range: true}}", "4:", "architecture.knobs.no_range",
     "merge_vmas: true"},
    {"UpWithTwoCpus", "architecture: arm64", "architecture: {base: generic, shape: generic_up}",
     "4:", "architecture", "hardware.cpus: 1"},
    {"FileOfAnonymousMemory", "kind: anonymous}", "kind: anonymous, file: shared}",
     "17:", "processes.app.regions.heap.file", "a file"},
    {"HugeFramesOfADriver", "pages: 4, kind: anonymous}",
     "pages: 4, kind: pfnmap, page_size: 2MiB}", "17:", "processes.app.regions.heap.page_size",
     "4KiB"},
    {"ForkOfNobody", "processes:\n", "processes:\n  child: {fork_of: app}\n",
     "14:", "processes.child.fork_of", "declared before"},
    {"ForkWithoutAChild", "{signal: go}", "{signal: go}, {fork: app}",
     "21:", "threads.main.steps[2].fork", "fork_of"},
    {"RevokeOfAnonymousMemory", "{signal: go}", "{signal: go}, {revoke: heap}",
     "21:", "threads.main.steps[2].revoke", "kind: pfnmap"},
    {"WritebackOfAnonymousMemory", "{signal: go}", "{signal: go}, {writeback: heap}",
     "21:", "threads.main.steps[2].writeback", "shared_file or private_file"},
    {"CollapseOfFourPages", "{signal: go}", "{signal: go}, {collapse: heap}",
     "21:", "threads.main.steps[2].collapse", "512 pages"},
    {"MmapOfWhatIsMapped", "{signal: go}", "{signal: go}, {mmap: heap}",
     "21:", "threads.main.steps[2].mmap", "mapped: by_step"},
    {"MremapOntoARegion", "{signal: go}", "{signal: go}, {mremap: {at: heap, to: 0x7f8000010000}}",
     "21:", "threads.main.steps[2].mremap.to", "free addresses"},
    {"RepeatTooOften", "{signal: go}",
     "{signal: go}, {repeat: {times: 200000, steps: [{repeat: {times: 200000, steps: [{read: "
     "heap}]}}]}}",
     "21:", "threads.main.steps[2].repeat.steps[0].repeat.times", "1000000000 in all"},
    {"MunmapBackwards", "{signal: go}", "{signal: go}, {munmap: {at: heap, through: buffer}}",
     "21:", "threads.main.steps[2].munmap.through", "behind it"},
    {"UnknownAdvice", "{signal: go}", "{signal: go}, {madvise: {at: heap, advice: sequential}}",
     "21:", "threads.main.steps[2].madvise.advice", "dontneed, free"},
    {"UnknownCost", "violation: fault-loop}", "violation: fault-loop, cost: {money: 3}}",
     "24:", "expect[0].cost.money", "flushes"},
    {"ScheduleOfNobody", "expect:\n",
     "schedule: [{hold: x, at: tlb_fill, until: {signal: go}}]\nexpect:\n",
     "23:", "schedule[0].hold", "main"},
    {"ScheduleAtAMisspeltFunction", "expect:\n",
     "schedule: [{hold: main, at: enter do_munmpa, until: {signal: go}}]\nexpect:\n",
     "23:", "schedule[0].at", "(nearest: do_munmap, "},
    {"UnclosedBrace", "atc: false}", "atc: false", "20:", "file", "YAML"},
    {"BadIndentation", "  cpus: 2", " cpus: 2\n   x", "8:", "file", "YAML"},
    {"ControlCharacter", "A good", "A \001 good", "2:16", "file", "control character"},
    {"TopLevelList", kGood, "- schema_version: 1\n", "1:1", "file", "holds no configuration"},
};

std::string edited(const Case& c) {
  std::string text = kGood;
  const auto at = text.find(c.from);
  EXPECT_NE(at, std::string::npos) << "the good configuration lacks " << c.from;
  return text.replace(at, std::string(c.from).size(), c.to);
}

void expect_refused(const ProgramResult& result, const std::string& file) {
  EXPECT_EQ(result.status, 2) << result.err;
  EXPECT_EQ(result.out, "");
  const std::regex form("[^\\n]+:[0-9]+:[0-9]+: [^\\n]+: [^\\n]+ \\([^\\n]+\\)\\n");
  EXPECT_TRUE(std::regex_match(result.err, form)) << result.err;
  EXPECT_EQ(result.err.rfind(file + ":", 0), 0U) << result.err;
}

class BadInputTest : public testing::TestWithParam<Case> {};

TEST_P(BadInputTest, IsRefusedWithPlaceKeyAndWhatIsAllowed) {
  const Case& c = GetParam();
  const ScratchFolder scratch;
  const std::string file = scratch / "bad.yaml";
  std::ofstream(file) << edited(c);

  const auto result = run_program("run " + file + " --json " + (scratch / "out.json") +
                                  " --waves " + (scratch / "out.vcd"));

  expect_refused(result, file);
  EXPECT_NE(result.err.find(file + ":" + c.where), std::string::npos) << result.err;
  EXPECT_NE(result.err.find(std::string(": ") + c.key + ": "), std::string::npos) << result.err;
  EXPECT_NE(result.err.find(c.says), std::string::npos) << result.err;
  EXPECT_EQ(scratch.files(), 1U) << "something was written";
}

INSTANTIATE_TEST_SUITE_P(Table, BadInputTest, testing::ValuesIn(kCases),
                         [](const auto& test) { return test.param.name; });

TEST(BadInputTest, TheGoodConfigurationIsGood) {
  const ScratchFolder scratch;
  std::ofstream(scratch / "good.yaml") << kGood;
  EXPECT_EQ(run_program("check " + (scratch / "good.yaml")).status, 0);
  EXPECT_GE(std::size(kCases), 40U);
}

TEST(BadInputTest, FilesThatAreNoConfiguration) {
  const ScratchFolder scratch;
  std::ofstream(scratch / "empty.yaml");
  std::ofstream(scratch / "binary.yaml", std::ios::binary) << std::string(
      "\x7f"
      "ELF\0\1\2",
      7);
  std::ofstream(scratch / "scalar.yaml") << "just words\n";
  std::ofstream(scratch / "large.yaml") << std::string((1 << 20) + 1, '#');
  std::filesystem::create_directory(scratch / "folder.yaml");
  for (const char* name :
       {"empty.yaml", "binary.yaml", "scalar.yaml", "large.yaml", "folder.yaml", "absent.yaml"}) {
    const std::string file = scratch / name;
    expect_refused(run_program("run " + file), file);
  }
}

TEST(BadInputTest, OutputsThatCannotBeWritten) {
  const ScratchFolder scratch;
  std::ofstream(scratch / "good.yaml") << kGood;
  const std::string run = "run " + (scratch / "good.yaml") + " ";
  for (const std::string option : {"--json", "--events", "--waves"}) {
    const std::string file = (scratch / "absent") + "/out.vcd";
    expect_refused(run_program(run + option + " " + file), file);
  }
  expect_refused(run_program(run + "--waves " + (scratch / "out.txt")), scratch / "out.txt");
  EXPECT_EQ(scratch.files(), 1U);
}

TEST(BadInputTest, OptionsThatDoNotFit) {
  for (const char* arguments : {"", "walk", "run", "run configs/permission_upgrade.yaml --sed 3",
                                "run configs/permission_upgrade.yaml --seed x",
                                "run configs/permission_upgrade.yaml --seed -1",
                                "run configs/permission_upgrade.yaml --seed=-1", "list everything",
                                "bisect configs/permission_upgrade.yaml --kernel v6.6"}) {
    const auto result = run_program(arguments);
    EXPECT_EQ(result.status, 2) << arguments;
    EXPECT_NE(result.err, "") << arguments;
  }
  for (const char* arguments :
       {"--kernel v9.9", "--set hardware.cpus=0", "--set hardware.cpus", "--set =3",
        "--set hardware.cpus.x=3", "--set hardware.smmu.tlb.size=3", "--set hardware.smu.pri=true",
        "--set nowhere.at.all=1"}) {
    const auto result =
        run_program(std::string("run configs/permission_upgrade.yaml ") + arguments);
    EXPECT_EQ(result.status, 2) << arguments;
    EXPECT_NE(result.err.find(" ("), std::string::npos) << result.err;
    EXPECT_TRUE(result.err.starts_with("--")) << "not a place in the file: " << result.err;
  }
}

TEST(BadInputTest, ARecordingThatIsNoneSaysWhereItIsWrong) {
  const auto conform = [](const std::string& text) {
    const ScratchFolder scratch;
    std::ofstream(scratch / "bad.json") << text;
    const auto result = run_program("conform " + (scratch / ""));
    EXPECT_EQ(result.status, 2) << result.err;
    return result.err;
  };
  const auto vector = [](const std::string& step) {
    return R"({"format": "smmuv3-qemu-vector/1", "name": "n", "tags": [], "mem": [], "steps": [)" +
           step + "]}";
  };
  const auto expect = [](const std::string& said, const std::string& part) {
    EXPECT_NE(said.find(part), std::string::npos) << said;
  };
  expect(conform("{\n  \"format\": oops}"), "bad.json:2:13: JSON: ");
  expect(conform(R"({"format": "x/1"})"), "format: is \"x/1\" (formats mmu_gather-trace-1,");
  expect(conform(vector("")), "has no steps");
  expect(conform(vector(R"({"op": "dam"})")),
         "bad.json:1:1: steps[0]: op 'dam' is none of mw, mr, rw, rr, cmd, dma");
  expect(conform(vector(R"({"op": "mw", "a": "0x40000000", "q": []}, {"op": "mw"})")),
         "steps[1]: key 'q' not found");
  expect(conform(vector(R"({"op": "rw", "off": "0x20", "v": "0", "size": 3})")),
         "steps[0]: size 3 is neither 4 nor 8");
  expect(conform(vector(R"({"op": "rw", "off": "0x2g", "v": "0", "size": 4})")),
         "steps[0]: '0x2g' is no number");
  expect(conform(vector(R"({"op": "rw", "off": "0x20000", "v": "0", "size": 4})")),
         "steps[0]: off 0x20000 is no register");
  const auto dma = [&](const char* direction, const char* bytes, const char* result) {
    return vector(std::string(R"({"op": "dma", "sid": "0x0", "a": "0x0", "dir": ")") + direction +
                  R"(", "n": )" + bytes + R"(, "d": "00", "obs": {"r": ")" + result + "\"}}");
  };
  expect(conform(dma("q", "1", "ok")), "steps[0]: dir 'q' is neither r nor w");
  expect(conform(dma("r", "-4", "ok")), "steps[0]: n -4 is not from 1 to 65536");
  expect(conform(dma("r", "1", "okk")), "steps[0]: r 'okk' is none of ok, abort, mixed");
  expect(conform(R"({"format": "smmuv3-commands/1", "cases": [{"op": "cmd"}]})"),
         "cases[0]: key 'args' not found");
}

TEST(BadInputTest, OutputsThatDoNotFitAreRefusedWhole) {
  // A limit on the size of files is a full disk that every machine has.
  for (const char* option : {"--waves", "--events"}) {
    const ScratchFolder scratch;
    const std::string file = scratch / "out.vcd";
    const std::string command =
        "ulimit -f 8; exec timeout 60 " SHOOTDOWN_PROGRAM " run configs/permission_upgrade.yaml " +
        std::string(option) + " " + file + " 2>" + (scratch / "err") + " >/dev/null";
    const int status = std::system(command.c_str());
    ASSERT_TRUE(WIFEXITED(status)) << option;
    EXPECT_EQ(WEXITSTATUS(status), 2) << option;
    const std::string said = read_file(scratch / "err");
    EXPECT_NE(said.find(std::string(option) + ": could not be written whole"), std::string::npos)
        << said;
    EXPECT_EQ(scratch.files(), 1U) << option << ": nothing but what it said";
  }
}

TEST(BadInputTest, AMistakeOfTheFileIsNotBlamedOnSet) {
  const ScratchFolder scratch;
  const std::string file = scratch / "bad.yaml";
  std::ofstream(file) << edited({"", "cpus: 2", "cpus: 0", "", "", ""});
  expect_refused(run_program("run " + file + " --set hardware.memory.size_bytes=0x4000000"), file);
}

TEST(BadInputTest, FuzzSaysWhatItCannotDoBeforeItStarts) {
  const auto refused = [](const std::string& arguments, const std::string& part) {
    const auto result = run_program("fuzz " + arguments);
    EXPECT_EQ(result.status, 2) << arguments;
    EXPECT_EQ(result.out, "") << arguments;
    EXPECT_NE(result.err.find(part), std::string::npos) << result.err;
  };
  refused("--kernel v9.9", "--kernel:1:1: kernel: unknown kernel 'v9.9' (v5.18, ");
  refused("--inject skip_everything", "unknown injection 'skip_everything'");
  refused("--out /proc/nowhere", "/proc/nowhere:1:1: --out: cannot be written to (a folder)");
  refused("--experiments 0", "--experiments");
  refused("--print 1 --seconds 5", "excludes");
}

}  // namespace
}  // namespace shootdown::tests
