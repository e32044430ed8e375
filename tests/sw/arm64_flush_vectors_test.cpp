// Replays recorded arm64 TLB flushes of Linux 6.1 against Arm64Mmu and MmuGather, event by event.
// Before 6bbd42e2df8f the flush functions do not notify: the behaviour of v6.5 is that of 6.1.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "conform/recorded_kernel.h"
#include "sw/arch/arm64/arm64_mmu.h"
#include "sw/mm/kernel_gather.h"
#include "sw/mm/pgtable.h"
#include "tests/sw/fake_cpu.h"
#include "tests/vectors/gzip_json.h"

namespace shootdown::sw {
namespace {

using nlohmann::json;
using tests::FakeCpu;
using tests::hex;
using tests::RecordingNotifier;
using Events = std::vector<std::string>;

constexpr std::uint64_t kPmdSize = 2u << 20;
constexpr std::uint64_t kPudSize = 1u << 30;

/// One kernel and address space for one case.
struct Fixture {
  Fixture(const json& features, const json& test)
      : kernel(conform::recorded_kernel("6.1"), {}, PageAllocator({0x8000'0000}, 64u << 20)),
        arch(arm64_features(features), kernel.behaviour),
        mm(kernel, arch, {1}, {static_cast<std::uint16_t>(hex(test["ctx"]))}) {
    if (test["notifier"] == 1) mm.notifiers.push_back(&notifier);
  }
  static Arm64Features arm64_features(const json& names) {
    Arm64Features features;
    for (const json& name : names) {
      features.tlbi_range |= name == "range";
      features.ttl |= name == "ttl";
      features.kpti |= name == "kpti";
      features.repeat_tlbi |= name == "repeat";
    }
    return features;
  }

  FakeCpu cpu;
  KernelState kernel;
  Arm64Mmu arch;
  RecordingNotifier notifier;
  Mm mm;
};

struct Counts {
  std::map<std::string, unsigned> replayed;
};

using Replay = void (*)(const json& features, const json& test);

void replay_flush(const json& features, const json& test) {
  Fixture f(features, test);
  const std::string op = test["op"];
  std::vector<std::uint64_t> args;
  for (const json& arg : test["args"]) args.push_back(hex(arg));

  if (op == "flush_tlb_mm") {
    f.arch.flush_tlb_mm(f.cpu, f.mm);
  } else if (op == "flush_tlb_page") {
    f.arch.flush_tlb_page(f.cpu, f.mm, {args[0]});
  } else if (op == "flush_tlb_page_nosync") {
    f.arch.flush_tlb_page_nosync(f.cpu, f.mm, {args[0]});
  } else if (op == "__flush_tlb_range") {
    f.arch.arm64_flush_tlb_range(f.cpu, f.mm, {args[0]}, {args[1]},
                                 {.stride_bytes = args[2],
                                  .last_level = args[3] != 0,
                                  .level = static_cast<int>(static_cast<std::int32_t>(args[4]))});
  } else if (op == "flush_tlb_range") {
    f.arch.arm64_flush_tlb_range(f.cpu, f.mm, {args[0]}, {args[1]}, {});
  } else if (op == "flush_pmd_tlb_range") {
    f.arch.arm64_flush_tlb_range(f.cpu, f.mm, {args[0]}, {args[1]},
                                 {.stride_bytes = kPmdSize, .level = 2});
  } else {
    f.arch.arm64_flush_tlb_range(f.cpu, f.mm, {args[0]}, {args[1]},
                                 {.stride_bytes = kPudSize, .level = 1});
  }

  EXPECT_EQ(f.cpu.maintenance(), test["out"].get<Events>());
}

void replay_pte(const json& features, const json& test) {
  Fixture f(features, test);
  // The sixteen entries around the address.
  const arch::PhysAddr table{0x9000'0000};
  const auto first = test["slot"].get<std::uint64_t>();
  const auto index = hex(test["addr"]) >> 12 & 15;
  std::map<std::uint64_t, std::uint64_t> expected;
  for (std::size_t i = 0; i < test["ptes"].size(); ++i) {
    const std::uint64_t address = table.value + 8 * (first + i);
    f.cpu.memory[address] = hex(test["ptes"][i]);
    expected[address] = test["after"] == "same" ? hex(test["ptes"][i]) : hex(test["after"][i]);
  }
  const PteSlot slot{.address = table + 8 * index, .va = {hex(test["addr"]) >> 12 << 12}};

  const bool changed = test["op"] == "ptep_set_access_flags"
                           ? f.arch.ptep_set_access_flags(f.cpu, f.mm, slot, {hex(test["entry"])},
                                                          test["dirty"] == 1)
                           : f.arch.ptep_clear_flush_young(f.cpu, f.mm, slot);

  EXPECT_EQ(changed, test["ret"] == 1);
  EXPECT_EQ(f.cpu.maintenance(), test["out"].get<Events>());
  for (const auto& [address, value] : expected) EXPECT_EQ(f.cpu.memory[address], value);
}

/// The levels' range trackers; sizes are what the recorder passed, also past 4 GiB.
void track_range(MmuGather& tlb, const std::string& level, std::uint64_t va, std::uint64_t bytes) {
  if (level == "pte") tlb.tlb_flush_pte_range({va}, bytes);
  if (level == "pmd") tlb.tlb_flush_pmd_range({va}, bytes);
  if (level == "pud") tlb.tlb_flush_pud_range({va}, bytes);
}

void replay_gather(const json& features, const json& test) {
  Fixture f(features, test);
  std::optional<KernelGather> gather;
  std::vector<std::unique_ptr<KernelGather>> others;
  Vma vma;

  for (const json& step : test["steps"]) {
    SCOPED_TRACE(step.dump());
    const json& words = step["do"];
    const std::string name = words[0];
    f.cpu.forget();
    if (name == "start" || name == "start_fullmm") {
      gather.emplace(f.cpu, f.mm, name == "start_fullmm");
    } else if (name == "start_vma") {
      vma.start = {hex(words[1])};
      vma.end = {hex(words[2])};
      gather->tlb.tlb_start_vma(vma);
    } else if (name == "end_vma") {
      gather->tlb.tlb_end_vma(vma);
    } else if (name == "flush") {
      gather->tlb.tlb_flush_mmu_tlbonly();
    } else if (name == "finish") {
      gather->finish();
    } else if (name == "other_gather") {
      others.push_back(std::make_unique<KernelGather>(f.cpu, f.mm));
    } else if (name.starts_with("free_")) {
      const bool pte = name == "free_pte_table";
      const bool pmd = name == "free_pmd_table";
      Page* table = pagetable_alloc(f.cpu, f.mm, pte ? 3 : pmd ? 2 : 1);
      gather->tlb.table_free_tlb(pte   ? TableLevel::kPte
                                 : pmd ? TableLevel::kPmd
                                       : TableLevel::kPud,
                                 f.kernel.pages.page_address(*table), {hex(words[1])});
    } else if (name == "unshared") {
      gather->tlb.tlb_flush_pmd_range({hex(words[1])}, hex(words[2]));
      gather->tlb.unshared_tables = true;
    } else {
      track_range(gather->tlb, name, hex(words[1]), hex(words[2]));
    }
    EXPECT_EQ(f.cpu.maintenance(), step["out"].get<Events>());
  }
  for (auto& other : others) other->finish();
  EXPECT_EQ(f.mm.tlb_flush_pending, 0);
  EXPECT_EQ(f.kernel.nr_page_table, 0U);
  EXPECT_EQ(f.kernel.pages.allocated(), 0U);
}

Counts replay_all(Replay replay, const std::vector<std::string>& ops) {
  static const json kFile = tests::read_vectors("arm64_tlbi/linux-6.1-4k.json.gz");
  Counts counts;
  for (const json& group : kFile["groups"]) {
    for (std::size_t i = 0; i < group["cases"].size(); ++i) {
      const json& test = group["cases"][i];
      const std::string op = test["op"];
      if (std::find(ops.begin(), ops.end(), op) == ops.end()) continue;
      const std::string text = test.dump();
      SCOPED_TRACE(group["features"].dump() + " case " + std::to_string(i) + " " +
                   text.substr(0, 400));
      replay(group["features"], test);
      ++counts.replayed[op];
      if (testing::Test::HasFailure()) return counts;  // the first difference tells most
    }
  }
  for (const auto& [op, count] : counts.replayed) std::cout << op << ": " << count << " replayed\n";
  return counts;
}

struct FlushOp {
  const char* name;
  unsigned cases;
};
std::ostream& operator<<(std::ostream& out, const FlushOp& op) { return out << op.name; }

class Arm64FlushVectorsTest : public testing::TestWithParam<FlushOp> {};

constexpr std::array<FlushOp, 7> kFlushOps{{
    {"flush_tlb_mm", 52},
    {"flush_tlb_page", 140},
    {"flush_tlb_page_nosync", 120},
    {"__flush_tlb_range", 2130},
    {"flush_tlb_range", 32},
    {"flush_pmd_tlb_range", 32},
    {"flush_pud_tlb_range", 32},
}};
INSTANTIATE_TEST_SUITE_P(Linux61, Arm64FlushVectorsTest, testing::ValuesIn(kFlushOps),
                         [](const auto& test) {
                           const std::string name = test.param.name;
                           return name.starts_with("__") ? "inner_" + name.substr(2) : name;
                         });

TEST_P(Arm64FlushVectorsTest, IssuesWhatLinuxIssues) {
  const FlushOp& op = GetParam();
  EXPECT_GE(replay_all(replay_flush, {op.name}).replayed[op.name], op.cases);
}

TEST(Arm64PteVectorsTest, SetAccessFlagsWidensAndFlushesAsLinuxDoes) {
  EXPECT_GE(replay_all(replay_pte, {"ptep_set_access_flags"}).replayed["ptep_set_access_flags"],
            120U);
}

TEST(Arm64PteVectorsTest, ClearFlushYoungOwesTheBarrierAsLinuxDoes) {
  EXPECT_GE(replay_all(replay_pte, {"ptep_clear_flush_young"}).replayed["ptep_clear_flush_young"],
            16U);
}

TEST(Arm64GatherVectorsTest, FlushesWhatLinuxFlushes) {
  EXPECT_GE(replay_all(replay_gather, {"gather"}).replayed["gather"], 516U);
}

}  // namespace
}  // namespace shootdown::sw
