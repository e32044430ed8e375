#include "cosim/report/json_report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace shootdown::cosim {

namespace {

using Json = nlohmann::ordered_json;

const char* model_name(TlbModel model) {
  switch (model) {
    case TlbModel::kSystemc:
      return "systemc";
    case TlbModel::kRtl:
      return "rtl";
    case TlbModel::kLockstep:
      return "lockstep";
  }
  return "?";
}

Json violation_json(const Violation& violation) {
  Json chain = Json::array();
  for (const ChainItem& item : violation.chain) {
    Json entry;
    entry["time_ps"] = item.happened ? Json(item.time_ps) : Json(nullptr);
    entry["sequence"] = item.sequence != 0 ? Json(item.sequence) : Json(nullptr);
    entry["role"] = name_of(item.role);
    entry["actor"] = item.actor_name;
    entry["text"] = item.text;
    entry["happened"] = item.happened;
    if (!item.note.empty()) entry["note"] = item.note;
    chain.push_back(std::move(entry));
  }
  Json json;
  json["kind"] = name_of(violation.kind);
  json["time_ps"] = violation.time_ps;
  json["sequence"] = violation.sequence != 0 ? Json(violation.sequence) : Json(nullptr);
  json["actor"] = violation.actor_name;
  json["address"] = fmt::format("{:#x}", violation.address.value);
  json["missing_hop"] = name_of(violation.missing_hop);
  json["hop_text"] = violation.hop_text;
  json["headline"] = violation.headline;
  json["count"] = violation.count;
  json["chain"] = std::move(chain);
  return json;
}

}  // namespace

std::string json_report(const Config& config, const RunResult& result,
                        const CounterValues& counters) {
  Json json;
  json["schema_version"] = 1;
  json["config"] = config.path;
  json["kernel"] = config.kernel.name();
  json["hardware"] = {{"cpus", config.hardware.cpus},
                      {"cpu_tlb", model_name(config.hardware.cpu_tlb_model)},
                      {"smmu_tlb", model_name(config.hardware.smmu_tlb_model)}};
  json["seed"] = config.seed;
  if (config.random_schedule) json["random_schedule"] = *config.random_schedule;
  json["injections"] = config.injections;
  json["verdict"] = name_of(result.verdict);
  if (!result.limit.empty()) json["limit"] = result.limit;
  json["violations"] = Json::array();
  for (const Violation& violation : result.violations) {
    json["violations"].push_back(violation_json(violation));
  }
  json["notes"] = Json::array();
  for (const Note& note : result.notes) {
    json["notes"].push_back({{"kind", name_of(note.kind)}, {"text", note.text}});
  }
  json["remarks"] = result.remarks;
  json["expected"] = result.expected;
  json["met"] = result.met;
  json["counters"] = counters;
  json["events"] = result.events;
  json["simulated_ps"] = result.simulated_ps;
  json["wall_seconds"] = result.wall_seconds;
  return json.dump(2) + "\n";
}

}  // namespace shootdown::cosim
