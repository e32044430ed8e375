#include "conform/reference/register_history.h"

namespace shootdown::conform::reference {

void RegisterHistory::set(const Registers& registers, Time now) {
  const bool was_enabled = enabled();
  now_ = registers;
  if (enabled() && !was_enabled) enabled_.push_back({now, kForever});
  if (!enabled() && was_enabled) enabled_.back().last = now - 1;

  StreamTableVersion& table = stream_tables_.front();
  if (table.base == registers.strtab_base && table.config == registers.strtab_base_cfg) return;
  table.current.last = now - 1;
  stream_tables_.insert(stream_tables_.begin(),
                        {registers.strtab_base, registers.strtab_base_cfg, {now, kForever}});
}

Interval RegisterHistory::enabled_part(const Interval& interval) const {
  Interval part{1, 0};
  for (const Interval& enabled : enabled_) {
    const Interval common = intersection(enabled, interval);
    if (common.empty()) continue;
    if (part.empty()) part = common;
    part.last = common.last;
  }
  return part;
}

}  // namespace shootdown::conform::reference
