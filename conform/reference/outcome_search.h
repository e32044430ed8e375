// The outcomes of one transaction: every configuration it may find, every configuration under which
// a TLB may have been filled with what it then hits, every value a descriptor may be cached with.
//
// Source: Arm IHI 0070, sections 3.17, 3.21 and 16.2.
#ifndef SHOOTDOWN_CONFORM_REFERENCE_OUTCOME_SEARCH_H
#define SHOOTDOWN_CONFORM_REFERENCE_OUTCOME_SEARCH_H

#include <algorithm>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "conform/reference/cached_walk.h"
#include "conform/reference/configuration_history.h"
#include "conform/reference/configuration_words.h"
#include "conform/reference/search_budget.h"

namespace shootdown::conform::reference {

/// All outcomes of one transaction, what memory gives as it is first.
class OutcomeSearch {
 public:
  /// `streams` may have filled a TLB.
  OutcomeSearch(const History& history, ConfigurationHistory& configurations,
                const std::set<StreamName>& streams, const Transaction& transaction)
      : history_(history),
        configurations_(configurations),
        streams_(streams),
        transaction_(transaction) {}

  std::vector<Outcome> run();

 private:
  using Entry = std::pair<const ConfigurationChain*, TranslationTag>;

  void add(const Outcome& outcome) {
    if (std::find(found_.begin(), found_.end(), outcome) == found_.end()) found_.push_back(outcome);
  }
  TranslationTag tag(const ConfigurationChain& chain) const;
  Registers registers_for(const ConfigurationChain& lookup) const;
  std::vector<ConfigurationChain> lookups();
  void collect_entries();
  bool may_have_left_something(const Entry& entry);
  Time tables_gone_before(const WalkSource& source) const;
  std::vector<WalkSource> sources_for(const ConfigurationChain& lookup) const;
  std::optional<WalkSource> source_from(const Entry& entry, const ConfigurationChain& lookup,
                                        const TranslationTag& lookup_tag, EntryHolds holds) const;
  bool both_asets(const TranslationTag& of_asid) const;
  std::vector<Interval> stage2_usable(const WalkSource& source, std::uint16_t vmid) const;
  /// False: the configuration is illegal, so that nothing is looked up in a TLB.
  bool walk(const ConfigurationChain& lookup, const WalkSource& source);

  const History& history_;
  ConfigurationHistory& configurations_;
  const std::set<StreamName>& streams_;
  const Transaction& transaction_;
  std::vector<Outcome> found_;
  std::vector<Entry> entries_;  ///< configurations under which a TLB may have been filled
  std::vector<std::pair<std::pair<Cached, bool>, Time>> gone_before_;
  SearchBudget budget_;
};

}  // namespace shootdown::conform::reference

#endif
