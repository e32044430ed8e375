#include "conform/reference/outcome_search.h"

#include <array>

namespace shootdown::conform::reference {
namespace {

/// Memory as it is.
class CurrentMemory : public Memory {
 public:
  explicit CurrentMemory(const VersionedMemory& memory) : memory_(memory) {}
  bool read(const Fetch& fetch, std::uint64_t* words) override {
    if (!memory_.contains(fetch.address, 8 * fetch.words)) return false;
    for (unsigned i = 0; i < fetch.words; ++i) words[i] = memory_.read(fetch.address + 8 * i);
    return true;
  }
  bool compare_exchange(const Fetch&, std::uint64_t, std::uint64_t) override { return true; }

 private:
  const VersionedMemory& memory_;
};

/// The answers of a configuration that ends before there is anything to walk with.
class ConfigurationOnly : public Memory {
 public:
  explicit ConfigurationOnly(const ConfigurationChain& chain) : chain_(chain) {}
  bool read(const Fetch& fetch, std::uint64_t* words) override {
    if (next_ == chain_.answers.size()) return false;
    const ConfigurationChain::Answer& answer = chain_.answers[next_++];
    std::copy_n(answer.words.begin(), fetch.words, words);
    return answer.present;
  }
  bool compare_exchange(const Fetch&, std::uint64_t, std::uint64_t) override { return true; }

 private:
  const ConfigurationChain& chain_;
  std::size_t next_{0};
};

}  // namespace

TranslationTag OutcomeSearch::tag(const ConfigurationChain& chain) const {
  return translation_tag(history_.id, history_.registers.now(), *chain.ste, chain.cd, chain.stage1);
}

/// The stream table may be an older one, from which an STE is still cached.
Registers OutcomeSearch::registers_for(const ConfigurationChain& lookup) const {
  Registers registers = history_.registers.now();
  registers.strtab_base = lookup.stream_table.base;
  registers.strtab_base_cfg = lookup.stream_table.config;
  return registers;
}

/// The configurations that the transaction may find now.
std::vector<ConfigurationChain> OutcomeSearch::lookups() {
  std::vector<ConfigurationChain> found;
  const StreamName stream{transaction_.stream_id, transaction_.substream_id};
  for (const ConfigurationChain& chain : configurations_.of(stream))
    if (chain.usable.contains(history_.now)) found.push_back(chain);
  return found;
}

/// False: all that can have been cached under it is gone, since it was itself.
bool OutcomeSearch::may_have_left_something(const Entry& entry) {
  const auto& [chain, entry_tag] = entry;
  if (chain->usable.contains(history_.now)) return true;
  Cached table;
  table.kind = Cached::Kind::kStage1;
  table.world = entry_tag.world;
  table.vmid = entry_tag.vmid;
  table.asid = entry_tag.asid;
  table.base = transaction_.address;
  for (const auto& [known, time] : gone_before_)
    if (known.first.world == table.world && known.first.vmid == table.vmid &&
        known.first.asid == table.asid && known.second == entry_tag.stage2)
      return chain->usable.last >= time;
  Cached leaf = table;
  leaf.leaf = true;
  Cached global = leaf;
  global.global = true;
  Cached stage2 = table;
  stage2.kind = Cached::Kind::kStage2;
  const Time time =
      entry_tag.stage2
          ? history_.invalidations.all_gone_before(
                std::array<Cached, 4>{table, leaf, global, stage2})
          : history_.invalidations.all_gone_before(std::array<Cached, 3>{table, leaf, global});
  gone_before_.push_back({{table, entry_tag.stage2}, time});
  return chain->usable.last >= time;
}

void OutcomeSearch::collect_entries() {
  for (const StreamName& stream : streams_) {
    for (const ConfigurationChain& chain : configurations_.of(stream)) {
      if (!chain.complete) continue;
      const Entry entry{&chain, tag(chain)};
      if (may_have_left_something(entry)) entries_.push_back(entry);
    }
  }
}

/// An ASID with both values of ASET: table pointers made with one serve translations of the other.
bool OutcomeSearch::both_asets(const TranslationTag& of_asid) const {
  return std::any_of(entries_.begin(), entries_.end(), [&](const Entry& entry) {
    const TranslationTag& other = entry.second;
    return other.stage1 && other.world == of_asid.world && other.vmid == of_asid.vmid &&
           other.asid == of_asid.asid && other.aset != of_asid.aset;
  });
}

std::optional<WalkSource> OutcomeSearch::source_from(const Entry& entry,
                                                     const ConfigurationChain& lookup,
                                                     const TranslationTag& lookup_tag,
                                                     EntryHolds holds) const {
  const auto& [chain, entry_tag] = entry;
  if (entry_tag.world != lookup_tag.world || entry_tag.vmid != lookup_tag.vmid) return std::nullopt;
  WalkSource source;
  source.stage1 = lookup_tag.stage1;
  source.ste = ste_with_entry(*lookup.ste, *chain->ste, lookup_tag.stage1, holds);
  if (!lookup_tag.stage1) {
    // IPA to PA, which a stream with both stages caches as well.
    if (!entry_tag.stage2) return std::nullopt;
    source.stage2 = true;
  } else {
    if (!entry_tag.stage1) return std::nullopt;
    const bool same_asid = entry_tag.asid == lookup_tag.asid;
    const bool same_aset = entry_tag.aset == lookup_tag.aset;
    if (!same_asid && !same_aset && !both_asets(entry_tag)) return std::nullopt;
    source.stage2 = entry_tag.stage2;
    source.cd = cd_with_entry(lookup.cd, chain->cd, holds);
    source.global_only = !same_asid;
    source.no_global = same_asid && !same_aset;
  }
  source.usable = {chain->usable};
  return source;
}

std::vector<Interval> OutcomeSearch::stage2_usable(const WalkSource& source,
                                                   std::uint16_t vmid) const {
  std::vector<Interval> usable = source.usable;
  for (const auto& [chain, entry_tag] : entries_)
    if (entry_tag.stage2 && entry_tag.vmid == vmid && same_stage2_tables(source.ste, *chain->ste))
      usable.push_back(chain->usable);
  normalize(usable);
  std::reverse(usable.begin(), usable.end());
  return usable;
}

Time OutcomeSearch::tables_gone_before(const WalkSource& source) const {
  const TranslationTag of_entry =
      translation_tag(history_.id, history_.registers.now(), source.ste, source.cd, source.stage1);
  Cached table;
  table.kind = source.stage1 ? Cached::Kind::kStage1 : Cached::Kind::kStage2;
  table.world = of_entry.world;
  table.vmid = of_entry.vmid;
  table.asid = of_entry.asid;
  table.base = source.stage1 ? canonical_address(transaction_.address) : transaction_.address;
  table.granule_shift = source.stage1 ? stage1_granule_shift(source.cd, transaction_.address)
                                      : stage2_granule_shift(source.ste);
  Cached leaf = table;
  leaf.leaf = true;
  Cached global = leaf;
  global.global = source.stage1;
  return history_.invalidations.all_gone_before(std::array<Cached, 3>{table, leaf, global});
}

std::vector<WalkSource> OutcomeSearch::sources_for(const ConfigurationChain& lookup) const {
  const TranslationTag lookup_tag = tag(lookup);
  WalkSource own;
  own.ste = *lookup.ste;
  own.cd = lookup.cd;
  own.stage1 = lookup_tag.stage1;
  own.stage2 = lookup_tag.stage2;
  own.own = true;
  own.usable = {lookup.usable};
  std::vector<WalkSource> sources{own};
  const auto add_source = [&](const Entry& entry, EntryHolds holds) {
    auto source = source_from(entry, lookup, lookup_tag, holds);
    if (!source) return;
    const auto same = std::find_if(sources.begin(), sources.end(), [&](const WalkSource& other) {
      return other.ste == source->ste && other.cd == source->cd &&
             other.global_only == source->global_only && other.no_global == source->no_global;
    });
    if (same == sources.end())
      sources.push_back(std::move(*source));
    else
      same->usable.push_back(source->usable[0]);
  };
  for (const Entry& entry : entries_) {
    add_source(entry, EntryHolds::kAllFields);
    add_source(entry, EntryHolds::kTablesOnly);
  }
  for (WalkSource& source : sources) {
    normalize(source.usable);
    std::reverse(source.usable.begin(), source.usable.end());
    if (source.stage2) source.stage2_usable = stage2_usable(source, lookup_tag.vmid);
    source.not_before = tables_gone_before(source);
  }
  return sources;
}

bool OutcomeSearch::walk(const ConfigurationChain& lookup, const WalkSource& source) {
  constexpr std::uint64_t kLastConfigurationFault = 0x0A;  // C_BAD_CD
  bool legal = true;
  const Registers registers = registers_for(lookup);
  for (const Interval& begin : source.usable) {
    Choices choices;
    do {
      budget_.spend();
      CachedWalk memory(history_, lookup, source, begin, false, choices);
      const Outcome outcome = translate(history_.id, registers, transaction_, memory);
      auto fault = outcome.event;
      const bool unrecorded = !fault && outcome.kind != Outcome::Kind::kTranslated;
      if (unrecorded && memory.has_read_descriptors()) {
        choices.replay();
        CachedWalk recorded(history_, lookup, source, begin, true, choices);
        fault = translate(history_.id, registers, transaction_, recorded).event;
      }
      if (!memory.permits(outcome, fault)) continue;
      add(outcome);
      if (fault && ((*fault)[0] & 0xFF) <= kLastConfigurationFault) legal = false;
    } while (choices.next());
  }
  return legal;
}

std::vector<Outcome> OutcomeSearch::run() {
  CurrentMemory current(history_.memory);
  add(translate(history_.id, history_.registers.now(), transaction_, current));
  if (!history_.registers.enabled()) return std::move(found_);

  collect_entries();
  for (const ConfigurationChain& lookup : lookups()) {
    if (!lookup.complete) {
      ConfigurationOnly memory(lookup);
      add(translate(history_.id, registers_for(lookup), transaction_, memory));
      continue;
    }
    for (const WalkSource& source : sources_for(lookup))
      if (!walk(lookup, source) && source.own) break;
  }
  return std::move(found_);
}

}  // namespace shootdown::conform::reference
