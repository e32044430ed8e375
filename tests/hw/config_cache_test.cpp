// hw::ConfigCache: what each CMD_CFGI_* drops and what it leaves, and fetches that an invalidation
// overtook.
#include "hw/smmu/config_cache.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>

namespace shootdown::hw {
namespace {

using arch::smmuv3::Cd;
using arch::smmuv3::Ste;

std::optional<arch::SubstreamId> ssid(int value) {
  if (value < 0) return std::nullopt;
  return arch::SubstreamId{static_cast<std::uint32_t>(value)};
}
StreamConfig config(std::uint16_t asid) {
  StreamConfig result;
  result.kind = StreamConfig::Kind::kTranslate;
  result.context.stage1.space.asid = {asid};
  return result;
}
constexpr ConfigCacheConfig kRoomy{.ste = {.entries = 16}, .cd = {.entries = 32}};

/// Fills everything that streams 8 to 11 need: STEs, CDs 0 and 1, first-level descriptors.
class ConfigCacheTest : public testing::Test {
 protected:
  ConfigCacheTest() {
    for (std::uint32_t sid = 8; sid < 12; ++sid) {
      cache.fill_ste({sid}, Ste{sid}, cache.epoch());
      for (std::uint32_t cd = 0; cd < 2; ++cd) cache.fill_cd({sid}, {cd}, Cd{cd}, cache.epoch());
      cache.fill_l1cd({sid}, {0}, 1, cache.epoch());
      cache.remember({sid}, ssid(-1), config(static_cast<std::uint16_t>(sid)));
    }
    cache.fill_l1std({0}, 7, cache.epoch());
  }
  ConfigCache cache{kRoomy};
};

TEST_F(ConfigCacheTest, HoldsWhatWasFilled) {
  EXPECT_EQ((*cache.ste({9}))[0], 9U);
  EXPECT_EQ((*cache.cd({9}, {1}))[0], 1U);
  EXPECT_EQ(*cache.l1std({0}), 7U);
  EXPECT_EQ(cache.lookup({9}, ssid(-1))->context.stage1.space.asid.value, 9);
  EXPECT_EQ(cache.lookup({9}, ssid(0)), nullptr) << "with a SubstreamID it is another look-up";
  EXPECT_EQ(cache.ste({12}), nullptr);
}

TEST_F(ConfigCacheTest, SteInvalidationTakesEveryDescriptorReachedThroughIt) {
  cache.invalidate_streams({9}, 0, /*leaf=*/true);
  EXPECT_EQ(cache.ste({9}), nullptr);
  EXPECT_EQ(cache.cd({9}, {0}), nullptr);
  EXPECT_EQ(cache.cd({9}, {1}), nullptr);
  EXPECT_EQ(cache.l1cd({9}, {0}), nullptr);
  EXPECT_EQ(cache.lookup({9}, ssid(-1)), nullptr);
  EXPECT_NE(cache.ste({8}), nullptr);
  EXPECT_NE(cache.cd({8}, {0}), nullptr);
  EXPECT_NE(cache.l1std({0}), nullptr) << "Leaf = 1";
  cache.invalidate_streams({9}, 0, /*leaf=*/false);
  EXPECT_EQ(cache.l1std({0}), nullptr) << "Leaf = 0";
}

TEST_F(ConfigCacheTest, CdInvalidationLeavesTheSte) {
  cache.invalidate_cd({9}, {1}, /*leaf=*/true);
  EXPECT_EQ(cache.cd({9}, {1}), nullptr);
  EXPECT_NE(cache.cd({9}, {0}), nullptr);
  EXPECT_NE(cache.ste({9}), nullptr) << "a missing CMD_CFGI_STE has to show";
  EXPECT_NE(cache.l1cd({9}, {0}), nullptr);
  cache.invalidate_cd({9}, {1}, /*leaf=*/false);
  EXPECT_EQ(cache.l1cd({9}, {0}), nullptr);
}

TEST_F(ConfigCacheTest, AllCdsOfAStream) {
  cache.invalidate_cds({9});
  EXPECT_EQ(cache.cd({9}, {0}), nullptr);
  EXPECT_EQ(cache.cd({9}, {1}), nullptr);
  EXPECT_NE(cache.cd({8}, {1}), nullptr);
  EXPECT_NE(cache.ste({9}), nullptr);
}

TEST_F(ConfigCacheTest, RangeIgnoresTheLowBitsOfTheStream) {
  cache.invalidate_streams({11}, 1, /*leaf=*/false);
  for (std::uint32_t sid = 8; sid < 12; ++sid) {
    EXPECT_EQ(cache.ste({sid}) == nullptr, sid >= 10) << sid;
  }
  cache.invalidate_streams({0x8000'0000}, 31, /*leaf=*/false);
  EXPECT_NE(cache.ste({8}), nullptr);
  cache.invalidate_streams({0}, 31, /*leaf=*/false);
  EXPECT_EQ(cache.ste({8}), nullptr);
}

TEST_F(ConfigCacheTest, FetchThatAnInvalidationOvertookIsNotInstalled) {
  const auto begun = cache.epoch();
  cache.invalidate_cd({99}, {0}, true);
  cache.fill_ste({20}, Ste{}, begun);
  cache.fill_cd({20}, {0}, Cd{}, begun);
  cache.fill_l1std({64}, 1, begun);
  cache.fill_l1cd({20}, {0}, 1, begun);
  EXPECT_EQ(cache.ste({20}), nullptr);
  EXPECT_EQ(cache.cd({20}, {0}), nullptr);
  EXPECT_EQ(cache.l1std({64}), nullptr);
  EXPECT_EQ(cache.l1cd({20}, {0}), nullptr);
}

TEST_F(ConfigCacheTest, WhatWasDecodedGoesWithWhatItWasMadeOf) {
  cache.forget_decoded();
  EXPECT_EQ(cache.lookup({8}, ssid(-1)), nullptr);
  EXPECT_NE(cache.ste({8}), nullptr) << "to be decoded again, not to be fetched again";
  cache.remember({8}, ssid(-1), config(8));
  EXPECT_NE(cache.lookup({8}, ssid(-1)), nullptr);
  cache.remember({70}, ssid(-1), config(70));
  EXPECT_EQ(cache.lookup({70}, ssid(-1)), nullptr) << "its STE is not cached";
}

TEST(ConfigCacheSizeTest, AnEvictedStructureIsForgotten) {
  ConfigCache cache({.ste = {.entries = 2}, .cd = {.entries = 2}});
  for (std::uint32_t sid = 1; sid < 4; ++sid) {
    cache.fill_ste({sid}, Ste{sid}, cache.epoch());
    cache.fill_cd({sid}, {0}, Cd{sid}, cache.epoch());
    cache.remember({sid}, ssid(-1), config(1));
  }
  EXPECT_EQ(cache.ste({1}), nullptr);
  EXPECT_EQ(cache.lookup({1}, ssid(-1)), nullptr);
  EXPECT_NE(cache.lookup({3}, ssid(-1)), nullptr);
}

TEST(ConfigCacheSizeTest, SetsAreIndexedByTheKey) {
  ConfigCache cache({.ste = {.entries = 4, .ways = 1}, .cd = {.entries = 4, .ways = 1}});
  cache.fill_ste({1}, Ste{1}, cache.epoch());
  cache.fill_ste({2}, Ste{2}, cache.epoch());
  cache.fill_ste({5}, Ste{5}, cache.epoch());
  EXPECT_EQ(cache.ste({1}), nullptr) << "5 shares its set";
  EXPECT_NE(cache.ste({2}), nullptr);
}

TEST(ConfigCacheSizeTest, WithoutEntriesItIsOff) {
  ConfigCache cache({.ste = {.entries = 0}, .cd = {.entries = 0}, .l1 = {.entries = 0}});
  cache.fill_ste({1}, Ste{}, cache.epoch());
  cache.remember({1}, ssid(-1), config(1));
  EXPECT_EQ(cache.ste({1}), nullptr);
  EXPECT_EQ(cache.lookup({1}, ssid(-1)), nullptr);
}

TEST(ConfigCacheSizeTest, IllegalStructuresStayOnlyIfAsked) {
  for (const bool stay : {false, true}) {
    ConfigCache cache({.ste = {}, .cd = {}, .l1 = {}, .cache_illegal = stay});
    cache.fill_ste({1}, Ste{}, cache.epoch());
    cache.faulted({1}, ssid(-1));
    EXPECT_EQ(cache.ste({1}) != nullptr, stay);
  }
}

}  // namespace
}  // namespace shootdown::hw
