// Replays TLB flushes of Linux's arm64 code: every TLBI with its operand, every barrier, every call
// of the secondary-TLB notifier.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <utility>

#include "conform/conform.h"
#include "conform/gzip_json.h"
#include "conform/recorded_kernel.h"
#include "sw/arch/arm64/ptep.h"
#include "sw/arch/arm64/tlbflush.h"
#include "sw/arch/gather/shapes.h"
#include "sw/arch/gather/tlb_flush.h"
#include "sw/mm/mm_types.h"
#include "sw/mm/mmu_gather.h"

namespace shootdown::conform {

namespace {

using nlohmann::json;

/// Writes down what is issued, in the recorder's words.
class RecordingPort : public sw::Arm64FlushPort {
 public:
  explicit RecordingPort(bool notifier) : notifier_(notifier) {}
  void tlbi(arch::TlbiOp op, std::uint64_t operand) override {
    std::string name;
    for (const char letter : name_of(op)) {
      name += static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
    }
    out.push_back(op == arch::TlbiOp::kVmalle1is ? "tlbi " + name
                                                 : fmt::format("tlbi {} {:#x}", name, operand));
  }
  void tlbi_vmalle1_local() override { out.push_back("tlbi vmalle1"); }
  void dsb(sw::Arm64Dsb kind) override {
    switch (kind) {
      case sw::Arm64Dsb::kIshst:
        return out.push_back("dsb ishst");
      case sw::Arm64Dsb::kIsh:
        return out.push_back("dsb ish");
      case sw::Arm64Dsb::kNshst:
        return out.push_back("dsb nshst");
      case sw::Arm64Dsb::kNsh:
        return out.push_back("dsb nsh");
    }
  }
  void isb() override { out.push_back("isb"); }
  void notify(std::uint64_t start, std::uint64_t end) override {
    if (notifier_) out.push_back(fmt::format("notify {:#x} {:#x}", start, end));
  }

  json out = json::array();

 private:
  bool notifier_;
};

/// The kernel around the gathers of one case: counts, and lowers flushes.
class FlushHost : public sw::GatherHost, private sw::FlushFunctions {
 public:
  FlushHost(const sw::GatherShape& shape, const sw::Arm64TlbFlush& flush, RecordingPort& port,
            arch::Asid asid, int& pending)
      : shape_(shape), flush_(flush), port_(port), asid_(asid), pending_(pending) {}
  void inc_tlb_flush_pending() override { ++pending_; }
  void dec_tlb_flush_pending() override { --pending_; }
  bool mm_tlb_flush_nested() const override { return pending_ > 1; }
  void mark_mm_for_flush() override {}
  std::optional<sw::BatchPage> alloc_batch_page(sw::BatchKind) override { return ++batches_; }
  void free_batch_page(sw::BatchPage) override {}
  void free_pages_and_swap_cache(std::span<const sw::EncodedPage>) override {}
  void free_page_and_swap_cache(sw::PageAddress) override {}
  void remove_rmap(sw::PageAddress, std::uint64_t, const sw::Vma&) override {}
  void cond_resched() override {}
  void table_dtor(sw::PageAddress) override {}
  void free_table(sw::PageAddress) override {}
  void call_rcu(sw::MmuTableBatch) override {}
  void remove_table_sync_one() override {}
  void flush_cache_range(const sw::Vma&) override {}
  void tlb_flush(sw::MmuGather& tlb) override { sw::tlb_flush(shape_, tlb, *this); }
  void mmu_notifier_invalidate_range(arch::VirtAddr start, arch::VirtAddr end) override {
    port_.notify(start.value, end.value);
  }
  void vm_bug(const char*) override {}
  void vm_warn(const char*) override {}

 private:
  void flush_tlb_mm() override { flush_.flush_tlb_mm(port_, asid_); }
  void arm64_flush_tlb_range(std::uint64_t start, std::uint64_t end, std::uint64_t stride,
                             bool last_level, int level) override {
    flush_.flush_tlb_range(port_, asid_, start, end,
                           {.stride_bytes = stride, .last_level = last_level, .level = level});
  }
  const sw::GatherShape& shape_;
  const sw::Arm64TlbFlush& flush_;
  RecordingPort& port_;
  arch::Asid asid_;
  int& pending_;
  std::uint64_t batches_{};
};

struct Machine {
  sw::Arm64TlbFlush flush;
  sw::GatherShape shape;
  std::uint64_t pmd_bytes{};
  std::uint64_t pud_bytes{};
  int level_unknown{};
  bool contpte{};
};

std::string compare(const json& got, const json& expected) {
  const std::size_t both = std::min(got.size(), expected.size());
  for (std::size_t i = 0; i < both; ++i) {
    if (got[i] != expected[i]) {
      return fmt::format("{} is \"{}\", Linux \"{}\"", i, got[i].get<std::string>(),
                         expected[i].get<std::string>());
    }
  }
  if (got.size() > both) return "\"" + got[both].get<std::string>() + "\" is not in Linux's";
  if (expected.size() > both) return "\"" + expected[both].get<std::string>() + "\" is missing";
  return {};
}

std::string replay_flush(const Machine& machine, const json& test) {
  const std::string op = test.at("op");
  std::vector<std::uint64_t> args;
  for (const json& argument : test.at("args")) args.push_back(hex_number(argument));
  const arch::Asid asid{static_cast<std::uint16_t>(hex_number(test.at("ctx")))};
  RecordingPort port(test.at("notifier") == 1);
  const sw::Arm64TlbFlush& flush = machine.flush;
  const sw::FlushShape pages{
      .stride_bytes = flush.page_bytes(), .last_level = false, .level = machine.level_unknown};
  const auto shape_of_arguments = [&] {
    return sw::FlushShape{.stride_bytes = args.at(2),
                          .last_level = args.at(3) != 0,
                          .level = static_cast<int>(static_cast<std::int32_t>(args.at(4)))};
  };
  if (op == "flush_tlb_mm") {
    flush.flush_tlb_mm(port, asid);
  } else if (op == "flush_tlb_page") {
    flush.flush_tlb_page(port, asid, args.at(0));
  } else if (op == "flush_tlb_page_nosync") {
    flush.flush_tlb_page_nosync(port, asid, args.at(0));
  } else if (op == "__flush_tlb_range") {
    flush.flush_tlb_range(port, asid, args.at(0), args.at(1), shape_of_arguments());
  } else if (op == "__flush_tlb_range_nosync") {
    flush.flush_tlb_range_nosync(port, asid, args.at(0), args.at(1), shape_of_arguments());
  } else if (op == "flush_tlb_range") {
    flush.flush_tlb_range(port, asid, args.at(0), args.at(1), pages);
  } else if (op == "flush_pmd_tlb_range") {
    flush.flush_tlb_range(port, asid, args.at(0), args.at(1),
                          {.stride_bytes = machine.pmd_bytes, .last_level = false, .level = 2});
  } else if (op == "flush_pud_tlb_range") {
    flush.flush_tlb_range(port, asid, args.at(0), args.at(1),
                          {.stride_bytes = machine.pud_bytes, .last_level = false, .level = 1});
  } else if (op == "flush_tlb_kernel_range") {
    flush.flush_tlb_kernel_range(port, args.at(0), args.at(1));
  } else if (op == "__flush_tlb_kernel_pgtable") {
    flush.flush_tlb_kernel_pgtable(port, args.at(0));
  } else if (op == "flush_tlb_all") {
    flush.flush_tlb_all(port);
  } else if (op == "local_flush_tlb_all") {
    flush.local_flush_tlb_all(port);
  } else if (op == "batch") {
    for (const std::uint64_t address : args) flush.tlbbatch_add_pending(port, asid, address);
    flush.tlbbatch_flush(port);
  } else if (op == "arch_flush_tlb_batched_pending") {
    flush.flush_tlb_batched_pending(port, asid);
  } else {
    throw std::runtime_error("operation " + op + " is not known");
  }
  return compare(port.out, test.at("out"));
}

std::string replay_gather(const Machine& machine, const json& test) {
  const arch::Asid asid{static_cast<std::uint16_t>(hex_number(test.at("ctx")))};
  RecordingPort port(test.at("notifier") == 1);
  int pending = 0;
  FlushHost host(machine.shape, machine.flush, port, asid, pending);
  std::optional<sw::MmuGather> gather;
  std::vector<std::unique_ptr<sw::MmuGather>> others;
  sw::Vma vma;
  std::uint64_t table = 64;
  for (const json& step : test.at("steps")) {
    const json& words = step.at("do");
    const std::string name = words.at(0);
    const auto argument = [&](std::size_t i) { return hex_number(words.at(i)); };
    port.out.clear();
    if (name != "start" && name != "start_fullmm" && !gather) {
      throw std::runtime_error("step " + name + " before start");
    }
    if (name == "start" || name == "start_fullmm") {
      gather.emplace(machine.shape.config, host, name == "start_fullmm");
    } else if (name == "start_vma") {
      constexpr std::uint64_t kVmPfnmap = 0x400;
      vma.start = {argument(1)};
      vma.end = {argument(2)};
      vma.pfnmap = (argument(3) & kVmPfnmap) != 0;
      gather->tlb_start_vma(vma);
    } else if (name == "end_vma") {
      gather->tlb_end_vma(vma);
    } else if (name == "pte") {
      gather->tlb_flush_pte_range({argument(1)}, argument(2));
    } else if (name == "pmd") {
      gather->tlb_flush_pmd_range({argument(1)}, argument(2));
    } else if (name == "pud") {
      gather->tlb_flush_pud_range({argument(1)}, argument(2));
    } else if (name == "unshared") {
      gather->tlb_flush_pmd_range({argument(1)}, argument(2));
      gather->unshared_tables = true;
    } else if (name == "free_pte_table" || name == "free_pmd_table" || name == "free_pud_table") {
      const sw::TableLevel level = name == "free_pte_table"   ? sw::TableLevel::kPte
                                   : name == "free_pmd_table" ? sw::TableLevel::kPmd
                                                              : sw::TableLevel::kPud;
      gather->table_free_tlb(level, {table += 64}, {argument(1)});
    } else if (name == "flush") {
      gather->tlb_flush_mmu_tlbonly();
    } else if (name == "other_gather") {
      others.push_back(std::make_unique<sw::MmuGather>(machine.shape.config, host, false));
    } else if (name == "finish") {
      gather->tlb_finish_mmu();
    } else {
      throw std::runtime_error("step " + name + " is not known");
    }
    if (const auto text = compare(port.out, step.at("out")); !text.empty()) {
      return fmt::format("step {}: {}", words.dump(), text);
    }
  }
  return {};
}

/// Entries of one block of contiguous ones, in memory of their own.
class EntryHost : public sw::arm64::PteHost {
 public:
  EntryHost(const sw::Arm64TlbFlush& flush, RecordingPort& port, arch::Asid asid)
      : flush_(flush), port_(port), asid_(asid) {}
  std::uint64_t load(arch::PhysAddr entry) override { return memory[entry.value]; }
  std::uint64_t compare_exchange(arch::PhysAddr entry, arch::VirtAddr, std::uint64_t expected,
                                 std::uint64_t desired) override {
    std::uint64_t& value = memory[entry.value];
    return value == expected ? std::exchange(value, desired) : value;
  }
  void flush_tlb_page(arch::VirtAddr va) override { flush_.flush_tlb_page(port_, asid_, va.value); }
  void flush_tlb_page_nosync(arch::VirtAddr va) override {
    flush_.flush_tlb_page_nosync(port_, asid_, va.value);
  }
  void flush_tlb_range(arch::VirtAddr start, arch::VirtAddr end) override {
    flush_.flush_tlb_range(port_, asid_, start.value, end.value, leaves());
  }
  void flush_tlb_range_nosync(arch::VirtAddr start, arch::VirtAddr end) override {
    flush_.flush_tlb_range_nosync(port_, asid_, start.value, end.value, leaves());
  }
  std::map<std::uint64_t, std::uint64_t> memory;

 private:
  sw::FlushShape leaves() const {
    return {.stride_bytes = flush_.page_bytes(), .last_level = true, .level = 3};
  }
  const sw::Arm64TlbFlush& flush_;
  RecordingPort& port_;
  arch::Asid asid_;
};

std::string replay_entry(const Machine& machine, const json& test) {
  constexpr std::uint64_t kTable = 0x90000000;
  RecordingPort port(test.at("notifier") == 1);
  const arch::Asid asid{static_cast<std::uint16_t>(hex_number(test.at("ctx")))};
  EntryHost host(machine.flush, port, asid);
  const std::uint64_t page = machine.flush.page_bytes();
  const std::uint64_t block = page == 4096 ? 16 : page == 16384 ? 128 : 32;
  const std::uint64_t first = kTable + 8 * hex_number(test.at("slot"));
  const json& before = test.at("ptes");
  for (std::size_t i = 0; i < before.size(); ++i)
    host.memory[first + 8 * i] = hex_number(before[i]);
  const std::uint64_t va = hex_number(test.at("addr")) & ~(page - 1);
  const arch::PhysAddr entry{kTable + 8 * (va / page % block)};
  sw::arm64::PteContext context{.host = host, .page_bytes = page, .contpte = machine.contpte};
  const std::string op = test.at("op");
  bool changed = false;
  if (op == "ptep_set_access_flags") {
    changed = sw::arm64::ptep_set_access_flags(context, entry, {va}, {hex_number(test.at("entry"))},
                                               test.at("dirty") == 1);
  } else if (op == "ptep_clear_flush_young") {
    changed = sw::arm64::ptep_clear_flush_young(context, entry, {va});
  } else if (op == "ptep_test_and_clear_young") {
    changed = sw::arm64::ptep_test_and_clear_young(context, entry, {va});
  } else {
    throw std::runtime_error("operation " + op + " is not known");
  }
  if (changed != (test.at("ret") == 1)) {
    return fmt::format("returns {}, Linux {}", int{changed}, test.at("ret").dump());
  }
  if (const auto text = compare(port.out, test.at("out")); !text.empty()) return text;
  const json& after = test.at("after") == "same" ? before : test.at("after");
  for (std::size_t i = 0; i < after.size(); ++i) {
    const std::uint64_t value = host.memory[first + 8 * i];
    if (value != hex_number(after[i])) {
      return fmt::format("entry {} is {:#x}, Linux {:#x}", i, value, hex_number(after[i]));
    }
  }
  return {};
}

sw::Arm64Features features_of(const json& names) {
  sw::Arm64Features features;
  for (const json& name : names) {
    features.tlbi_range |= name == "range";
    features.ttl |= name == "ttl";
    features.kpti |= name == "kpti";
    features.repeat_tlbi |= name == "repeat";
  }
  return features;
}

}  // namespace

bool is_arm64_tlbi(const json& file) {
  return file.is_object() && file.value("format", "") == "arm64-tlbi/1";
}

ConformFile replay_arm64_tlbi(const json& file) {
  const std::string kernel = file.at("kernel");
  const sw::KernelBehaviour behaviour =
      recorded_kernel(kernel.starts_with("Linux 6.12,")  ? "6.12"
                      : kernel.starts_with("Linux 6.1,") ? "6.1"
                                                         : kernel);
  const std::uint64_t page = hex_number(file.at("page_size"));
  const char* shape = page == 4096 ? "arm64" : page == 16384 ? "arm64_16k" : "arm64_64k";
  const unsigned page_shift = page == 4096 ? 12 : page == 16384 ? 14 : 16;
  ConformFile result{.path = "", .format = "arm64-tlbi/1", .cases = {}};
  for (const json& group : file.at("groups")) {
    const Machine machine{.flush = {features_of(group.at("features")), behaviour, page_shift},
                          .shape = *sw::gather_shape(shape, behaviour),
                          .pmd_bytes = hex_number(file.at("pmd_size")),
                          .pud_bytes = hex_number(file.at("pud_size")),
                          .level_unknown = static_cast<int>(hex_number(file.at("level_unknown"))),
                          .contpte = behaviour.arm64_contpte};
    const std::string configuration =
        fmt::format("{} features {}", kernel.substr(0, 10), group.at("features").dump());
    std::size_t index = 0;
    for (const json& test : group.at("cases")) {
      at_place(fmt::format("groups[{}].cases[{}]", &group - &file.at("groups")[0], index), [&] {
        const std::string op = test.at("op");
        result.cases.push_back({.name = fmt::format("{} {}", op, index + 1),
                                .configuration = configuration,
                                .difference = op == "gather" ? replay_gather(machine, test)
                                              : op.starts_with("ptep_")
                                                  ? replay_entry(machine, test)
                                                  : replay_flush(machine, test)});
      });
      ++index;
    }
  }
  return result;
}

}  // namespace shootdown::conform
