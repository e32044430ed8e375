#include "cosim/observe/format.h"

#include <fmt/format.h>

#include "hw/arch/vmsa64.h"

namespace shootdown::cosim {

std::string hex(std::uint64_t value) {
  const std::string digits = fmt::format("{:x}", value);
  std::string grouped = "0x";
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i != 0 && (digits.size() - i) % 4 == 0) grouped += '_';
    grouped += digits[i];
  }
  return grouped;
}

std::string microseconds(std::uint64_t picoseconds) {
  return fmt::format("{}.{:03} us", picoseconds / 1'000'000, picoseconds / 1'000 % 1'000);
}

std::string page_size_name(unsigned page_shift) {
  if (page_shift >= 30) return fmt::format("{} GiB", 1U << (page_shift - 30));
  if (page_shift >= 20) return fmt::format("{} MiB", 1U << (page_shift - 20));
  return fmt::format("{} KiB", 1U << (page_shift - 10));
}

std::string describe_entry(std::uint64_t entry, int level) {
  namespace vmsa64 = arch::vmsa64;
  if (entry == 0) return "empty";
  if (vmsa64::is_table(entry, level)) return "table";
  if (!vmsa64::is_leaf(entry, level)) return "not present";
  std::string text = vmsa64::desc::ApReadOnly::get(entry) != 0 ? "read-only" : "writable";
  // Software's dirty bit (55), or a writable entry whose read-only bit hardware has cleared.
  const bool dirty = (entry >> 55 & 1) != 0 || (vmsa64::desc::Dbm::get(entry) != 0 &&
                                                vmsa64::desc::ApReadOnly::get(entry) == 0);
  if (dirty) text += ", dirty";
  if (vmsa64::desc::Af::get(entry) == 0) text += ", old";
  return text;
}

}  // namespace shootdown::cosim
