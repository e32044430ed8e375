// Kernel releases, and changes applied to and taken from them.
#include "sw/kernel/version.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace shootdown::sw {
namespace {

constexpr const char* kNotifyChange = "6bbd42e2df8f";

TEST(VersionTest, KnowsTheReleasesFromV518ToV67) {
  const auto releases = kernel_releases();
  ASSERT_EQ(releases.size(), 10U);
  EXPECT_EQ(releases.front(), (Release{5, 18}));
  EXPECT_EQ(releases.back(), (Release{6, 7}));
  for (std::size_t i = 1; i < releases.size(); ++i) EXPECT_LT(releases[i - 1], releases[i]);
}

TEST(VersionTest, ParsesWhatItPrints) {
  EXPECT_EQ(to_string(Release{6, 5}), "v6.5");
  for (const Release& release : kernel_releases()) {
    EXPECT_EQ(parse_release(to_string(release)), release);
  }
}

TEST(VersionTest, RefusesReleasesItDoesNotKnow) {
  for (const char* text : {"", "v", "v6", "v6.", "v6.8", "v5.17", "v6.5.1", "v06.5", "v6.05",
                           "V6.5", " v6.5", "v6.5 ", "v6.5-rc1", "v-6.5", "v4294967302.5"}) {
    EXPECT_EQ(parse_release(text), std::nullopt) << '"' << text << '"';
  }
}

TEST(VersionTest, FindsAChangeByItsHashOrTheStartOfIt) {
  const KernelChange* change = find_change(kNotifyChange);
  ASSERT_NE(change, nullptr);
  EXPECT_EQ(change->hash, kNotifyChange);
  EXPECT_EQ(change->first_release, (Release{6, 6}));
  EXPECT_EQ(find_change("6bbd42e"), change);
  EXPECT_EQ(find_change("6bbd42e2df8"), change);
  EXPECT_EQ(find_change("6bbd42"), nullptr) << "six digits";
  EXPECT_EQ(find_change("6bbd42f"), nullptr);
  EXPECT_EQ(find_change(""), nullptr);
}

TEST(VersionTest, ChangesAreListedOnceInTheOrderOfHistory) {
  std::set<std::string> hashes;
  Release last{};
  for (const KernelChange& change : kernel_changes()) {
    EXPECT_EQ(change.hash.size(), 12U) << change.hash;
    EXPECT_TRUE(hashes.insert(std::string(change.hash)).second) << change.hash;
    EXPECT_FALSE(change.title.empty());
    EXPECT_FALSE(change.switches.empty());
    EXPECT_LE(last, change.first_release) << change.hash;
    last = change.first_release;
  }
  EXPECT_TRUE(hashes.contains(kNotifyChange));
}

TEST(VersionTest, EveryReleaseHasTheChangesUpToIt) {
  for (const Release& release : kernel_releases()) {
    const KernelVersion version{.base = release, .revert = {}, .apply = {}};
    for (const KernelChange& change : kernel_changes()) {
      EXPECT_EQ(version.has(change), release >= change.first_release)
          << to_string(release) << " " << change.hash;
    }
    EXPECT_EQ(version.behaviour().notify_in_tlb_flush, release >= (Release{6, 6}));
  }
}

TEST(VersionTest, AChangeCanBeTakenOutOfALaterRelease) {
  const KernelChange* change = find_change(kNotifyChange);
  const KernelVersion version{.base = {6, 7}, .revert = {change}, .apply = {}};
  EXPECT_FALSE(version.behaviour().notify_in_tlb_flush);
  EXPECT_NE(version.name().find("v6.7"), std::string::npos) << version.name();
  EXPECT_NE(version.name().find("6bbd42e"), std::string::npos) << version.name();
}

TEST(VersionTest, AChangeCanBePutIntoAnEarlierRelease) {
  const KernelChange* change = find_change(kNotifyChange);
  const KernelVersion version{.base = {6, 5}, .revert = {}, .apply = {change}};
  EXPECT_TRUE(version.behaviour().notify_in_tlb_flush);
  EXPECT_NE(version.name(), (KernelVersion{.base = {6, 5}, .revert = {}, .apply = {}}.name()));
}

}  // namespace
}  // namespace shootdown::sw
