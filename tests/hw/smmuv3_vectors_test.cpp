// Replays recorded SMMUv3 accesses as if everything had been invalidated before each: what stream
// table, context descriptor and translation tables in memory mean at that moment. Goes through
// fetch_config(), Stage1Walk and the permission check; no caches, no SystemC.
//
// A step that needs a feature this model does not have is skipped by missing_feature(), which names
// it. Where the recorded implementation is known to deviate, deviation() says what the architecture
// asks for instead. tests/vectors/smmuv3/README.md describes the file.
#include <gtest/gtest.h>

#include <cstdint>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>
#include <string>
#include <variant>

#include "hw/mmu/stage1_walk.h"
#include "hw/smmu/config_decode.h"
#include "tests/vectors/gzip_json.h"

namespace shootdown::hw {
namespace {

using arch::smmuv3::EventType;
using nlohmann::json;
using tests::hex;

constexpr std::uint64_t bits(std::uint64_t word, unsigned high, unsigned low) {
  return word >> low & ((std::uint64_t{2} << (high - low)) - 1);
}

/// RAM from 0x4000'0000 to 0xbfff'ffff; nothing elsewhere.
class Memory {
 public:
  void write(std::uint64_t address, const json& words) {
    for (const json& word : words) {
      words_[address] = hex(word);
      address += 8;
    }
  }
  std::optional<std::uint64_t> read(std::uint64_t address) const {
    if (address < 0x4000'0000 || address >= 0xc000'0000) return std::nullopt;
    const auto found = words_.find(address);
    return found == words_.end() ? 0 : found->second;
  }

 private:
  std::map<std::uint64_t, std::uint64_t> words_;
};

/// The registers that decide a translation, as the vectors write them.
struct Registers {
  std::map<std::uint64_t, std::uint32_t> words;
  void write(std::uint64_t offset, std::uint64_t value, unsigned bytes) {
    words[offset] = static_cast<std::uint32_t>(value);
    if (bytes == 8) words[offset + 4] = static_cast<std::uint32_t>(value >> 32);
  }
  std::uint64_t at(std::uint64_t offset) const {
    const auto found = words.find(offset);
    return found == words.end() ? 0 : found->second;
  }
  bool smmu_enabled() const { return bits(at(0x20), 0, 0) != 0; }
  bool event_queue_enabled() const { return bits(at(0x20), 2, 2) != 0; }
  bool two_level() const { return bits(at(0x88), 17, 16) != 0; }
  StreamTable stream_table() const {
    const auto log2_size = static_cast<unsigned>(bits(at(0x88), 5, 0));
    std::uint64_t base = (at(0x80) | at(0x84) << 32) & 0x000f'ffff'ffff'ffc0;
    base &= ~((std::uint64_t{64} << log2_size) - 1);  // aligned by hardware
    return {.base = {base}, .log2_size = log2_size};
  }
};

struct Outcome {
  bool ok{};
  bool bypass{};
  std::uint64_t pa{};
  EventType event{EventType::kNone};  ///< recorded
  std::optional<std::uint64_t> fetch_address{};
};
bool operator==(const Outcome& a, const Outcome& b) {
  if (a.ok != b.ok || a.event != b.event || a.bypass != b.bypass) return false;
  if (a.ok && a.pa != b.pa) return false;
  // Word 3 is compared where both sides have one.
  return !a.fetch_address || !b.fetch_address || *a.fetch_address == *b.fetch_address;
}
std::ostream& operator<<(std::ostream& out, const Outcome& outcome) {
  out << (outcome.ok ? "ok" : "abort") << std::hex;
  if (outcome.bypass) out << " bypass";
  if (outcome.ok) out << " pa 0x" << outcome.pa;
  if (outcome.event != EventType::kNone) out << " event " << name_of(outcome.event);
  if (outcome.fetch_address) out << " fetch 0x" << *outcome.fetch_address;
  return out << std::dec;
}

Outcome recorded(const json& observed, const json& step) {
  Outcome outcome{.ok = observed["r"] == "ok",
                  .bypass = observed.contains("bypass") && observed["bypass"] == 1};
  if (outcome.ok) outcome.pa = hex(observed["pa"]);
  if (!observed.contains("ev")) return outcome;
  const json& words = observed["ev"][0];
  outcome.event = static_cast<EventType>(hex(words[0]) & 0xff);
  EXPECT_EQ(hex(words[0]) >> 32, hex(step["sid"]));
  if (outcome.event == EventType::kFWalkEabt || outcome.event == EventType::kFSteFetch) {
    outcome.fetch_address = hex(words[3]) & 0x000f'ffff'ffff'fff8;
  }
  if (outcome.event >= EventType::kFWalkEabt) {
    EXPECT_EQ(hex(words[2]), hex(step["a"]));
    EXPECT_EQ(bits(hex(words[1]), 35, 35) != 0, step["dir"] == "r");
  }
  return outcome;
}

Outcome from_fault(EventType type) { return {.event = type}; }

/// The model's answer.
Outcome translate(const Registers& registers, const Memory& memory, const json& step) {
  const SmmuFeatures features{
      .stall_model = false, .ats = false, .ssid_bits = 0, .output_bits = 44};
  const auto read = [&](arch::PhysAddr address, std::uint64_t* words) {
    for (unsigned i = 0; i < 8; ++i) {
      const auto word = memory.read(address.value + 8 * i);
      if (!word) return false;
      words[i] = *word;
    }
    return true;
  };
  const arch::StreamId sid{static_cast<std::uint32_t>(hex(step["sid"]))};
  const auto result = fetch_config(features, registers.stream_table(), sid, std::nullopt, read);
  if (const auto* fault = std::get_if<ConfigFault>(&result)) {
    Outcome outcome = from_fault(fault->type);
    if (fault->type == EventType::kFSteFetch) outcome.fetch_address = fault->fetch_address.value;
    return outcome;
  }
  const auto& config = std::get<StreamConfig>(result);
  const arch::VirtAddr va{hex(step["a"])};
  if (config.kind == StreamConfig::Kind::kAbort) return {};
  if (config.kind == StreamConfig::Kind::kBypass)
    return {.ok = true, .bypass = true, .pa = va.value};

  Stage1Walk walk(config.context, va);
  while (!walk.done()) {
    const auto address = walk.descriptor_address();
    if (const auto descriptor = memory.read(address.value)) {
      walk.feed(*descriptor);
    } else {
      walk.feed_abort();
      Outcome outcome = from_fault(EventType::kFWalkEabt);
      outcome.fetch_address = address.value;
      return outcome;
    }
  }
  EventType fault = walk.fault();
  const auto access = step["dir"] == "r" ? arch::Access::kRead : arch::Access::kWrite;
  if (fault == EventType::kNone && !walk.entry().permissions.permits(access, false)) {
    fault = EventType::kFPermission;
  }
  if (fault != EventType::kNone) return config.record ? from_fault(fault) : Outcome{};
  return {.ok = true, .pa = walk.entry().translate(va).value};
}

/// Names what a step needs and this model does not have, if anything.
std::optional<std::string> missing_feature(const json& vector, const json& step,
                                           const json& observed, const Registers& registers,
                                           const Memory& memory) {
  if (observed == "n/a") return "not recorded: command queue stopped";
  for (const json& tag : vector["tags"]) {
    if (tag == "impdef") return "implementation defined (tag)";
  }
  if (!registers.smmu_enabled()) return "SMMU disabled: decided by GBPA";
  if (registers.two_level()) return "two-level stream table (IDR0.ST_LEVEL)";
  if (observed["r"] == "mixed" || observed.contains("xl")) return "transfer over several pages";
  if (observed.contains("ev") && observed["ev"].size() != 1) return "transfer split by the bus";

  const StreamTable table = registers.stream_table();
  const std::uint64_t sid = hex(step["sid"]);
  if (sid >> table.log2_size != 0) return std::nullopt;
  const std::uint64_t ste = table.base.value + 64 * sid;
  const std::uint64_t ste0 = memory.read(ste).value_or(0);
  const std::uint64_t ste1 = memory.read(ste + 8).value_or(0);
  const bool ste_valid = bits(ste0, 0, 0) != 0;
  if (!ste_valid) return std::nullopt;
  if (bits(ste0, 3, 1) >= 6) return "stage 2 (IDR0.S2P)";
  if (bits(ste0, 3, 1) != 5) return std::nullopt;
  if (bits(ste1, 49, 48) != 0) return "STE.PRIVCFG (IDR1.ATTR_PERMS_OVR)";

  const std::uint64_t cd = ste0 & 0x000f'ffff'ffff'ffc0;
  const std::uint64_t cd0 = memory.read(cd).value_or(0);
  const std::uint64_t cd1 = memory.read(cd + 8).value_or(0);
  const std::uint64_t cd2 = memory.read(cd + 16).value_or(0);
  if (bits(cd0, 31, 31) == 0) return std::nullopt;
  const bool walks0 = bits(cd0, 14, 14) == 0;
  const bool walks1 = bits(cd0, 30, 30) == 0;
  const std::uint64_t tg0 = bits(cd0, 7, 6);
  const std::uint64_t tg1 = bits(cd0, 23, 22);
  if (walks0 && (tg0 == 1 || tg0 == 2)) return "16 and 64 KiB granules";
  if (walks1 && (tg1 == 1 || tg1 == 3)) return "16 and 64 KiB granules";
  if (bits(cd0, 39, 38) != 0) return "CD.TBI: top byte ignored";
  if (bits(cd1, 1, 1) != 0 || bits(cd2, 1, 1) != 0) return "CD.HAD (IDR3.HAD)";
  if (bits(cd0, 46, 46) == 0) return "CD.A = 0 is illegal (IDR0.TERM_MODEL = 1)";
  return std::nullopt;
}

/// What the architecture asks for where the recorded implementation is known to differ.
std::optional<Outcome> deviation(const json& vector, const Outcome& seen) {
  for (const json& tag : vector["tags"]) {
    if (tag == "qemu-dev:reserved-block" && seen.ok) return from_fault(EventType::kFTranslation);
    if (tag == "qemu-dev:ap1" && seen.ok) return from_fault(EventType::kFPermission);
    if (tag == "qemu-dev:table-addrsize" && seen.event == EventType::kFWalkEabt) {
      return from_fault(EventType::kFAddrSize);
    }
  }
  return std::nullopt;
}

struct Tally {
  unsigned equal{};
  unsigned deviating{};
  std::map<EventType, unsigned> outcomes;
  std::map<std::string, unsigned> groups;
  std::map<std::string, unsigned> skipped;
};

void replay(const json& vector, Tally& tally) {
  Memory memory;
  Registers registers;
  for (const json& block : vector["mem"]) memory.write(hex(block[0]), block[1]);
  for (std::size_t i = 0; i < vector["steps"].size(); ++i) {
    const json& step = vector["steps"][i];
    if (step["op"] == "mw") memory.write(hex(step["a"]), step["q"]);
    if (step["op"] == "rw") {
      registers.write(hex(step["off"]), hex(step["v"]), step["size"].get<unsigned>());
    }
    if (step["op"] != "dma") continue;
    SCOPED_TRACE(vector["name"].get<std::string>() + " step " + std::to_string(i) + " " +
                 step.dump());
    const json& observed = step.contains("fresh") ? step["fresh"] : step["obs"];
    if (auto reason = missing_feature(vector, step, observed, registers, memory)) {
      ++tally.skipped[*reason];
      continue;
    }
    Outcome expected = recorded(observed, step);
    Outcome actual = translate(registers, memory, step);
    if (!registers.event_queue_enabled()) actual.event = EventType::kNone;
    if (const auto architecture = deviation(vector, expected)) {
      expected = *architecture;
      ++tally.deviating;
    } else {
      ++tally.equal;
    }
    EXPECT_EQ(actual, expected);
    ++tally.outcomes[actual.event];
    ++tally.groups[vector["group"]];
  }
}

TEST(Smmuv3VectorsTest, TranslatesAsTheRecordedImplementationDoesAfterFullInvalidation) {
  const json file = tests::read_vectors("smmuv3/vectors.json.gz");
  Tally tally;
  for (const json& vector : file["vectors"]) replay(vector, tally);

  std::cout << tally.equal << " accesses equal, " << tally.deviating
            << " by the architecture instead\n";
  for (const auto& [group, count] : tally.groups)
    std::cout << "  " << group << ": " << count << "\n";
  for (const auto& [event, count] : tally.outcomes) {
    std::cout << "  " << name_of(event) << ": " << count << "\n";
  }
  for (const auto& [reason, count] : tally.skipped) {
    std::cout << "  skipped, " << reason << ": " << count << "\n";
  }
  EXPECT_GE(tally.equal, 2650U);
  EXPECT_GE(tally.deviating, 6U);
}

}  // namespace
}  // namespace shootdown::hw
