#include "sw/kernel/version.h"

#include <array>

namespace shootdown::sw {

namespace {

constexpr std::array<KernelChange, 1> kChanges{{
    {.hash = "6bbd42e2df8f",
     .title = "mmu_notifiers: call invalidate_range() when invalidating TLBs",
     .first_release = {6, 6},
     .member = &KernelBehaviour::notify_in_tlb_flush,
     .switches = "the arch TLB flush functions call the secondary-TLB notifier; core mm calls it "
                 "no longer"},
}};

constexpr std::array<Release, 10> kReleases{
    {{5, 18}, {5, 19}, {6, 0}, {6, 1}, {6, 2}, {6, 3}, {6, 4}, {6, 5}, {6, 6}, {6, 7}}};

}  // namespace

std::span<const KernelChange> kernel_changes() { return kChanges; }
std::span<const Release> kernel_releases() { return kReleases; }

std::string to_string(const Release& release) {
  return "v" + std::to_string(release.major) + "." + std::to_string(release.minor);
}

std::optional<Release> parse_release(std::string_view text) {
  for (const Release& release : kReleases) {
    if (to_string(release) == text) return release;
  }
  return std::nullopt;
}

const KernelChange* find_change(std::string_view hash) {
  if (hash.size() < 7) return nullptr;
  for (const KernelChange& change : kChanges) {
    if (change.hash.starts_with(hash) || hash.starts_with(change.hash)) return &change;
  }
  return nullptr;
}

KernelBehaviour KernelVersion::behaviour() const {
  KernelBehaviour result;
  for (const KernelChange& change : kChanges) result.*change.member = base >= change.first_release;
  for (const KernelChange* change : revert) result.*change->member = false;
  for (const KernelChange* change : apply) result.*change->member = true;
  return result;
}

std::string KernelVersion::name() const {
  std::string result = to_string(base);
  for (const KernelChange* change : revert) result += " without " + std::string(change->hash);
  for (const KernelChange* change : apply) result += " with " + std::string(change->hash);
  return result;
}

}  // namespace shootdown::sw
