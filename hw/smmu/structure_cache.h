// A set-associative cache of configuration structures as they were read, first in first out.
// Plain C++.
#ifndef SHOOTDOWN_HW_SMMU_STRUCTURE_CACHE_H
#define SHOOTDOWN_HW_SMMU_STRUCTURE_CACHE_H

#include <cstddef>
#include <cstdint>
#include <vector>

#include "hw/arch/check.h"
#include "hw/smmu/config_cache_config.h"

namespace shootdown::hw {

template <class Value>
class StructureCache {
 public:
  explicit StructureCache(const CacheGeometry& geometry)
      : ways_(geometry.ways == 0 ? geometry.entries : geometry.ways) {
    if (geometry.entries == 0) return;
    SHOOTDOWN_CHECK(ways_ <= geometry.entries && geometry.entries % ways_ == 0,
                    "ways of a configuration cache must divide its entries");
    sets_ = geometry.entries / ways_;
    entries_.resize(geometry.entries);
    next_.resize(sets_);
  }

  const Value* find(std::uint64_t key) const {
    if (sets_ == 0) return nullptr;
    const std::size_t first = key % sets_ * ways_;
    for (std::size_t i = first; i < first + ways_; ++i) {
      if (entries_[i].valid && entries_[i].key == key) return &entries_[i].value;
    }
    return nullptr;
  }
  /// Returns whether another entry had to go.
  bool fill(std::uint64_t key, const Value& value) {
    if (sets_ == 0) return false;
    const std::size_t set = key % sets_;
    const std::size_t first = set * ways_;
    Entry* place = nullptr;
    for (std::size_t i = first; i < first + ways_; ++i) {
      Entry& entry = entries_[i];
      if (entry.valid && entry.key == key) {
        entry.value = value;
        return false;
      }
      if (!entry.valid && place == nullptr) place = &entry;
    }
    const bool evicts = place == nullptr;
    if (evicts) {
      place = &entries_[first + next_[set]];
      next_[set] = (next_[set] + 1) % ways_;
    }
    *place = {true, key, value};
    return evicts;
  }
  template <class Predicate>
  void erase_if(Predicate&& covers) {
    for (Entry& entry : entries_) {
      if (entry.valid && covers(entry.key)) entry.valid = false;
    }
  }
  void clear() {
    for (Entry& entry : entries_) entry.valid = false;
    for (unsigned& way : next_) way = 0;
  }
  bool enabled() const { return sets_ != 0; }

 private:
  struct Entry {
    bool valid{};
    std::uint64_t key{};
    Value value{};
  };
  unsigned ways_;
  std::size_t sets_{};
  std::vector<Entry> entries_;
  std::vector<unsigned> next_;  // by set: the way to replace
};

}  // namespace shootdown::hw

#endif
