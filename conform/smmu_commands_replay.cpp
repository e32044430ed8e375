// Replays what Linux's SMMUv3 driver builds: single commands ("smmuv3-commands/1"), the pieces of a
// range ("smmu-tlb-inv-range/1"), and ranges on which its loop does not end
// ("smmuv3-nonterminating/1"). The formats: tests/vectors/smmu_driver/README.md.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>

#include "conform/conform.h"
#include "conform/gzip_json.h"
#include "sw/smmu/commands.h"

namespace shootdown::conform {

namespace smmu = sw::smmu;
using nlohmann::json;
using smmu::Command;
using smmu::Opcode;

namespace {

constexpr const char* kCommands = "smmuv3-commands/1";
constexpr const char* kRanges = "smmu-tlb-inv-range/1";
constexpr const char* kEndless = "smmuv3-nonterminating/1";

using Args = std::vector<std::uint64_t>;

arch::StreamId sid(std::uint64_t value) {
  return arch::StreamId{static_cast<std::uint32_t>(value)};
}
arch::SubstreamId ssid(std::uint64_t value) {
  return arch::SubstreamId{static_cast<std::uint32_t>(value)};
}

Command build_tlbi(const Args& args) {
  const auto opcode = static_cast<Opcode>(args.at(0));
  const arch::Asid asid{static_cast<std::uint16_t>(args.at(1))};
  const arch::Vmid vmid{static_cast<std::uint16_t>(args.at(2))};
  if (!arch::smmuv3::is_tlbi_by_address(opcode)) return smmu::tlbi(opcode, asid, vmid);
  return smmu::tlbi(
      smmu::TlbiTarget{.opcode = opcode, .asid = asid, .vmid = vmid, .leaf = args.at(4) != 0},
      args.at(3),
      {.num = static_cast<unsigned>(args.at(5)),
       .scale = static_cast<unsigned>(args.at(6)),
       .ttl = static_cast<unsigned>(args.at(7)),
       .tg = static_cast<unsigned>(args.at(8))});
}

/// Nothing for an opcode that the driver does not know.
std::optional<Command> build(const Args& args) {
  switch (args.at(0)) {
    case 0x01:
      return smmu::prefetch_config(sid(args.at(1)));
    case 0x03:
      return smmu::cfgi_ste(sid(args.at(1)), args.at(3) != 0);
    case 0x04:
      return smmu::cfgi_all();
    case 0x05:
      return smmu::cfgi_cd(sid(args.at(1)), ssid(args.at(2)), args.at(3) != 0);
    case 0x06:
      return smmu::cfgi_cd_all(sid(args.at(1)));
    case 0x11:
    case 0x12:
    case 0x20:
    case 0x21:
    case 0x22:
    case 0x28:
    case 0x2a:
    case 0x30:
      return build_tlbi(args);
    case 0x40:
      return smmu::atc_inv(
          smmu::AtcTarget{.sid = sid(args.at(2)),
                          .has_ssid = args.at(1) != 0,
                          .ssid = ssid(args.at(3)),
                          .global = args.at(6) != 0},
          {.address = args.at(4), .log2_pages = static_cast<unsigned>(args.at(5))});
    case 0x41:
      return smmu::pri_resp({.sid = sid(args.at(2)),
                             .has_ssid = args.at(1) != 0,
                             .ssid = ssid(args.at(3)),
                             .index = static_cast<unsigned>(args.at(4))},
                            static_cast<smmu::PriResponse>(args.at(5)));
    case 0x44:
      return smmu::resume(sid(args.at(1)), static_cast<std::uint16_t>(args.at(2)),
                          static_cast<smmu::ResumeResponse>(args.at(3)));
    case 0x46:
      return smmu::sync({args.at(1)});
    default:
      return std::nullopt;
  }
}

std::string text(const Command& command) {
  return fmt::format("{:#x} {:#x}", command.dw0, command.dw1);
}

std::string replay_command(const json& test) {
  Args args;
  for (const json& arg : test.at("args")) args.push_back(hex_number(arg));
  const bool refused = hex_number(test.at("ret")) != 0;
  const Command linux{hex_number(test.at("words").at(0)), hex_number(test.at("words").at(1))};
  std::optional<Command> built;
  if (test.at("op") == "atc") {
    built = smmu::atc_inv(sid(args.at(3)), ssid(args.at(0)), args.at(1), args.at(2));
  } else {
    built = build(args);
    // A value beyond the field is refused where the kernel looks at it.
    if (args.at(0) == 0x41 && args.at(5) > 2) built.reset();
  }
  if (refused) return built ? "built, Linux refuses it" : "";
  if (!built) return "no such command";
  return *built == linux ? "" : text(*built) + ", Linux " + text(linux);
}

std::string replay_range(const json& test) {
  std::vector<Command> linux;
  for (const json& words : test.at("commands")) {
    const std::string both = words;
    const std::size_t space = both.find(' ');
    linux.push_back({std::stoull(both.substr(0, space), nullptr, 0),
                     std::stoull(both.substr(space + 1), nullptr, 0)});
  }
  const auto asid = static_cast<std::uint16_t>(linux.at(0).dw0 >> 48);
  const auto ours =
      smmu::tlb_inv_range(smmu::TlbiTarget{.asid = arch::Asid{asid}, .leaf = test.at("leaf")},
                          hex_number(test.at("start")), hex_number(test.at("size")),
                          {.range_invalidation = test.at("ril")});
  for (std::size_t i = 0; i < std::min(ours.size(), linux.size()); ++i) {
    if (ours[i] != linux[i]) {
      return fmt::format("command {} is {}, Linux {}", i, text(ours[i]), text(linux[i]));
    }
  }
  return ours.size() == linux.size()
             ? ""
             : fmt::format("{} commands, Linux {}", ours.size(), linux.size());
}

/// Where the kernel's loop never ends, this one ends, and what it sends are the kernel's first
/// commands.
std::string replay_endless(const json& test) {
  const std::uint64_t start = hex_number(test.at("start"));
  const std::uint64_t size = hex_number(test.at("end")) - start;
  if (size == ~std::uint64_t{0}) return "";  // becomes an invalidation by ASID before it gets here
  const std::string first = test.at("first_commands").at(0);
  const auto asid = static_cast<std::uint16_t>(std::stoull(first, nullptr, 0) >> 48);
  const auto ours = smmu::tlb_inv_range(smmu::TlbiTarget{.asid = arch::Asid{asid}}, start, size,
                                        {.range_invalidation = true});
  if (ours.empty()) return "no commands";
  for (std::size_t i = 0; i < ours.size(); ++i) {
    const std::string linux = test.at("first_commands").at(i);
    if (text(ours[i]) != linux) {
      return fmt::format("command {} is {}, Linux {}", i, text(ours[i]), linux);
    }
  }
  return "";
}

}  // namespace

bool is_smmu_commands(const json& file) {
  if (!file.is_object()) return false;
  const std::string format = file.value("format", "");
  return format == kCommands || format == kRanges || format == kEndless;
}

ConformFile replay_smmu_commands(const json& file) {
  ConformFile result{.path = {}, .format = file.at("format"), .cases = {}};
  std::size_t number = 0;
  for (const json& test : file.at("cases")) {
    const std::string difference = at_place(fmt::format("cases[{}]", number), [&] {
      return result.format == kCommands ? replay_command(test)
             : result.format == kRanges ? replay_range(test)
                                        : replay_endless(test);
    });
    result.cases.push_back(
        {fmt::format("case {}", number++), test.value("kernel", ""), difference});
  }
  return result;
}

}  // namespace shootdown::conform
