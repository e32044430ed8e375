// CMD_ATC_INV: what reaches the endpoint, and what CMD_SYNC makes of its silence. Source: Arm IHI
// 0070, 3.9.1.4, 4.5.1, 4.7.3, 7.1.
#include <gtest/gtest.h>

#include "support/smmu_bench.h"

namespace shootdown::tests {
namespace {

constexpr std::uint64_t kVa = 0x12'3456'7000;
constexpr std::uint32_t kSid = 5;
constexpr std::uint16_t kAsid = 7;
constexpr Words2 kSync{0x46, 0};

class Endpoint : public hw::AtcPort {
 public:
  struct Got {
    arch::Invalidation what;
    std::optional<arch::SubstreamId> pasid;
  };
  void invalidate_atc(const arch::Invalidation& what, std::optional<arch::SubstreamId> pasid,
                      std::uint64_t, std::function<void()> completed) override {
    got.push_back({what, pasid});
    if (answers) completed();
    pending.push_back(std::move(completed));
  }
  void page_response(std::optional<arch::SubstreamId>, unsigned, hw::PageResponse) override {}
  std::vector<Got> got;
  std::vector<std::function<void()>> pending;
  bool answers{true};
};

class SmmuAtcInvTest : public testing::Test {
 protected:
  static hw::SmmuConfig config() {
    hw::SmmuConfig result;
    result.commands.atc_timeout_cycles = 5000;
    return result;
  }
  SmmuAtcInvTest() { bench.board.smmu().attach_atc(arch::StreamId{kSid}, endpoint); }
  SmmuBench bench{config()};
  Endpoint endpoint;
};

TEST_F(SmmuAtcInvTest, ConveysSpanAndPasid) {
  bench.run([&] {
    bench.boot();
    bench.command({0x0000'0005'0000'0040 | 0x7800, 0x0000'7f00'1234'5004});  // SSV, SSID 7, Size 4
    bench.command({0x0000'0005'0000'0040, 0x0000'7f00'1234'5000});           // one page, no PASID
    bench.command({0x0000'0005'0000'7840, 0x34});                            // everything
    bench.command({0x0000'0005'0000'7a40, 0x0000'7f00'1234'5001});           // G
    bench.command({0x0000'0005'0000'7040, 0x0000'7f00'1234'5000});           // SSID without SSV
    ASSERT_EQ(endpoint.got.size(), 5U);
    EXPECT_EQ(endpoint.got[0].what.start, 0x7f00'1234'0000U);
    EXPECT_EQ(endpoint.got[0].what.last, 0x7f00'1234'ffffU);
    EXPECT_EQ(endpoint.got[0].pasid, arch::SubstreamId{7});
    EXPECT_EQ(endpoint.got[1].what.start, 0x7f00'1234'5000U);
    EXPECT_EQ(endpoint.got[1].what.last, 0x7f00'1234'5fffU);
    EXPECT_EQ(endpoint.got[1].pasid, std::nullopt);
    EXPECT_EQ(endpoint.got[2].what.scope, arch::Invalidation::Scope::kAll);
    EXPECT_EQ(endpoint.got[2].pasid, arch::SubstreamId{7});
    EXPECT_EQ(endpoint.got[3].what.start, 0x7f00'1234'4000U);
    EXPECT_EQ(endpoint.got[3].what.last, 0x7f00'1234'5fffU);
    EXPECT_EQ(endpoint.got[4].pasid, std::nullopt);
  });
}

TEST_F(SmmuAtcInvTest, SyncWaitsForTheEndpoint) {
  bench.run([&] {
    endpoint.answers = false;
    bench.boot();
    bench.submit({{0x0000'0005'0000'0040, 52}, {0x0000'0005'0000'0040, 0x1000}, kSync});
    bench.pause(2000);
    EXPECT_EQ(bench.reg(0x9c), 2U) << "CONS at the SYNC";
    ASSERT_EQ(endpoint.pending.size(), 2U);
    endpoint.pending[1]();
    bench.pause(500);
    EXPECT_EQ(bench.reg(0x9c), 2U) << "one is missing";
    endpoint.pending[0]();
    bench.settle();
    EXPECT_EQ(bench.reg(0x9c), 3U);
    EXPECT_FALSE(bench.stopped());
  });
}

TEST_F(SmmuAtcInvTest, ATimeOutStopsTheQueueAtTheSyncUntilItIsAcknowledged) {
  bench.run([&] {
    bench.stage1_stream(kSid, kAsid);
    const std::uint64_t first = bench.allocate();
    const std::uint64_t second = bench.allocate();
    bench.map(kAsid, kVa, first);
    endpoint.answers = false;
    bench.boot();
    EXPECT_EQ(bench.dma(kSid, kVa), first);
    bench.map(kAsid, kVa, second);
    bench.submit({{0x30, 0}, {0x0000'0005'0000'0040, 52}, kSync, {0x30, 0}});
    bench.settle();
    ASSERT_TRUE(bench.stopped());
    EXPECT_EQ(bench.reg(0x9c), 0x0300'0002U) << "CERROR_ATC_INV_SYNC, at the SYNC";
    EXPECT_EQ(bench.reg(0x60) ^ bench.reg(0x64), 1U);
    bench.pause(10000);
    EXPECT_EQ(bench.reg(0x9c), 0x0300'0002U);
    bench.set_reg(0x64, bench.reg(0x60));
    bench.settle();
    EXPECT_FALSE(bench.stopped());
    EXPECT_EQ(bench.reg(0x9c) & 0xfffff, 4U) << "the SYNC itself again, and what follows";
    EXPECT_EQ(bench.dma(kSid, kVa), second) << "other invalidations are not harmed";
  });
}

TEST_F(SmmuAtcInvTest, IsIgnoredWhileTheSmmuIsOff) {
  bench.run([&] {
    bench.boot(0xc);
    bench.command({0x0000'0005'0000'0040, 52});
    EXPECT_FALSE(bench.stopped());
    EXPECT_TRUE(endpoint.got.empty());
  });
}

TEST_F(SmmuAtcInvTest, WithoutAnyEndpointOrAtsNothingHangs) {
  bench.run([&] {
    bench.boot();
    bench.command({0x0000'0009'0000'0040, 52});
    EXPECT_TRUE(bench.commands_done());
  });
  hw::SmmuConfig without = config();
  without.features.ats = false;
  SmmuBench other(without);
  other.run([&] {
    other.boot();
    other.command({0x0000'0005'0000'0040, 52});
    EXPECT_TRUE(other.stopped());
    EXPECT_EQ(other.reg(0x9c), 0x0100'0000U) << "CERROR_ILL";
  });
}

}  // namespace
}  // namespace shootdown::tests
