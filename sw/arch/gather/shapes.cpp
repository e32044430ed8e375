#include "sw/arch/gather/shapes.h"

#include <algorithm>
#include <array>

namespace shootdown::sw {

namespace {

constexpr std::array<std::string_view, 17> kNames{
    "arm64",        "arm64_16k", "arm64_64k",  "x86_pv",        "x86_native", "x86_nfc",
    "x86_pae",      "generic",   "generic_up", "generic_merge", "no_range",   "powerpc",
    "powerpc_hash", "s390",      "sparc64",    "riscv",         "riscv_ipi"};

constexpr unsigned index(TableLevel level) { return static_cast<unsigned>(level); }

/// The same route for every level; destructors from PTE tables up to PUD tables.
void route_tables(GatherConfig& config, TableRoute route, bool pud_dtor) {
  for (TableRule& rule : config.tables) rule.route = route;
  config.tables[index(TableLevel::kPte)].dtor = true;
  config.tables[index(TableLevel::kPmd)].dtor = true;
  config.tables[index(TableLevel::kPud)].dtor = pud_dtor;
}

void fold_p4d(GatherConfig& config) {
  config.tables[index(TableLevel::kP4d)].route = TableRoute::kFolded;
}

void rcu_tables(GatherConfig& config) {
  config.knobs.table_free = true;
  config.knobs.rcu_table_free = true;
}

GatherShape arm64(std::string_view name, const KernelBehaviour& kernel) {
  GatherShape shape{.config = {}, .rule = TlbFlushRule::kArm64};
  GatherConfig& config = shape.config;
  rcu_tables(config);
  route_tables(config, TableRoute::kTable, kernel.pud_table_dtor);
  fold_p4d(config);
  if (name == "arm64_16k") {
    config.page_shift = 14;
    config.pmd_shift = 25;
    config.pud_shift = 36;
    config.p4d_shift = 47;
  } else if (name == "arm64_64k") {
    config.page_shift = 16;
    config.pmd_shift = 29;
    config.pud_shift = config.p4d_shift = 42;
    config.tables[index(TableLevel::kPud)].route = TableRoute::kFolded;
  }
  shape.arm64_ttl_unknown = kernel.arm64_ttl_unknown;
  shape.arm64_unshare_walk_cache = kernel.arm64_unshare_walk_cache;
  return shape;
}

GatherShape x86(std::string_view name, const KernelBehaviour& kernel, bool five_levels) {
  GatherShape shape{.config = {}, .rule = TlbFlushRule::kX86};
  GatherConfig& config = shape.config;
  config.task_size = 0x7ffffffff000;
  rcu_tables(config);
  config.knobs.merge_vmas = true;
  config.knobs.no_flush_cache = name == "x86_nfc";
  // On bare metal an IPI waits for lockless walkers, so that tables go with the pages.
  route_tables(config, name == "x86_native" ? TableRoute::kPage : TableRoute::kTable,
               kernel.pud_table_dtor);
  if (!five_levels) config.tables[index(TableLevel::kP4d)].route = TableRoute::kUnused;
  config.tables[index(TableLevel::kPmd)].need_flush_all = name == "x86_pae";
  return shape;
}

GatherShape generic(std::string_view name, const KernelBehaviour& kernel) {
  GatherShape shape{.config = {}, .rule = TlbFlushRule::kGeneric};
  GatherConfig& config = shape.config;
  config.task_size = 0x800000000000;
  config.smp = name != "generic_up";
  config.knobs.no_range = name == "no_range";
  config.knobs.merge_vmas = config.knobs.no_range || name == "generic_merge";
  route_tables(config, TableRoute::kPage, kernel.pud_table_dtor);
  fold_p4d(config);
  return shape;
}

GatherShape powerpc(std::string_view name, const KernelBehaviour& kernel) {
  const bool hash = name == "powerpc_hash";
  GatherShape shape{.config = {},
                    .rule = hash ? TlbFlushRule::kPowerpcHash : TlbFlushRule::kPowerpcRadix};
  GatherConfig& config = shape.config;
  config.task_size = 0x800000000000;
  rcu_tables(config);
  config.knobs.merge_vmas = true;
  config.knobs.page_size = true;
  // Hash hardware walks no Linux tables; the destructors run when the memory is returned.
  config.needs_table_invalidate = !hash;
  route_tables(config, TableRoute::kTable, false);
  for (TableRule& rule : config.tables) rule.dtor = false;
  fold_p4d(config);
  shape.ppc_lazy_shootdown = kernel.ppc_lazy_shootdown;
  return shape;
}

GatherShape s390(const KernelBehaviour&) {
  GatherShape shape{.config = {}, .rule = TlbFlushRule::kS390};
  GatherConfig& config = shape.config;
  config.task_size = 0x800000000000;
  rcu_tables(config);
  config.knobs.merge_vmas = true;
  config.knobs.no_gather = true;
  config.table_marks_mm = true;
  route_tables(config, TableRoute::kTable, false);
  config.tables[index(TableLevel::kPte)].dtor = false;
  config.tables[index(TableLevel::kPud)].adjust_range = false;
  return shape;
}

GatherShape sparc64(const KernelBehaviour&) {
  GatherShape shape{.config = {}, .rule = TlbFlushRule::kSparc64};
  GatherConfig& config = shape.config;
  config.task_size = 0x800000000000;
  rcu_tables(config);
  config.knobs.merge_vmas = true;
  config.knobs.no_flush_cache = true;
  config.needs_table_invalidate = false;
  route_tables(config, TableRoute::kTable, false);
  for (TableRule& rule : config.tables) rule.dtor = false;
  fold_p4d(config);
  return shape;
}

GatherShape riscv(std::string_view name, const KernelBehaviour& kernel) {
  GatherShape shape{.config = {}, .rule = TlbFlushRule::kRiscv};
  GatherConfig& config = shape.config;
  config.task_size = 0x800000000000;
  if (kernel.riscv_rcu_tables) {
    rcu_tables(config);
    route_tables(config, name == "riscv_ipi" ? TableRoute::kPage : TableRoute::kTable,
                 kernel.pud_table_dtor);
  } else {
    // PTE tables go with the pages, the levels above are freed on the spot.
    route_tables(config, TableRoute::kAtOnce, false);
    config.tables[index(TableLevel::kPte)].route = TableRoute::kPage;
  }
  config.tables[index(TableLevel::kP4d)].route = TableRoute::kUnused;
  shape.riscv_range_flush = kernel.riscv_range_flush;
  return shape;
}

}  // namespace

std::span<const std::string_view> gather_shape_names() { return kNames; }

std::optional<GatherShape> gather_shape(std::string_view name, const KernelBehaviour& kernel,
                                        const GatherOptions& options) {
  if (std::find(kNames.begin(), kNames.end(), name) == kNames.end()) return std::nullopt;
  GatherShape shape = name.starts_with("arm64")     ? arm64(name, kernel)
                      : name.starts_with("x86")     ? x86(name, kernel, options.x86_five_levels)
                      : name.starts_with("powerpc") ? powerpc(name, kernel)
                      : name == "s390"              ? s390(kernel)
                      : name == "sparc64"           ? sparc64(kernel)
                      : name.starts_with("riscv")   ? riscv(name, kernel)
                                                    : generic(name, kernel);
  GatherConfig& config = shape.config;
  config.huge_pmd_share = !name.starts_with("powerpc") && name != "s390" && name != "sparc64";
  config.vma_hooks_by_knob = kernel.vma_hooks_by_knob;
  config.vma_hooks_single = kernel.vma_hooks_single;
  config.no_range_vma_flags = kernel.no_range_vma_flags;
  config.force_flush_pfnmap = kernel.force_flush_pfnmap;
  config.encoded_pages = kernel.encoded_pages;
  config.delay_rmap = kernel.delay_rmap;
  config.notify_after_flush = !kernel.notify_in_tlb_flush;
  config.folio_entries = kernel.folio_entries;
  config.expensive_free_by_pages = kernel.expensive_free_by_pages;
  config.init_on_free = options.init_on_free;
  return shape;
}

}  // namespace shootdown::sw
