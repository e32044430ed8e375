// PRI: records, groups, overflow, automatic responses and CMD_PRI_RESP. Source: Arm IHI 0070,
// chapter 8, 4.5.2.
#include <gtest/gtest.h>

#include "support/smmu_bench.h"

namespace shootdown::tests {
namespace {

constexpr std::uint64_t kVa = 0x12'3456'7000;
constexpr std::uint32_t kSid = 5;
using Response = std::optional<hw::PageResponse>;

class Endpoint : public hw::AtcPort {
 public:
  struct Got {
    std::optional<arch::SubstreamId> pasid;
    unsigned group;
    hw::PageResponse response;
  };
  void invalidate_atc(const arch::Invalidation&, std::optional<arch::SubstreamId>, std::uint64_t,
                      std::function<void()> completed) override {
    completed();
  }
  void page_response(std::optional<arch::SubstreamId> pasid, unsigned group,
                     hw::PageResponse response) override {
    got.push_back({pasid, group, response});
  }
  std::vector<Got> got;
};

class SmmuPriTest : public testing::Test {
 protected:
  static hw::SmmuConfig config() {
    hw::SmmuConfig result;
    result.features.pri = true;
    return result;
  }
  SmmuPriTest() { bench.board.smmu().attach_atc(arch::StreamId{kSid}, endpoint); }

  /// What the SMMU answers by itself.
  Response ask(const hw::PageRequest& what, std::optional<std::uint32_t> pasid = {},
               std::uint32_t sid = kSid) {
    auto access = SmmuBench::access(sid, what.address.value, false);
    access.kind = hw::StreamExtension::Kind::kPageRequest;
    access.page_request = what;
    if (pasid) access.substream_id = arch::SubstreamId{*pasid};
    std::array<std::uint8_t, 4> data{};
    return bench.board.dma(access, data.data(), 0).answer.page_response;
  }
  Words2 record(std::uint32_t index) {
    const std::uint64_t slot = SmmuBench::kPriQueue + index * 16;
    return {bench.word(slot), bench.word(slot + 8)};
  }
  std::uint32_t prod() { return bench.reg(0x100c8); }

  static constexpr hw::PageRequest read_page(unsigned group, bool last) {
    hw::PageRequest result;
    result.address = {kVa};
    result.group = group;
    result.last = last;
    result.read = true;
    return result;
  }
  SmmuBench bench{config()};
  Endpoint endpoint;
};

TEST_F(SmmuPriTest, RecordsEveryFieldInItsPlace) {
  bench.run([&] {
    bench.boot(0xf);
    hw::PageRequest what = read_page(5, true);
    EXPECT_EQ(ask(what), std::nullopt);
    what = {};
    what.address = {0xffff'8000'1234'5000};
    what.group = 511;
    what.last = false;
    what.write = true;
    EXPECT_EQ(ask(what, 0xabU), std::nullopt);
    what.read = what.execute = what.privileged = true;
    EXPECT_EQ(ask(what, 7U), std::nullopt);
    what.write = what.execute = false;
    what.privileged = false;
    what.last = true;
    EXPECT_EQ(ask(what, 0U, 63), std::nullopt);
    EXPECT_EQ(prod(), 4U);
    EXPECT_EQ(record(0), (Words2{0x5000'0000'0000'0005, kVa | 5}));                // Last, R
    EXPECT_EQ(record(1), (Words2{0xa000'00ab'0000'0005, 0xffff'8000'1234'51ff}));  // SSV, W
    EXPECT_EQ(record(2), (Words2{0xbc00'0007'0000'0005, 0xffff'8000'1234'51ff}));  // SSV W R X Priv
    EXPECT_EQ(record(3), (Words2{0xd000'0000'0000'003f, 0xffff'8000'1234'51ff}));
  });
}

TEST_F(SmmuPriTest, WithoutPasidThereIsNeitherExecuteNorPrivileged) {
  bench.run([&] {
    bench.boot(0xf);
    hw::PageRequest what = read_page(1, true);
    what.execute = what.privileged = true;
    EXPECT_EQ(ask(what), std::nullopt);
    EXPECT_EQ(record(0), (Words2{0x5000'0000'0000'0005, kVa | 1}));
  });
}

TEST_F(SmmuPriTest, GroupsInterleaveInTheOrderOfArrivalAndNoStreamConfigurationIsAsked) {
  bench.run([&] {
    bench.boot(0xf);  // no valid STE anywhere
    EXPECT_EQ(ask(read_page(1, false)), std::nullopt);
    EXPECT_EQ(ask(read_page(2, false), {}, 6), std::nullopt);
    EXPECT_EQ(ask(read_page(1, true)), std::nullopt);
    EXPECT_EQ(ask(read_page(2, true), {}, 6), std::nullopt);
    EXPECT_EQ(record(0), (Words2{0x1000'0000'0000'0005, kVa | 1}));
    EXPECT_EQ(record(1), (Words2{0x1000'0000'0000'0006, kVa | 2}));
    EXPECT_EQ(record(2), (Words2{0x5000'0000'0000'0005, kVa | 1}));
    EXPECT_EQ(record(3), (Words2{0x5000'0000'0000'0006, kVa | 2}));
    EXPECT_TRUE(bench.events().empty());
  });
}

TEST_F(SmmuPriTest, WhileAnOverflowIsNotAcknowledgedNothingIsWritten) {
  bench.queue_log2 = 1;
  bench.run([&] {
    bench.boot(0xf);
    EXPECT_EQ(ask(read_page(1, false)), std::nullopt);
    EXPECT_EQ(ask(read_page(2, true)), std::nullopt);
    EXPECT_EQ(prod(), 2U) << "full";
    EXPECT_EQ(ask(read_page(3, false)), std::nullopt) << "vanishes";
    EXPECT_EQ(prod(), 0x8000'0002U) << "OVFLG";
    EXPECT_EQ(ask(read_page(3, true)), hw::PageResponse::kSuccess);
    EXPECT_EQ(prod(), 0x8000'0002U);
    bench.set_reg(0x100cc, 2);  // room, but no acknowledgement
    EXPECT_EQ(ask(read_page(4, true)), hw::PageResponse::kSuccess);
    EXPECT_EQ(ask(read_page(4, false)), std::nullopt);
    EXPECT_EQ(prod(), 0x8000'0002U);
    EXPECT_EQ(record(0), (Words2{0x1000'0000'0000'0005, kVa | 1})) << "not overwritten";
    bench.set_reg(0x100cc, 0x8000'0002);
    EXPECT_EQ(ask(read_page(6, true)), std::nullopt);
    EXPECT_EQ(prod(), 0x8000'0003U);
    EXPECT_EQ(record(0), (Words2{0x5000'0000'0000'0005, kVa | 6}));
    EXPECT_EQ(ask(read_page(7, true)), std::nullopt);
    EXPECT_EQ(ask(read_page(8, true)), hw::PageResponse::kSuccess) << "overflows anew";
    EXPECT_EQ(prod(), 0x0000'0000U) << "OVFLG toggles; the index wraps";
    EXPECT_TRUE(bench.events().empty());
  });
}

TEST_F(SmmuPriTest, OnOverflowARequestWithPasidSucceedsOnlyThroughAValidSte) {
  bench.queue_log2 = 0;
  bench.run([&] {
    bench.stage1_stream(kSid, 7);
    bench.boot(0xf);
    EXPECT_EQ(ask(read_page(1, true)), std::nullopt);
    EXPECT_EQ(ask(read_page(2, true), 9U), hw::PageResponse::kSuccess);
    EXPECT_EQ(ask(read_page(3, true), 9U, 6), hw::PageResponse::kFailure) << "STE.V = 0";
    EXPECT_EQ(ask(read_page(3, true), 9U, 64), hw::PageResponse::kFailure) << "no such stream";
    EXPECT_EQ(ask(read_page(4, true), {}, 64), hw::PageResponse::kSuccess) << "no PASID";
    EXPECT_TRUE(bench.events().empty()) << "CR2.REC_CFG_ATS = 0";
  });
}

TEST_F(SmmuPriTest, AStopMarkerIsRecordedAndNeverAnswered) {
  bench.queue_log2 = 0;
  bench.run([&] {
    hw::PageRequest marker = read_page(0, true);
    marker.read = false;
    bench.stage1_stream(kSid, 7);
    bench.boot(0xf);
    EXPECT_EQ(ask(marker, 9U), std::nullopt);
    EXPECT_EQ(record(0), (Words2{0xc000'0009'0000'0005, kVa}));
    EXPECT_EQ(ask(marker, 9U), std::nullopt) << "overflow";
    EXPECT_EQ(ask(marker), hw::PageResponse::kSuccess) << "no marker without PASID";
    bench.set_cr0(0xd);
    EXPECT_EQ(ask(marker, 9U), std::nullopt) << "queue off";
    EXPECT_EQ(ask(marker), hw::PageResponse::kFailure);
  });
}

TEST_F(SmmuPriTest, EveryRequestFailsWhileTheQueueOrTheSmmuIsOff) {
  for (const std::uint32_t cr0 : {0xdU, 0xeU, 0xcU}) {
    bench.run([&] {
      bench.boot(cr0);
      EXPECT_EQ(ask(read_page(1, true)), hw::PageResponse::kFailure) << cr0;
      EXPECT_EQ(ask(read_page(2, false)), hw::PageResponse::kFailure) << cr0;
      EXPECT_EQ(prod(), 0U);
    });
  }
}

TEST_F(SmmuPriTest, ARecordThatCannotBeWrittenStopsTheQueueUntilAcknowledged) {
  bench.run([&] {
    bench.boot(0xc);
    bench.set_reg(0xc0, 0x1'0000'0000 | bench.queue_log2, 8);  // no memory
    bench.set_cr0(0xf);
    EXPECT_EQ(ask(read_page(1, true)), hw::PageResponse::kFailure);
    EXPECT_EQ(bench.reg(0x60) ^ bench.reg(0x64), 0x8U) << "PRIQ_ABT_ERR";
    EXPECT_EQ(ask(read_page(2, false)), hw::PageResponse::kFailure);
    EXPECT_EQ(bench.reg(0x60) ^ bench.reg(0x64), 0x8U);
  });
}

TEST_F(SmmuPriTest, ResponsesReachTheEndpointByGroupAndPasid) {
  bench.run([&] {
    bench.boot(0xf);
    bench.submit({{0x0000'0005'0000'7841, 0x2005},    // SSV, SSID 7: success
                  {0x0000'0005'0000'7041, 0x11ff},    // no SSV: invalid request
                  {0x0000'0005'0000'0041, 0x0001},    // failure
                  {0x0000'0006'0000'0041, 0x2001}});  // nobody
    bench.settle();
    EXPECT_FALSE(bench.stopped());
    ASSERT_EQ(endpoint.got.size(), 3U);
    EXPECT_EQ(endpoint.got[0].pasid, arch::SubstreamId{7});
    EXPECT_EQ(endpoint.got[0].group, 5U);
    EXPECT_EQ(endpoint.got[0].response, hw::PageResponse::kSuccess);
    EXPECT_EQ(endpoint.got[1].pasid, std::nullopt);
    EXPECT_EQ(endpoint.got[1].group, 511U);
    EXPECT_EQ(endpoint.got[1].response, hw::PageResponse::kInvalidRequest);
    EXPECT_EQ(endpoint.got[2].response, hw::PageResponse::kFailure);
    bench.submit({{0x0000'0005'0000'0041, 0x3005}});
    bench.settle();
    EXPECT_TRUE(bench.stopped());
    EXPECT_EQ(bench.reg(0x9c), 0x0100'0004U) << "Resp = 3: CERROR_ILL";
    EXPECT_EQ(endpoint.got.size(), 3U);
  });
}

TEST_F(SmmuPriTest, ResponsesAreIgnoredWhileTheSmmuIsOff) {
  bench.run([&] {
    bench.boot(0xc);
    bench.command({0x0000'0005'0000'7841, 0x2005});
    EXPECT_FALSE(bench.stopped());
    EXPECT_TRUE(endpoint.got.empty());
  });
}

}  // namespace
}  // namespace shootdown::tests
