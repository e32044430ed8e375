#include "cosim/config/load_architecture.h"

#include <algorithm>
#include <vector>

#include "sw/arch/gather/shapes.h"

namespace shootdown::cosim {

namespace {

using Kind = ArchitectureConfig::Kind;

/// Shapes with pages of 4 KiB and four levels: what the hardware here has.
std::vector<std::string> shapes_of(Kind kind) {
  if (kind == Kind::kArm64) return {"arm64"};
  if (kind == Kind::kX86) return {"x86_native", "x86_pv", "x86_nfc"};
  std::vector<std::string> shapes{"generic"};
  for (const std::string_view name : sw::gather_shape_names()) {
    if (name != "generic" && name != "arm64_16k" && name != "arm64_64k" && name != "x86_pae") {
      shapes.emplace_back(name);
    }
  }
  return shapes;
}

sw::GatherKnobs read_knobs(const YamlValue& value) {
  YamlMap map(value);
  sw::GatherKnobs knobs;
  map.read("table_free", knobs.table_free);
  map.read("rcu_table_free", knobs.rcu_table_free);
  map.read("page_size", knobs.page_size);
  map.read("no_range", knobs.no_range);
  map.read("merge_vmas", knobs.merge_vmas);
  map.read("no_flush_cache", knobs.no_flush_cache);
  map.read("no_gather", knobs.no_gather);
  map.finish();
  const auto needs = [&](bool knob, const char* name, bool other, const char* other_name) {
    if (!knob || other) return;
    map.require(name).fail(std::string("is true without ") + other_name,
                           std::string(other_name) + ": true, as Kconfig has it");
  };
  needs(knobs.rcu_table_free, "rcu_table_free", knobs.table_free, "table_free");
  needs(knobs.no_range, "no_range", knobs.merge_vmas, "merge_vmas");
  needs(knobs.no_gather, "no_gather", knobs.table_free, "table_free");
  return knobs;
}

}  // namespace

ArchitectureConfig read_architecture(const YamlValue& value) {
  const std::vector<std::string> kinds{"arm64", "x86", "generic"};
  ArchitectureConfig result;
  const auto set_kind = [&](std::size_t kind) {
    result.kind = static_cast<Kind>(kind);
    result.shape = shapes_of(result.kind).front();
    result.broadcast = result.kind == Kind::kArm64;
  };
  if (!value.is_map()) {
    set_kind(value.word(kinds));
    return result;
  }
  YamlMap map(value);
  set_kind(map.require("base").word(kinds));
  if (const auto shape = map.find("shape")) {
    const std::vector<std::string> shapes = shapes_of(result.kind);
    result.shape = shapes[shape->word(shapes)];
  }
  if (const auto knobs = map.find("knobs")) {
    if (result.kind != Kind::kGeneric)
      knobs->fail("given for a real architecture", "base: generic");
    result.knobs = read_knobs(*knobs);
  }
  if (const auto by = map.find("shootdown")) {
    if (result.kind != Kind::kGeneric) by->fail("given for a real architecture", "base: generic");
    result.broadcast = by->word({"ipi", "broadcast"}) == 1;
  }
  map.finish();
  return result;
}

}  // namespace shootdown::cosim
