#include "conform/reference/configuration_history.h"

#include <algorithm>

#include "conform/reference/choices.h"
#include "conform/reference/configuration_words.h"
#include "conform/reference/descriptor_choices.h"
#include "conform/reference/search_budget.h"

namespace shootdown::conform::reference {
namespace {

constexpr unsigned kLineShift = 6;

struct StructureChoice {
  StructureWords words{};
  Cached what;
  Interval times;
  Interval usable;
};

/// Answers the reads up to the CD and then refuses.
class ConfigurationReader : public Memory {
 public:
  ConfigurationReader(const History& history, const StreamTableVersion& stream_table,
                      Time not_before, Choices& choices)
      : history_(history), not_before_(not_before), choices_(choices) {
    chain_.stream_table = stream_table;
    prefix_ = CachedPrefix(history.registers.enabled_part(stream_table.current));
  }

  bool read(const Fetch& fetch, std::uint64_t* words) override;
  bool compare_exchange(const Fetch& fetch, std::uint64_t expected, std::uint64_t desired) override;

  /// No value: there are no such times.
  std::optional<ConfigurationChain> chain() &&;
  const std::vector<std::uint64_t>& addresses() const { return addresses_; }
  bool read_stage2() const { return read_stage2_; }

 private:
  bool refuse() {
    impossible_ = true;
    return false;
  }
  bool read_structure(const Fetch& fetch, std::uint64_t* words);
  bool read_stage2(const Fetch& fetch, std::uint64_t* word);
  bool fail_fetch();
  void answer(const StructureWords& words) { chain_.answers.push_back({true, words}); }
  std::vector<StructureVersion> versions(const Fetch& fetch) const;
  Cached cached_as(const Fetch& fetch) const;

  const History& history_;
  Time not_before_;
  Choices& choices_;
  ConfigurationChain chain_;
  CachedPrefix prefix_;
  std::optional<CachedPrefix> stage2_;
  int stage2_level_{};
  std::vector<std::uint64_t> addresses_;
  bool read_stage2_{false};
  bool impossible_{false};
};

bool ConfigurationReader::read(const Fetch& fetch, std::uint64_t* words) {
  if (impossible_ || chain_.complete) return false;
  if (prefix_.usable().empty()) return refuse();
  const bool walk = fetch.kind == Fetch::Kind::kStage1 ||
                    (fetch.kind == Fetch::Kind::kStage2 && fetch.what_for != Fetch::For::kCd);
  if (walk) {
    chain_.complete = true;
    return false;
  }
  addresses_.push_back(fetch.address);
  return fetch.kind == Fetch::Kind::kStage2 ? read_stage2(fetch, words)
                                            : read_structure(fetch, words);
}

bool ConfigurationReader::compare_exchange(const Fetch& fetch, std::uint64_t expected,
                                           std::uint64_t /*desired*/) {
  if (history_.memory.read(fetch.address) == expected) return true;
  return refuse();  // the walk that sees the descriptor as it is is another one of the search
}

/// A fetch that fails is never cached (section 3.21.1): it must be possible now.
bool ConfigurationReader::fail_fetch() {
  chain_.answers.push_back({});
  if (stage2_) prefix_ = CachedPrefix(intersection(prefix_.usable(), stage2_->usable()));
  stage2_.reset();
  return false;
}

std::vector<StructureVersion> ConfigurationReader::versions(const Fetch& fetch) const {
  const Time floor = std::max(not_before_, prefix_.usable().first);
  if (fetch.words == kStructureWords)
    return history_.memory.structure_versions(fetch.address, floor);
  std::vector<StructureVersion> found;
  const auto words = history_.memory.versions(fetch.address);
  for (auto word = words.rbegin(); word != words.rend(); ++word)
    found.push_back({{word->value}, word->current});
  return found;
}

Cached ConfigurationReader::cached_as(const Fetch& fetch) const {
  Cached what;
  what.stream_id = fetch.stream_id;
  what.substream_id = fetch.substream_id;
  switch (fetch.kind) {
    case Fetch::Kind::kL1std:
      what.kind = Cached::Kind::kL1std;
      what.block_shift = (chain_.stream_table.config >> 6) & 31;  // STRTAB_BASE_CFG.SPLIT
      break;
    case Fetch::Kind::kSte:
      what.kind = Cached::Kind::kSte;
      break;
    case Fetch::Kind::kL1cd:
      what.kind = Cached::Kind::kL1cd;
      what.block_shift = l1cd_shift(*chain_.ste);
      break;
    default:
      what.kind = Cached::Kind::kCd;
  }
  return what;
}

bool ConfigurationReader::read_structure(const Fetch& fetch, std::uint64_t* words) {
  if (!history_.memory.contains(fetch.address, 8 * fetch.words)) return fail_fetch();
  CachedPrefix before = prefix_;
  if (stage2_) {
    // The address of a CD is not cached with the STE, which a TLBI does not drop.
    before = CachedPrefix(
        history_.registers.enabled_part(intersection(prefix_.usable(), stage2_->usable())));
    stage2_.reset();
    if (before.usable().empty()) return refuse();
  }
  std::vector<StructureChoice> choices;
  for (const StructureVersion& version : versions(fetch)) {
    StructureChoice choice{
        version.words, cached_as(fetch), before.read_times(history_, version.current), {}};
    if (choice.times.empty() || choice.times.last < not_before_) continue;
    choice.usable = prefix_.usable_after(history_, choice.what, choice.times);
    choices.push_back(choice);
  }
  if (choices.empty()) return refuse();
  const StructureChoice& chosen = choices[choices_.pick(choices.size())];
  prefix_.advance(chosen.what, chosen.times, chosen.usable);
  answer(chosen.words);
  std::copy_n(chosen.words.begin(), fetch.words, words);
  if (fetch.kind == Fetch::Kind::kL1std) chain_.l1std = chain_.answers.back();
  if (fetch.kind == Fetch::Kind::kSte) {
    chain_.ste = chosen.words;
    chain_.ste_usable = chosen.usable;
  }
  if (fetch.kind == Fetch::Kind::kCd) {
    chain_.stage1 = true;
    chain_.complete = true;
    chain_.cd = chosen.words;
  }
  return true;
}

bool ConfigurationReader::read_stage2(const Fetch& fetch, std::uint64_t* word) {
  read_stage2_ = true;
  // What stage 2 gives may be cached since before this STE, by another stream of the same VMID.
  if (!stage2_ || fetch.level <= stage2_level_)
    stage2_ = CachedPrefix(history_.registers.enabled_part({0, prefix_.usable().last}));
  stage2_level_ = fetch.level;
  if (!history_.memory.contains(fetch.address, 8)) return fail_fetch();
  std::vector<DescriptorChoice> choices;
  find_descriptor_choices(history_, fetch, *stage2_, {}, choices);
  if (choices.empty()) return refuse();
  const DescriptorChoice& chosen = choices[choices_.pick(choices.size())];
  stage2_->advance(chosen.what, chosen.times, chosen.usable);
  answer({chosen.value});
  *word = chosen.value;
  return true;
}

std::optional<ConfigurationChain> ConfigurationReader::chain() && {
  if (impossible_) return std::nullopt;
  chain_.usable = prefix_.usable();
  // A stage 2 fault on the way to a CD.
  if (stage2_) chain_.usable = intersection(chain_.usable, stage2_->usable());
  if (chain_.usable.empty()) return std::nullopt;
  return std::move(chain_);
}

bool same_result(const ConfigurationChain& a, const ConfigurationChain& b) {
  return a.complete && b.complete && a.stage1 == b.stage1 && a.ste == b.ste && a.cd == b.cd;
}

/// The same configuration, found in several ways: once for every time when there was one.
void join_same(std::vector<ConfigurationChain>& chains) {
  std::vector<ConfigurationChain> joined;
  for (ConfigurationChain& chain : chains) {
    const auto same =
        std::find_if(joined.begin(), joined.end(), [&](const ConfigurationChain& other) {
          return same_result(chain, other) && !intersection(chain.usable, other.usable).empty() &&
                 !intersection(chain.ste_usable, other.ste_usable).empty();
        });
    if (same == joined.end()) {
      joined.push_back(std::move(chain));
      continue;
    }
    same->usable = hull(same->usable, chain.usable);
    same->ste_usable = hull(same->ste_usable, chain.ste_usable);
  }
  chains = std::move(joined);
}

/// An STE and a CD are cached each by itself, so that a new STE may meet the CD of the one before.
void add_mixtures(std::vector<ConfigurationChain>& chains) {
  constexpr std::uint64_t kConfigStage1 = 0b1010;  // STE.Config of 1x1
  const std::size_t own = chains.size();
  for (std::size_t i = 0; i < own; ++i) {
    if (!chains[i].ste || ((*chains[i].ste)[0] & kConfigStage1) != kConfigStage1) continue;
    if (chains[i].complete && !chains[i].stage1) continue;  // S1DSS bypasses stage 1
    for (std::size_t j = 0; j < own; ++j) {
      if (!chains[j].stage1 || chains[i].ste == chains[j].ste) continue;
      const Interval usable = intersection(chains[i].ste_usable, chains[j].usable);
      if (usable.empty()) continue;
      ConfigurationChain mixed = chains[i];
      mixed.complete = mixed.stage1 = true;
      mixed.cd = chains[j].cd;
      mixed.usable = usable;
      const auto same =
          std::find_if(chains.begin(), chains.end(), [&](const ConfigurationChain& other) {
            return same_result(mixed, other) && intersection(other.usable, usable) == usable;
          });
      if (same == chains.end()) chains.push_back(std::move(mixed));
    }
  }
}

}  // namespace

const std::vector<ConfigurationChain>& ConfigurationHistory::of(const StreamName& stream) {
  const auto known = known_.find(stream);
  if (known != known_.end()) return known->second;
  return known_.emplace(stream, find(stream)).first->second;
}

void ConfigurationHistory::memory_changed(std::uint64_t address) {
  if (lines_.contains(address >> kLineShift)) changed();
}

std::vector<ConfigurationChain> ConfigurationHistory::find(const StreamName& stream) {
  std::vector<ConfigurationChain> chains = read(stream);
  join_same(chains);
  add_mixtures(chains);
  return chains;
}

std::vector<ConfigurationChain> ConfigurationHistory::read(const StreamName& stream) {
  std::vector<ConfigurationChain> chains;
  const Time not_before = history_.invalidations.everything_gone_before(history_.id);
  SearchBudget budget;
  for (const StreamTableVersion& table : history_.registers.stream_tables()) {
    if (history_.registers.enabled_part(table.current).empty()) continue;
    Registers registers = history_.registers.now();
    registers.strtab_base = table.base;
    registers.strtab_base_cfg = table.config;
    const Transaction transaction{.stream_id = stream.stream_id,
                                  .substream_id = stream.substream_id};
    Choices choices;
    do {
      budget.spend();
      ConfigurationReader reader(history_, table, not_before, choices);
      translate(history_.id, registers, transaction, reader);
      for (const std::uint64_t address : reader.addresses()) {
        lines_.insert(address >> kLineShift);
      }
      depends_on_translation_ = depends_on_translation_ || reader.read_stage2();
      if (auto chain = std::move(reader).chain()) chains.push_back(std::move(*chain));
    } while (choices.next());
  }
  return chains;
}

}  // namespace shootdown::conform::reference
