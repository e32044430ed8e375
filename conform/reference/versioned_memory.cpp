#include "conform/reference/versioned_memory.h"

#include <algorithm>

namespace shootdown::conform::reference {
namespace {

constexpr std::uint64_t kValid = 1;
constexpr std::uint64_t kContiguous = std::uint64_t{1} << 52;
constexpr unsigned kGroupShift = 10;

const std::array<WordVersion, 1> kNeverWritten{};

}  // namespace

VersionedMemory::VersionedMemory(std::uint64_t base, std::uint64_t bytes)
    : base_(base), bytes_(bytes) {}

bool VersionedMemory::contains(std::uint64_t address, std::uint64_t bytes) const {
  return address >= base_ && bytes <= bytes_ && address - base_ <= bytes_ - bytes;
}

bool VersionedMemory::write(std::uint64_t address, std::uint64_t word, Time now) {
  if (!contains(address, 8)) return false;
  std::vector<WordVersion>& versions = words_[address];
  if (versions.empty()) versions.push_back(kNeverWritten[0]);
  if (versions.back().value == word) return false;
  versions.back().current.last = now - 1;
  versions.push_back({word, {now, kForever}});
  if ((word & kValid) != 0 && (word & kContiguous) != 0) contiguous_.insert(address >> kGroupShift);
  return true;
}

std::uint64_t VersionedMemory::read(std::uint64_t address) const {
  return versions(address).back().value;
}

std::span<const WordVersion> VersionedMemory::versions(std::uint64_t address) const {
  const auto found = words_.find(address);
  if (found == words_.end()) return kNeverWritten;
  return found->second;
}

std::vector<StructureVersion> VersionedMemory::structure_versions(std::uint64_t address,
                                                                  Time not_before) const {
  std::array<std::span<const WordVersion>, kStructureWords> words;
  std::array<std::size_t, kStructureWords> at{};
  for (unsigned i = 0; i < kStructureWords; ++i) {
    words[i] = versions(address + 8 * i);
    at[i] = words[i].size() - 1;
  }
  std::vector<StructureVersion> found;
  Time last = kForever;
  while (true) {
    StructureVersion version;
    version.current = {0, last};
    for (unsigned i = 0; i < kStructureWords; ++i) {
      version.words[i] = words[i][at[i]].value;
      version.current.first = std::max(version.current.first, words[i][at[i]].current.first);
    }
    const Time began = version.current.first;
    found.push_back(version);
    if (began == 0 || began <= not_before) return found;
    last = began - 1;
    for (unsigned i = 0; i < kStructureWords; ++i)
      if (words[i][at[i]].current.first == began) --at[i];
  }
}

bool VersionedMemory::may_be_contiguous(std::uint64_t address) const {
  return contiguous_.contains(address >> kGroupShift);
}

}  // namespace shootdown::conform::reference
