#include "conform/reference/descriptor_choices.h"

#include <algorithm>
#include <array>

namespace shootdown::conform::reference {
namespace {

constexpr std::uint64_t kValid = 1;
constexpr std::uint64_t kTableOrPage = 2;
constexpr std::uint64_t kNotGlobal = std::uint64_t{1} << 11;
constexpr std::uint64_t kContiguous = std::uint64_t{1} << 52;
constexpr int kLastLevel = 3;
constexpr std::size_t kManyVersions = 8;

constexpr std::uint64_t low_mask(unsigned count) {
  return count >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << count) - 1;
}

/// Never cached, so it has to be in memory. Reserved block descriptors give a translation fault
/// too, which the outcome then tells.
bool is_invalid(std::uint64_t value, int level) {
  return (value & kValid) == 0 || (level == kLastLevel && (value & kTableOrPage) == 0);
}

bool is_leaf(std::uint64_t value, int level) {
  return !is_invalid(value, level) && (level == kLastLevel || (value & kTableOrPage) == 0);
}

unsigned span_shift(const Fetch& fetch) {
  return fetch.granule_shift +
         static_cast<unsigned>(kLastLevel - fetch.level) * (fetch.granule_shift - 3);
}

Cached tagged(const Fetch& fetch) {
  Cached what;
  what.kind = fetch.kind == Fetch::Kind::kStage2 ? Cached::Kind::kStage2 : Cached::Kind::kStage1;
  what.world = fetch.world;
  what.vmid = fetch.vmid;
  what.asid = fetch.asid;
  what.base = what.kind == Cached::Kind::kStage1 ? canonical_address(fetch.input) : fetch.input;
  what.level = fetch.level;
  what.granule_shift = fetch.granule_shift;
  return what;
}

Cached cached_as(const Fetch& fetch, std::uint64_t value) {
  Cached what = tagged(fetch);
  what.leaf = is_leaf(value, fetch.level);
  // The plain EL2 world has no ASIDs, so all is global there.
  what.global = what.leaf && what.kind == Cached::Kind::kStage1 &&
                ((value & kNotGlobal) == 0 || fetch.world == Fetch::World::kEl2);
  what.span_shift = span_shift(fetch);
  what.base &= ~low_mask(what.span_shift);
  return what;
}

/// Nothing that was read before can matter: shortens the search in words with a long history.
Time not_before(const History& history, const Fetch& fetch) {
  if (fetch.what_for == Fetch::For::kCd) return 0;  // a CD outlives TLB invalidations
  std::array<Cached, 5> examples;
  std::size_t count = 0;
  if (fetch.kind == Fetch::Kind::kStage1 || fetch.has_stage1) {
    Cached stage1 = tagged(fetch);
    stage1.kind = Cached::Kind::kStage1;
    if (fetch.kind == Fetch::Kind::kStage2) stage1.granule_shift = 0;  // not known here
    stage1.base =
        canonical_address(fetch.kind == Fetch::Kind::kStage1 ? fetch.input : fetch.transaction_va);
    examples[count++] = stage1;  // a table
    stage1.leaf = true;
    examples[count++] = stage1;
    stage1.global = true;
    examples[count++] = stage1;
  }
  if (fetch.kind == Fetch::Kind::kStage2) {
    Cached stage2 = tagged(fetch);
    examples[count++] = stage2;
    stage2.leaf = true;
    examples[count++] = stage2;
  }
  return history.invalidations.all_gone_before({examples.data(), count});
}

/// log2 of how many descriptors the Contiguous bit joins; 0: not at this level.
unsigned contiguous_shift(const Fetch& fetch) {
  switch (fetch.granule_shift) {
    case 12:
      return fetch.level >= 1 ? 4 : 0;
    case 14:
      return fetch.level == 3 ? 7 : fetch.level == 2 ? 5 : 0;
    case 16:
      return fetch.level >= 2 ? 5 : 0;
    default:
      return 0;
  }
}

class Finder {
 public:
  Finder(const History& history, const Fetch& fetch, const CachedPrefix& prefix,
         const DescriptorLimits& limits, std::vector<DescriptorChoice>& choices)
      : history_(history), fetch_(fetch), prefix_(prefix), limits_(limits), choices_(choices) {}

  void own_versions();
  void contiguous_neighbours();

 private:
  bool is_now(const Interval& current, const Interval& times) const {
    return current.last == kForever && times.contains(history_.now);
  }
  void offer(const DescriptorChoice& choice);

  const History& history_;
  const Fetch& fetch_;
  const CachedPrefix& prefix_;
  const DescriptorLimits& limits_;
  std::vector<DescriptorChoice>& choices_;
};

void Finder::offer(const DescriptorChoice& choice) {
  if (intersection(choice.usable, limits_.needed).empty()) return;
  if (choice.what.leaf && limits_.leaf_ends) {
    if (!choice.now && !choice.usable.contains(history_.now)) return;
    for (const DescriptorChoice& other : choices_)
      if (other.value == choice.value) return;
  }
  choices_.push_back(choice);
}

void Finder::own_versions() {
  const auto versions = history_.memory.versions(fetch_.address);
  Time floor = prefix_.usable().first;
  if (versions.size() > kManyVersions) floor = std::max(floor, not_before(history_, fetch_));
  for (auto version = versions.rbegin(); version != versions.rend(); ++version) {
    if (version->current.last < floor) return;
    const bool current = version->current.last == kForever;
    if (!current && (limits_.only_now || is_invalid(version->value, fetch_.level))) continue;
    DescriptorChoice choice;
    choice.value = version->value;
    choice.times = prefix_.read_times(history_, version->current);
    if (choice.times.empty()) continue;
    choice.now = is_now(version->current, choice.times);
    choice.what = cached_as(fetch_, version->value);
    if (is_invalid(version->value, fetch_.level)) {
      if (!choice.now) continue;
      choice.usable = choice.times;
      choices_.push_back(choice);
      continue;
    }
    choice.usable = prefix_.usable_after(history_, choice.what, choice.times);
    offer(choice);
  }
}

/// A descriptor with the Contiguous bit may be cached for its whole group, and then serve ours.
/// That shows only if software has made the group inconsistent.
void Finder::contiguous_neighbours() {
  const unsigned group_shift = contiguous_shift(fetch_);
  if (limits_.only_now || group_shift == 0) return;
  if (!history_.memory.may_be_contiguous(fetch_.address)) return;
  const std::uint64_t group = fetch_.address & ~low_mask(group_shift + 3);
  const unsigned page_shift = span_shift(fetch_);
  const std::uint64_t index = (fetch_.address - group) >> 3;
  const std::uint64_t own = history_.memory.read(fetch_.address);
  for (std::uint64_t i = 0; i <= low_mask(group_shift); ++i) {
    if (i == index) continue;
    for (const WordVersion& version : history_.memory.versions(group + 8 * i)) {
      if (!is_leaf(version.value, fetch_.level) || (version.value & kContiguous) == 0) continue;
      DescriptorChoice choice;
      choice.value =
          (version.value & ~(low_mask(group_shift) << page_shift)) | (index << page_shift);
      if (choice.value == own) continue;
      choice.times = prefix_.read_times(history_, version.current);
      if (choice.times.empty()) continue;
      choice.what = cached_as(fetch_, version.value);
      choice.what.span_shift += group_shift;
      choice.what.base &= ~low_mask(choice.what.span_shift);
      choice.usable = prefix_.usable_after(history_, choice.what, choice.times);
      offer(choice);
    }
  }
}

}  // namespace

void find_descriptor_choices(const History& history, const Fetch& fetch, const CachedPrefix& prefix,
                             const DescriptorLimits& limits,
                             std::vector<DescriptorChoice>& choices) {
  choices.clear();
  Finder finder(history, fetch, prefix, limits, choices);
  finder.own_versions();
  finder.contiguous_neighbours();
}

std::uint64_t canonical_address(std::uint64_t va) {
  return ((va >> 55) & 1) != 0 ? va | ~low_mask(56) : va & low_mask(56);
}

Cached cached_above(const Fetch& fetch) {
  Cached what = tagged(fetch);
  what.kind = Cached::Kind::kStage1;
  what.base = 0;
  what.span_shift = 64;
  --what.level;
  return what;
}

}  // namespace shootdown::conform::reference
