// hw::ConfigCache: what CMD_CFGI_* drops, and fetches that an invalidation overtook.
#include "hw/smmu/config_cache.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <optional>
#include <utility>

#include "tests/hw/random.h"

namespace shootdown::hw {
namespace {

StreamConfig config(std::uint16_t asid) {
  StreamConfig result;
  result.context.asid = {asid};
  return result;
}
std::optional<arch::SubstreamId> ssid(int value) {
  if (value < 0) return std::nullopt;
  return arch::SubstreamId{static_cast<std::uint32_t>(value)};
}

TEST(ConfigCacheTest, KeepsStreamsAndSubstreamsApart) {
  ConfigCache cache(16);
  cache.fill({1}, ssid(-1), config(10), cache.epoch());
  cache.fill({1}, ssid(0), config(11), cache.epoch());
  cache.fill({1}, ssid(0xf'ffff), config(12), cache.epoch());
  cache.fill({0xffff'ffff}, ssid(0), config(13), cache.epoch());
  cache.fill({2}, ssid(-1), config(14), cache.epoch());

  EXPECT_EQ(cache.lookup({1}, ssid(-1))->context.asid.value, 10);
  EXPECT_EQ(cache.lookup({1}, ssid(0))->context.asid.value, 11);
  EXPECT_EQ(cache.lookup({1}, ssid(0xf'ffff))->context.asid.value, 12);
  EXPECT_EQ(cache.lookup({0xffff'ffff}, ssid(0))->context.asid.value, 13);
  EXPECT_EQ(cache.lookup({2}, ssid(-1))->context.asid.value, 14);
  EXPECT_EQ(cache.lookup({2}, ssid(0)), nullptr);
  EXPECT_EQ(cache.lookup({3}, ssid(-1)), nullptr);
}

TEST(ConfigCacheTest, SteInvalidationTakesEveryDescriptorReachedThroughIt) {
  ConfigCache cache(16);
  for (int i = -1; i < 3; ++i) cache.fill({8}, ssid(i), config(1), cache.epoch());
  cache.fill({9}, ssid(-1), config(2), cache.epoch());

  cache.invalidate_streams({8}, 0);

  for (int i = -1; i < 3; ++i) EXPECT_EQ(cache.lookup({8}, ssid(i)), nullptr) << i;
  EXPECT_NE(cache.lookup({9}, ssid(-1)), nullptr);
}

TEST(ConfigCacheTest, RangeInvalidationIgnoresTheLowBitsOfTheStream) {
  ConfigCache cache(16);
  for (std::uint32_t sid = 6; sid < 14; ++sid)
    cache.fill({sid}, ssid(-1), config(1), cache.epoch());

  cache.invalidate_streams({10}, 2);  // 8 to 11

  for (std::uint32_t sid = 6; sid < 14; ++sid) {
    EXPECT_EQ(cache.lookup({sid}, ssid(-1)) == nullptr, sid >= 8 && sid <= 11) << sid;
  }
}

TEST(ConfigCacheTest, RangeOfTwoToThe31SplitsTheStreamsInHalves) {
  ConfigCache cache(4);
  cache.fill({0x7fff'ffff}, ssid(-1), config(1), cache.epoch());
  cache.fill({0x8000'0000}, ssid(-1), config(2), cache.epoch());
  cache.invalidate_streams({0}, 31);
  EXPECT_EQ(cache.lookup({0x7fff'ffff}, ssid(-1)), nullptr);
  EXPECT_NE(cache.lookup({0x8000'0000}, ssid(-1)), nullptr);
}

TEST(ConfigCacheTest, CdInvalidationOfSubstream0TakesTheStreamWithoutSubstreams) {
  ConfigCache cache(8);
  for (int i = -1; i < 2; ++i) cache.fill({1}, ssid(i), config(1), cache.epoch());

  cache.invalidate_substream({1}, {1});
  EXPECT_EQ(cache.lookup({1}, ssid(1)), nullptr);
  EXPECT_NE(cache.lookup({1}, ssid(0)), nullptr);

  cache.invalidate_substream({1}, {0});
  EXPECT_EQ(cache.lookup({1}, ssid(0)), nullptr);
  EXPECT_EQ(cache.lookup({1}, ssid(-1)), nullptr);
}

TEST(ConfigCacheTest, FetchThatAnInvalidationOvertookIsNotInstalled) {
  ConfigCache cache(8);
  const auto begun = cache.epoch();
  cache.invalidate_streams({99}, 0);
  cache.fill({1}, ssid(-1), config(1), begun);
  EXPECT_EQ(cache.lookup({1}, ssid(-1)), nullptr);

  const auto again = cache.epoch();
  cache.invalidate_substream({99}, {0});
  cache.fill({1}, ssid(-1), config(1), again);
  EXPECT_EQ(cache.lookup({1}, ssid(-1)), nullptr);

  const auto third = cache.epoch();
  cache.invalidate_all();
  cache.fill({1}, ssid(-1), config(1), third);
  EXPECT_EQ(cache.lookup({1}, ssid(-1)), nullptr);
}

TEST(ConfigCacheTest, WithoutEntriesItIsOff) {
  ConfigCache cache(0);
  cache.fill({1}, ssid(-1), config(1), cache.epoch());
  EXPECT_EQ(cache.lookup({1}, ssid(-1)), nullptr);
}

TEST(ConfigCacheTest, NeverReturnsWhatWasInvalidatedOrNeverFilled) {
  tests::Random random(31);
  SCOPED_TRACE(random.where());
  ConfigCache cache(5);
  std::map<std::pair<std::uint32_t, int>, std::uint16_t> live;  // evicted ones too
  unsigned hits = 0;
  for (unsigned step = 0; step < 20000 && !HasFailure(); ++step) {
    SCOPED_TRACE(step);
    const auto sid = static_cast<std::uint32_t>(random.below(8));
    const int sub = static_cast<int>(random.below(4)) - 1;
    const auto choice = random.below(100);
    if (choice < 85) {
      const StreamConfig* found = cache.lookup({sid}, ssid(sub));
      if (found != nullptr) {
        ++hits;
        ASSERT_TRUE(live.contains({sid, sub}));
        EXPECT_EQ(found->context.asid.value, live.at({sid, sub}));
      } else {
        const auto asid = static_cast<std::uint16_t>(step);
        cache.fill({sid}, ssid(sub), config(asid), cache.epoch());
        live[{sid, sub}] = asid;
        ASSERT_NE(cache.lookup({sid}, ssid(sub)), nullptr);
      }
    } else if (choice < 92) {
      const auto log2 = static_cast<unsigned>(random.below(3));
      cache.invalidate_streams({sid}, log2);
      std::erase_if(live,
                    [&](const auto& item) { return item.first.first >> log2 == sid >> log2; });
    } else if (choice < 99) {
      const int target = sub < 0 ? 0 : sub;
      cache.invalidate_substream({sid}, *ssid(target));
      live.erase({sid, target});
      if (target == 0) live.erase({sid, -1});
    } else {
      cache.invalidate_all();
      live.clear();
    }
  }
  EXPECT_GT(hits, 500U);
}

}  // namespace
}  // namespace shootdown::hw
