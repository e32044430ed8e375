#include "conform/reference/cached_walk.h"

#include <algorithm>

#include "conform/reference/configuration_words.h"

namespace shootdown::conform::reference {
namespace {

constexpr std::uint64_t kFWalkEabt = 0x0B;
constexpr std::uint64_t kFTranslation = 0x10;
constexpr std::uint64_t kFAddrSize = 0x11;
constexpr std::uint64_t kFAccess = 0x12;

/// Maps the page of a CD somewhere, whatever the geometry: a page with all rights, normal memory,
/// reached through tables at 0.
constexpr std::uint64_t kAnyTable = 0x3;
constexpr std::uint64_t kAnyPage = 0x7FF;
constexpr std::uint64_t kAnyL1cd = 0x1;
constexpr int kLastLevel = 3;

}  // namespace

CachedWalk::CachedWalk(const History& history, const ConfigurationChain& lookup,
                       const WalkSource& source, const Interval& begin, bool record_all,
                       Choices& choices)
    : history_(history),
      lookup_(lookup),
      source_(source),
      begin_(begin),
      ste_(record_all ? recording_ste(source.ste) : source.ste),
      cd_(record_all ? recording_cd(source.cd) : source.cd),
      choices_(choices),
      stage1_(begin) {}

void CachedWalk::begin_again() {
  stage1_ = CachedPrefix(begin_);
  stage1_reads_ = 0;
  stage2_.reset();
  stage1_leaf_.reset();
  reads_ = 0;
}

bool CachedWalk::read(const Fetch& fetch, std::uint64_t* words) {
  if (impossible_) return false;
  switch (fetch.kind) {
    case Fetch::Kind::kStage1:
      return read_descriptor(fetch, words);
    case Fetch::Kind::kStage2:
      if (fetch.what_for != Fetch::For::kCd) return read_descriptor(fetch, words);
      [[fallthrough]];  // the CD is given already, wherever it is
    default:
      read_structure(fetch, words);
      return true;
  }
}

void CachedWalk::read_structure(const Fetch& fetch, std::uint64_t* words) const {
  switch (fetch.kind) {
    case Fetch::Kind::kL1std:
      *words = lookup_.l1std.words[0];
      return;
    case Fetch::Kind::kSte:
      std::copy(ste_.begin(), ste_.end(), words);
      return;
    case Fetch::Kind::kL1cd:
      *words = kAnyL1cd;
      return;
    case Fetch::Kind::kCd:
      std::copy(cd_.begin(), cd_.end(), words);
      return;
    default:
      *words = fetch.level == kLastLevel ? kAnyPage : kAnyTable;
  }
}

bool CachedWalk::compare_exchange(const Fetch& fetch, std::uint64_t expected,
                                  std::uint64_t /*desired*/) {
  if (fetch.kind == Fetch::Kind::kStage2 && fetch.what_for == Fetch::For::kCd) return true;
  if (impossible_ || history_.memory.read(fetch.address) == expected) return true;
  // Section 3.13: what is cached is old, so memory has to be read again before the update.
  if (!must_be_current_.insert(fetch.address).second) refuse();
  begin_again();
  return false;
}

/// Several streams may have made what is cached of a stage 2.
bool CachedWalk::begin_stage2(const Fetch& fetch) {
  finish_stage2();
  if (source_.stage1) {
    if (source_.stage2_usable.empty()) return refuse();
    stage2_ = CachedPrefix(source_.stage2_usable[choices_.pick(source_.stage2_usable.size())]);
  } else {
    stage2_ = CachedPrefix(begin_);
  }
  stage2_for_ = fetch.what_for;
  stage2_reads_ = 0;
  return true;
}

/// Joins the result of a finished stage 2 walk to the walk of stage 1. Together they may be cached
/// as the one that they are a part of, which TLBI_S2_IPA need not remove (section 4.4.4.2).
void CachedWalk::finish_stage2() {
  if (!stage2_) return;
  if (source_.stage1) stage1_.combine(history_, *stage2_, stage1_as_);
  stage2_.reset();
}

bool CachedWalk::read_descriptor(const Fetch& fetch, std::uint64_t* word) {
  const bool stage2 = fetch.kind == Fetch::Kind::kStage2;
  const bool continues = stage2_ && last_.kind == Fetch::Kind::kStage2 && fetch.level > last_.level;
  if (reads_ == 0) stage1_as_ = cached_above(fetch);
  if (stage2 && !continues && !begin_stage2(fetch)) return false;
  if (!stage2) finish_stage2();
  if (stage1_.usable().last < source_.not_before && source_.stage1) return refuse();
  CachedPrefix& prefix = stage2 ? *stage2_ : stage1_;
  ++reads_;
  ++(stage2 ? stage2_reads_ : stage1_reads_);
  last_ = fetch;
  if (!history_.memory.contains(fetch.address, 8)) {
    last_now_ = prefix.usable().contains(history_.now);
    return false;
  }

  DescriptorLimits limits{
      .only_now = must_be_current_.contains(fetch.address),
      .leaf_ends = stage2 ? !source_.stage1 : !source_.stage2,
      .needed = {source_.not_before, kForever},
  };
  if (stage2 && source_.stage1) {
    // Its result has to meet the walk of stage 1, which may go on later.
    const bool last_step = fetch.what_for == Fetch::For::kInput;
    limits.needed = last_step ? intersection(limits.needed, stage1_.usable()) : stage1_.usable();
  }
  find_descriptor_choices(history_, fetch, prefix, limits, found_);
  if (found_.empty()) return refuse();
  const DescriptorChoice& chosen = found_[choices_.pick(found_.size())];
  prefix.advance(chosen.what, chosen.times, chosen.usable);
  last_now_ = chosen.now;
  if (!stage2) {
    stage1_as_ = chosen.what;
    if (chosen.what.leaf) stage1_leaf_ = chosen;
  }
  *word = chosen.value;
  return true;
}

/// Section 3.17.4: invalid descriptors and those that give Address Size or Access Flag faults are
/// never cached, so the descriptor at fault must be read now, after what is cached of the walk.
bool CachedWalk::permits_fault(bool in_stage2, bool abort) const {
  const bool last_is_stage2 = last_.kind == Fetch::Kind::kStage2;
  const bool read_now = abort || last_is_stage2 == in_stage2;
  if (read_now && !last_now_) return false;
  // A fault without a read: an IPA beyond stage 2. What gave that IPA may be cached.
  if (!read_now && !stage1_.usable().contains(history_.now)) return false;
  const bool walk_goes_on = source_.stage1 ? last_is_stage2 : false;
  if (walk_goes_on && !stage1_.usable().contains(history_.now)) return false;
  if (source_.own) return true;
  // Only what is cached leads into a walk that the stream's own configuration does not begin.
  if (source_.stage1) return stage1_reads_ > (read_now && !last_is_stage2 ? 1 : 0);
  return stage2_reads_ > 1;
}

bool CachedWalk::permits_result() const {
  if (!stage2_) return last_now_ || stage1_.usable().contains(history_.now);
  if (!source_.stage1) return stage2_->usable().contains(history_.now);
  if (stage2_for_ != Fetch::For::kInput)  // no permission for a table
    return stage1_.usable().contains(history_.now) && stage2_->usable().contains(history_.now);
  CachedPrefix whole = stage1_;
  whole.combine(history_, *stage2_, stage1_as_);
  return whole.usable().contains(history_.now);
}

bool CachedWalk::permits(const Outcome& outcome,
                         const std::optional<std::array<std::uint64_t, 4>>& fault) const {
  if (impossible_) return false;
  if (reads_ == 0) return source_.own;
  const bool finished = outcome.kind == Outcome::Kind::kTranslated;
  if (!finished && !fault) return false;
  const std::uint64_t type = finished ? 0 : (*fault)[0] & 0xFF;
  const bool in_stage2 = !finished && ((*fault)[1] >> 39 & 1) != 0;
  const bool uncached =
      type == kFWalkEabt || type == kFTranslation || type == kFAddrSize || type == kFAccess;
  if (source_.global_only) {
    // No table pointer of another ASID is used, only whole global translations.
    if (!stage1_leaf_ || !stage1_leaf_->what.global) return false;
    if (uncached && !in_stage2 && last_.kind == Fetch::Kind::kStage1) return false;
  }
  if (source_.no_global && stage1_leaf_ && stage1_leaf_->what.global) {
    // Not the global translation of another ASET. But its table pointers are not global, so that
    // the stream may have used them to make a translation of its own ASET.
    if (stage1_reads_ < 2) return false;
  }
  return uncached ? permits_fault(in_stage2, type == kFWalkEabt) : permits_result();
}

}  // namespace shootdown::conform::reference
