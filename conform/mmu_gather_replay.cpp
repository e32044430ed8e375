// Replays traces of Linux's mmu_gather: every call, every effect, every field after it.
#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <stdexcept>

#include "conform/conform.h"
#include "conform/gather_recorder.h"
#include "conform/gzip_json.h"
#include "conform/recorded_kernel.h"
#include "sw/arch/gather/shapes.h"
#include "sw/arch/gather/tlb_flush.h"
#include "sw/mm/mm_types.h"
#include "sw/mm/mmu_gather.h"

namespace shootdown::conform {

namespace {

using nlohmann::json;

constexpr unsigned kSlots = 3;
class Replay {
 public:
  Replay(const json& test, sw::GatherShape shape, bool pmd_sharing) : pmd_sharing_(pmd_sharing) {
    state_.shape = std::move(shape);
    for (const json& vma : test.value("vmas", json::array())) {
      const std::string flags = vma[4];
      sw::Vma area;
      area.start = {hex_number(vma[2])};
      area.end = {hex_number(vma[3])};
      area.exec = flags.find('x') != std::string::npos;
      area.pfnmap = flags.find('p') != std::string::npos;
      area.mixedmap = flags.find('m') != std::string::npos;
      if (flags.find('h') != std::string::npos) area.hugetlb_page_size = hex_number(vma[5]);
      state_.vmas.push_back(area);
      state_.vma_mm.push_back(vma[1]);
    }
    const json options = test.value("opts", json::object());
    for (const json& allocation : options.value("fail", json::array())) {
      state_.failing.insert(allocation.get<unsigned>());
    }
    poison_ = options.value("poison", 0) != 0;
  }

  /// Where the trace and this run part; empty if they do not.
  std::string run(const json& operations, const json& trace) {
    if (operations.size() != trace.size()) {
      return fmt::format("{} operations, {} records", operations.size(), trace.size());
    }
    for (std::size_t i = 0; i < operations.size(); ++i) {
      const json& operation = operations[i];
      const std::string difference = step(operation, trace.at(i));
      if (!difference.empty()) {
        return fmt::format("operation {} {}: {}", i, operation.dump(), difference);
      }
    }
    return {};
  }

 private:
  struct Slot {
    std::unique_ptr<RecordingHost> host;
    std::unique_ptr<sw::MmuGather> tlb;
    bool running{};
    bool full{};
    json expected;  // the fields as the trace has them
  };

  std::string step(const json& operation, const json& record) {
    const std::string name = operation[0];
    const json result = record.is_null() ? json() : record[0];
    const json events = record.is_null() ? json::array() : record[1];
    state_.events.begin_operation();
    for (Slot& slot : slots_) {
      if (slot.host) slot.host->begin_operation();
    }
    const json got = perform(name, operation);
    if (got != result) return fmt::format("result {}, Linux {}", got.dump(), result.dump());
    if (const std::string text = compare_events(state_.events.events(), events); !text.empty()) {
      return text;
    }
    if (operation.size() < 2 || !operation[1].is_number() || operation[1] >= kSlots ||
        name == "share" || name == "alloc_fail") {
      return {};
    }
    Slot& slot = slots_.at(operation[1].get<unsigned>());
    if (!slot.tlb) return {};
    if (record.is_array() && record.size() > 2) slot.expected.update(record[2]);
    const json fields = snapshot(slot);
    for (const auto& [field, value] : slot.expected.items()) {
      if (!fields.contains(field)) return "field " + field + " is not known";
      if (fields[field] != value) {
        return fmt::format("{} is {}, Linux {}", field, fields[field].dump(), value.dump());
      }
    }
    return {};
  }

  static std::string compare_events(const json& got, const json& expected) {
    const std::size_t both = std::min(got.size(), expected.size());
    for (std::size_t i = 0; i < both; ++i) {
      if (got[i] != expected[i]) {
        return fmt::format("event {} is {}, Linux {}", i, got[i].dump(), expected[i].dump());
      }
    }
    if (got.size() > both) return fmt::format("event {} is not in Linux's", got[both].dump());
    if (expected.size() > both) return fmt::format("event {} is missing", expected[both].dump());
    return {};
  }

  /// As a fresh gather is recorded.
  json baseline() const {
    const sw::GatherConfig& config = state_.shape.config;
    json fields{{"start", hex_text(config.task_size)},
                {"end", "0x0"},
                {"unmap_shift", config.page_shift},
                {"cleared", ""}};
    for (const char* name : {"fullmm", "freed_tables", "vma_exec", "vma_huge", "vma_pfn", "pend"}) {
      fields[name] = 0;
    }
    if (!config.knobs.no_gather) {
      fields.update({{"nrs", {0}}, {"active", 0}, {"max", 8}, {"batch_count", 0}});
      fields["need_flush_all"] = 0;
    }
    if (config.delay_rmap) fields["delayed_rmap"] = 0;
    if (config.knobs.table_free) fields["tables"] = nullptr;
    if (config.knobs.page_size) fields["page_size"] = "0x0";
    if (config.table_marks_mm) fields["flush_mm"] = 0;
    if (pmd_sharing_) fields.update({{"unshared", 0}, {"fully_unshared", 0}});
    return fields;
  }

  json snapshot(const Slot& slot) {
    const sw::MmuGather& tlb = *slot.tlb;
    std::string cleared;
    if (tlb.cleared_ptes) cleared += 't';
    if (tlb.cleared_pmds) cleared += 'm';
    if (tlb.cleared_puds) cleared += 'u';
    if (tlb.cleared_p4ds) cleared += '4';
    json fields{{"start", hex_text(tlb.start)},
                {"end", hex_text(tlb.end)},
                {"fullmm", int{tlb.fullmm}},
                {"need_flush_all", int{tlb.need_flush_all}},
                {"freed_tables", int{tlb.freed_tables}},
                {"delayed_rmap", int{tlb.delayed_rmap}},
                {"vma_exec", int{tlb.vma_exec}},
                {"vma_huge", int{tlb.vma_huge}},
                {"vma_pfn", int{tlb.vma_pfn}},
                {"batch_count", tlb.batch_count()},
                {"cleared", cleared},
                {"unshared", int{tlb.unshared_tables}},
                {"fully_unshared", int{tlb.fully_unshared_tables}},
                {"active", tlb.active_batch()},
                {"max", tlb.active_batch_max()},
                {"page_size", hex_text(tlb.page_size)},
                {"flush_mm", int{state_.flush_mm[slot.host->mm()]}},
                {"unmap_shift", tlb.tlb_get_unmap_shift()},
                {"pend", state_.pending[slot.host->mm()]}};
    fields["nrs"] = slot.running ? json(tlb.batch_sizes()) : json::array();
    const auto tables = tlb.queued_tables();
    fields["tables"] = tables ? json(*tables) : json();
    return fields;
  }

  void start(unsigned number, unsigned mm, bool fullmm, const sw::Vma* vma) {
    Slot& slot = slots_.at(number);
    slot.tlb.reset();
    slot.host = std::make_unique<RecordingHost>(state_, mm);
    const sw::GatherConfig& config = state_.shape.config;
    slot.tlb = vma != nullptr ? std::make_unique<sw::MmuGather>(config, *slot.host, *vma)
                              : std::make_unique<sw::MmuGather>(config, *slot.host, fullmm);
    slot.running = true;
    slot.full = false;
    slot.expected = baseline();
    if (poison_ && vma == nullptr) {
      // What the kernel does not initialise.
      slot.tlb->vma_exec = slot.tlb->vma_huge = slot.tlb->vma_pfn = true;
      if (config.knobs.no_gather) slot.tlb->need_flush_all = true;
    }
  }

  json perform(const std::string& name, const json& op) {
    const auto argument = [&](std::size_t i, std::uint64_t otherwise = 0) {
      return i < op.size() ? hex_number(op[i]) : otherwise;
    };
    if (name == "gather") {
      start(op[1], op[2], argument(3) != 0, nullptr);
      return {};
    }
    if (name == "gather_vma") {
      const auto vma = argument(2);
      start(op[1], state_.vma_mm.at(vma), false, &state_.vmas.at(vma));
      return {};
    }
    if (name == "share") {
      state_.sharers[argument(1)] = static_cast<int>(argument(2));
      return {};
    }
    if (name == "alloc_fail") {
      state_.good_before_failures = static_cast<unsigned>(argument(1));
      state_.failures = static_cast<unsigned>(argument(2));
      return {};
    }
    if (name == "rcu_gp") {
      while (!state_.rcu.empty()) {
        const sw::MmuTableBatch batch = std::move(state_.rcu.front());
        state_.rcu.pop_front();
        for (const sw::PageAddress table : batch.tables) {
          state_.events.add_run("tfree", id_of(table), 1, nullptr);
        }
        state_.events.add({"batch_free", batch.page});
      }
      return {};
    }
    Slot& slot = slots_.at(argument(1));
    if (!slot.running) return "refused";
    return on_gather(name, slot, argument);
  }

  template <class Argument>
  json on_gather(const std::string& name, Slot& slot, Argument&& argument) {
    sw::MmuGather& tlb = *slot.tlb;
    const std::uint64_t page = state_.shape.config.page_bytes();
    if (name == "start_vma") {
      tlb.tlb_start_vma(state_.vmas.at(argument(2)));
    } else if (name == "end_vma") {
      tlb.tlb_end_vma(state_.vmas.at(argument(2)));
    } else if (name == "rm_pte") {
      for (std::uint64_t i = 0; i < argument(3, 1); ++i) {
        tlb.tlb_remove_tlb_entry({argument(2) + i * page});
      }
    } else if (name == "rm_ptes") {
      tlb.tlb_remove_tlb_entries({argument(2)}, argument(3));
    } else if (name == "rm_pmd") {
      tlb.tlb_remove_pmd_tlb_entry({argument(2)});
    } else if (name == "rm_pud") {
      tlb.tlb_remove_pud_tlb_entry({argument(2)});
    } else if (name == "rm_huge") {
      tlb.tlb_remove_huge_tlb_entry({argument(2)}, argument(3));
    } else if (name == "pte_range") {
      tlb.tlb_flush_pte_range({argument(2)}, argument(3));
    } else if (name == "pmd_range") {
      tlb.tlb_flush_pmd_range({argument(2)}, argument(3));
    } else if (name == "pud_range") {
      tlb.tlb_flush_pud_range({argument(2)}, argument(3));
    } else if (name == "p4d_range") {
      tlb.tlb_flush_p4d_range({argument(2)}, argument(3));
    } else if (name == "flush_if_full") {
      const bool full = std::exchange(slot.full, false);
      if (full) tlb.tlb_flush_mmu();
      return int{full};
    } else if (name == "delay_rmap") {
      return int{tlb.tlb_delay_rmap()};
    } else if (name == "flush_rmaps") {
      tlb.tlb_flush_rmaps(state_.vmas.at(argument(2)));
    } else if (name == "remove_table") {
      for (std::uint64_t i = 0; i < argument(3, 1); ++i) {
        state_.events.begin_iteration(static_cast<unsigned>(i));
        tlb.tlb_remove_table(address_of(argument(2) + i));
      }
    } else if (name == "change_page_size") {
      tlb.tlb_change_page_size(argument(2));
    } else if (name == "need_flush_all") {
      tlb.need_flush_all = true;
    } else if (name == "tlbonly") {
      tlb.tlb_flush_mmu_tlbonly();
    } else if (name == "flush_mmu") {
      tlb.tlb_flush_mmu();
      slot.full = false;
    } else if (name == "finish") {
      tlb.tlb_finish_mmu();
      slot.running = false;
    } else if (name == "unshare_pmd") {
      return unshare(tlb, argument(2), argument(3));
    } else if (name == "flush_unshared") {
      if (!pmd_sharing_) return "na";
      tlb.tlb_flush_unshared_tables();
    } else if (const auto level = table_level(name)) {
      const std::uint64_t step = argument(5, std::uint64_t{1} << state_.shape.config.pmd_shift);
      for (std::uint64_t i = 0; i < argument(4, 1); ++i) {
        state_.events.begin_iteration(static_cast<unsigned>(i));
        tlb.table_free_tlb(*level, address_of(argument(2) + i), {argument(3) + i * step});
      }
    } else {
      return queue_pages(name, slot, argument);
    }
    return {};
  }

  static std::optional<sw::TableLevel> table_level(const std::string& name) {
    if (name == "pte_free") return sw::TableLevel::kPte;
    if (name == "pmd_free") return sw::TableLevel::kPmd;
    if (name == "pud_free") return sw::TableLevel::kPud;
    if (name == "p4d_free") return sw::TableLevel::kP4d;
    return std::nullopt;
  }

  json unshare(sw::MmuGather& tlb, std::uint64_t table, std::uint64_t address) {
    if (!pmd_sharing_) return "na";
    const int left = --state_.sharers[table];
    if (left < 0) state_.events.add({"warn", "tlb_unshare_pmd_ptdesc"});
    tlb.tlb_unshare_pmd({address}, left == 0);
    return left;
  }

  template <class Argument>
  json queue_pages(const std::string& name, Slot& slot, Argument&& argument) {
    sw::MmuGather& tlb = *slot.tlb;
    const std::uint64_t page = state_.shape.config.page_bytes();
    if (slot.full) return "refused";
    if (name == "page") {
      tlb.tlb_remove_page(address_of(argument(2)), page);
      return {};
    }
    if (name == "page_size") {
      tlb.tlb_remove_page(address_of(argument(2)), argument(3));
      return {};
    }
    if (name == "pages") {
      for (std::uint64_t i = 0; i < argument(4); ++i) {
        state_.events.begin_iteration(static_cast<unsigned>(i));
        tlb.tlb_remove_tlb_entry({argument(2) + i * page});
        tlb.tlb_remove_page(address_of(argument(3) + i), page);
      }
      return {};
    }
    const auto delayed = [&](std::uint64_t wanted) { return wanted != 0 && tlb.tlb_delay_rmap(); };
    if (name == "page_raw" || name == "page_raw_size") {
      const std::uint64_t size = name == "page_raw" ? page : argument(4);
      slot.full = tlb.tlb_remove_page_no_flush(address_of(argument(2)), delayed(argument(3)), size);
      return int{slot.full};
    }
    if (name == "folio") {
      slot.full =
          tlb.tlb_remove_folio_pages(address_of(argument(2)), argument(3), delayed(argument(4)));
      return int{slot.full};
    }
    const bool folios = name == "zap_folios";
    if (!folios && name != "zap") throw std::runtime_error("operation " + name + " is not known");
    const std::uint64_t each = folios ? argument(5) : 1;
    const std::uint64_t wanted = argument(folios ? 6 : 5);
    std::uint64_t done = 0;
    while (done < argument(4) && !slot.full) {
      state_.events.begin_iteration(static_cast<unsigned>(done));
      const std::uint64_t va = argument(2) + done * each * page;
      const sw::PageAddress first = address_of(argument(3) + done * each);
      if (folios) {
        tlb.tlb_remove_tlb_entries({va}, each);
        slot.full = tlb.tlb_remove_folio_pages(first, each, delayed(wanted));
      } else {
        tlb.tlb_remove_tlb_entry({va});
        slot.full = tlb.tlb_remove_page_no_flush(first, delayed(wanted), page);
      }
      ++done;
    }
    return done;
  }

  CaseState state_;
  bool pmd_sharing_;
  bool poison_{};
  std::array<Slot, kSlots> slots_;
};

}  // namespace

namespace {

/// Where the recorded constants of a configuration and the shape of that name part.
std::string compare_constants(const sw::GatherShape& shape, const json& recorded) {
  const sw::GatherConfig& config = shape.config;
  json mine{{"page_shift", config.page_shift},         {"pmd_shift", config.pmd_shift},
            {"pud_shift", config.pud_shift},           {"p4d_shift", config.p4d_shift},
            {"task_size", hex_text(config.task_size)}, {"smp", config.smp}};
  if (!config.knobs.no_gather) {
    mine["bundle"] = sw::GatherConfig::kBundle;
    mine["max_gather_batch"] = config.max_gather_batch();
    mine["max_gather_batch_count"] = config.max_gather_batch_count();
  }
  if (config.knobs.table_free) mine["max_table_batch"] = config.max_table_batch();
  for (const auto& [name, value] : mine.items()) {
    if (!recorded.contains(name) || recorded[name] != value) {
      return fmt::format("{} is {}, Linux {}", name, value.dump(),
                         recorded.value(name, json()).dump());
    }
  }
  sw::GatherKnobs knobs;
  for (const std::string knob : recorded.at("knobs")) {
    knobs.table_free |= knob == "MMU_GATHER_TABLE_FREE";
    knobs.rcu_table_free |= knob == "MMU_GATHER_RCU_TABLE_FREE";
    knobs.page_size |= knob == "MMU_GATHER_PAGE_SIZE";
    knobs.no_range |= knob == "MMU_GATHER_NO_RANGE";
    knobs.merge_vmas |= knob == "MMU_GATHER_MERGE_VMAS";
    knobs.no_flush_cache |= knob == "MMU_GATHER_NO_FLUSH_CACHE";
    knobs.no_gather |= knob == "MMU_GATHER_NO_GATHER";
  }
  return knobs == config.knobs ? "" : "the knobs differ: Linux " + recorded.at("knobs").dump();
}

/// One sequence of operations, in every configuration in which it was recorded.
void replay_case(const json& file, const json& test, std::vector<ConformCase>& cases) {
  const json options = test.value("opts", json::object());
  const sw::GatherOptions shape_options{.x86_five_levels = options.value("x86_l5", 0) != 0,
                                        .init_on_free = options.value("init_on_free", 0) != 0};
  for (const json& trace : test.at("traces")) {
    for (const std::string name : trace.at("configs")) {
      const std::size_t slash = name.find('/');
      const std::string kernel = name.substr(0, slash);
      auto shape = sw::gather_shape(name.substr(slash + 1), recorded_kernel(kernel), shape_options);
      if (!shape) throw std::runtime_error("configuration '" + name + "' is not known");
      const json& recorded = file.at("configs").at(name);
      std::string difference = compare_constants(*shape, recorded);
      if (difference.empty()) {
        Replay replay(test, std::move(*shape), recorded.value("pmd_sharing", false));
        difference = replay.run(test.at("ops"), trace.at("t"));
      }
      cases.push_back({.name = test.at("name"), .configuration = name, .difference = difference});
    }
  }
}

}  // namespace

bool is_mmu_gather(const json& file) {
  return file.is_object() && file.value("format", "") == "mmu_gather-trace-1";
}

ConformFile replay_mmu_gather(const json& file) {
  ConformFile result{.path = "", .format = "mmu_gather-trace-1", .cases = {}};
  std::size_t number = 0;
  for (const json& test : file.at("cases")) {
    at_place(fmt::format("cases[{}]", number++), [&] { replay_case(file, test, result.cases); });
  }
  return result;
}

}  // namespace shootdown::conform
