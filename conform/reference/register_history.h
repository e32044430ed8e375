// What the SMMU's registers were, and when: the SMMUEN times (only then is anything cached), and
// the stream tables that STRTAB_BASE has pointed to.
#ifndef SHOOTDOWN_CONFORM_REFERENCE_REGISTER_HISTORY_H
#define SHOOTDOWN_CONFORM_REFERENCE_REGISTER_HISTORY_H

#include <vector>

#include "conform/reference/reference_smmu.h"
#include "conform/reference/time_interval.h"

namespace shootdown::conform::reference {

struct StreamTableVersion {
  std::uint64_t base{};
  std::uint32_t config{};
  Interval current;
};

class RegisterHistory {
 public:
  void set(const Registers& registers, Time now);

  const Registers& now() const { return now_; }
  bool enabled() const { return (now_.cr0 & 1) != 0; }
  /// The same interval without ends during which SMMUEN was 0 (section 6.3.9: nothing is inserted
  /// then). It may have holes; who reads at its ends does not notice.
  Interval enabled_part(const Interval& interval) const;
  /// Newest first.
  const std::vector<StreamTableVersion>& stream_tables() const { return stream_tables_; }

 private:
  Registers now_;
  std::vector<Interval> enabled_;
  std::vector<StreamTableVersion> stream_tables_{StreamTableVersion{}};
};

}  // namespace shootdown::conform::reference

#endif
