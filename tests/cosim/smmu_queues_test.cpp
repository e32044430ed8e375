// Command and event queue: indices, wrapping, overflow, errors. Source: Arm IHI
// 0070, 3.5, 4.1, 6.3.26 to 6.3.28, 7.1, 7.2, 7.4.
#include <gtest/gtest.h>

#include "support/smmu_bench.h"

namespace shootdown::tests {
namespace {

constexpr std::uint64_t kVa = 0x12'3456'7000;
constexpr std::uint64_t kNowhere = 0x8000'0000;           // no memory there
constexpr std::uint64_t kStall = std::uint64_t{1} << 44;  // CD.S
constexpr std::uint32_t kSid = 5;
constexpr std::uint64_t kFaultOfSid5 = 0x0000'0005'0000'0010;  // F_TRANSLATION
constexpr std::uint64_t kRead = 0x0000'0208'0000'0000;         // CLASS = IN, RnW
constexpr std::uint64_t kStalledRead = 0x0000'0208'8000'0000;
constexpr Words2 kSync{0x46, 0};
constexpr Words2 kSyncWithInterrupt{0x1046, 0};

/// Which read of an unmapped page the records are of, in their order: their pages, counted from
/// kVa.
std::vector<std::uint64_t> pages(const std::vector<Words4>& events) {
  std::vector<std::uint64_t> result;
  for (const Words4& event : events) {
    EXPECT_EQ(event[0], kFaultOfSid5);
    EXPECT_EQ(event[1], kRead);
    EXPECT_EQ(event[3], 0U);
    result.push_back((event[2] - kVa) / 0x1000);
  }
  return result;
}
using Pages = std::vector<std::uint64_t>;

class SmmuQueuesTest : public testing::Test {
 protected:
  /// A read of an unmapped page that aborts. Its event is written or lost when this returns.
  static void fault(SmmuBench& bench, std::uint64_t page) {
    EXPECT_FALSE(bench.dma(kSid, kVa + page * 0x1000));
    bench.sync();
  }
  static void stall(SmmuBench& bench, unsigned device, std::uint64_t page) {
    static std::array<std::uint8_t, 4> data;
    bench.board.launch(device, SmmuBench::access(kSid, kVa + page * 0x1000, false), data.data(), 4);
    bench.pause(2000);
  }
  static void abort_stall(SmmuBench& bench, unsigned device, std::uint64_t stag) {
    bench.submit({{0x2044 | std::uint64_t{kSid} << 32, stag & 0xffff}});
    EXPECT_TRUE(bench.board.wait_until([&] { return bench.board.done(device); }));
  }
  static std::uint32_t prod(SmmuBench& bench) { return bench.reg(0x100a8); }
  static std::uint32_t cons(SmmuBench& bench) { return bench.reg(0x9c) & 0xfffff; }
};

// ---- Command queue ----

class SmmuCommandQueueSizeTest : public SmmuQueuesTest,
                                 public testing::WithParamInterface<unsigned> {};
INSTANTIATE_TEST_SUITE_P(, SmmuCommandQueueSizeTest, testing::Values(0U, 1U, 2U, 5U, 8U));

TEST_P(SmmuCommandQueueSizeTest, ConsFollowsCommandByCommandThroughManyWraps) {
  SmmuBench bench({});
  bench.queue_log2 = GetParam();
  unsigned interrupts = 0;
  bench.board.smmu().interrupt.sync.connect([&] { ++interrupts; });
  bench.run([&] {
    bench.boot();
    const unsigned entries = 1U << GetParam();
    for (unsigned command = 1; command <= 5 * entries + 3; ++command) {
      bench.submit({kSyncWithInterrupt});
      bench.settle();
      ASSERT_EQ(cons(bench), command % (2 * entries));
      ASSERT_EQ(interrupts, command) << "each executed once";
    }
    EXPECT_EQ(bench.reg(0x60), 0U);
  });
}

TEST_P(SmmuCommandQueueSizeTest, AFullQueueIsConsumedToItsLastEntry) {
  SmmuBench bench({});
  bench.queue_log2 = GetParam();
  unsigned interrupts = 0;
  bench.board.smmu().interrupt.sync.connect([&] { ++interrupts; });
  bench.run([&] {
    bench.boot();
    const unsigned entries = 1U << GetParam();
    for (unsigned round = 1; round <= 5; ++round) {
      bench.submit(std::vector<Words2>(entries, kSyncWithInterrupt));
      bench.settle();
      EXPECT_EQ(cons(bench), round % 2 * entries) << "index 0, the wrap bit toggled";
      EXPECT_EQ(interrupts, round * entries);
    }
  });
}

TEST_F(SmmuQueuesTest, ALog2SizeBeyondTheLimitActsAsTheLimit) {
  hw::SmmuConfig config;
  config.features.command_queue_log2 = 3;
  config.features.event_queue_log2 = 1;
  SmmuBench bench(config);
  bench.queue_log2 = 3;  // where the bench puts commands
  bench.run([&] {
    bench.stage1_stream(kSid, 7);
    bench.boot(0);
    bench.set_reg(0x90, SmmuBench::kCommandQueue | 19, 8);
    bench.set_reg(0xa0, SmmuBench::kEventQueue | 19, 8);
    bench.set_cr0(0xd);
    EXPECT_EQ(bench.board.read_register(0x90, 8), SmmuBench::kCommandQueue | 19)
        << "read back as is";
    for (unsigned command = 1; command <= 40; ++command) {
      bench.submit({kSync});
      bench.settle();
      ASSERT_EQ(cons(bench), command % 16);
    }
    for (const std::uint64_t page : {0, 1, 2}) fault(bench, page);
    EXPECT_EQ(prod(bench), 0x8000'0002U) << "two entries, full, one event lost";
  });
}

TEST_F(SmmuQueuesTest, ABaseIsAlignedToTheSizeOfItsQueue) {
  SmmuBench bench({});
  bench.run([&] {
    bench.stage1_stream(kSid, 7);
    bench.boot(0);
    bench.set_reg(0x90, SmmuBench::kCommandQueue | 0xe0 | 4, 8);  // 256 bytes
    bench.set_reg(0xa0, SmmuBench::kEventQueue | 0x1e0 | 4, 8);   // 512 bytes
    bench.set_cr0(0xd);
    fault(bench, 3);
    EXPECT_EQ(pages(bench.events()), Pages{3});
    EXPECT_EQ(bench.reg(0x60), 0U);
  });
}

TEST_F(SmmuQueuesTest, BitsOfProdAboveTheWrapBitAreIgnored) {
  SmmuBench bench({});
  bench.run([&] {
    bench.boot();
    bench.submit({kSync});
    bench.settle();
    bench.set_reg(0x98, 0xfffe1);  // 16 entries: index 1
    bench.pause(1000);
    EXPECT_EQ(cons(bench), 1U);
    EXPECT_EQ(bench.reg(0x60), 0U);
  });
}

TEST_F(SmmuQueuesTest, CommandsWaitForCmdqenAndThenNeedNoWriteOfProd) {
  SmmuBench bench({});
  bench.run([&] {
    bench.boot(0x5);
    bench.submit({kSync, kSync});
    bench.pause(1000);
    EXPECT_EQ(cons(bench), 0U);
    bench.set_cr0(0xd);
    bench.settle();
    EXPECT_EQ(cons(bench), 2U);
  });
}

TEST_F(SmmuQueuesTest, BaseAndConsCannotBeWrittenWhileTheQueueIsOn) {
  SmmuBench bench({});
  bench.run([&] {
    bench.boot();
    bench.submit({kSync, kSync, kSync});
    bench.settle();
    bench.set_reg(0x9c, 7);
    bench.set_reg(0x90, kNowhere | 8, 8);
    bench.set_reg(0xa0, kNowhere | 8, 8);
    bench.set_reg(0x100a8, 9);
    EXPECT_EQ(cons(bench), 3U);
    EXPECT_EQ(bench.board.read_register(0x90, 8), SmmuBench::kCommandQueue | 4);
    EXPECT_EQ(bench.board.read_register(0xa0, 8), SmmuBench::kEventQueue | 4);
    EXPECT_EQ(prod(bench), 0U);
  });
}

TEST_F(SmmuQueuesTest, ACommandQueueWithoutMemoryIsCerrorAbtUntilMovedAndAcknowledged) {
  SmmuBench bench({});
  bench.run([&] {
    bench.boot(0x5);
    bench.set_reg(0x90, kNowhere | 4, 8);
    bench.set_cr0(0xd);
    bench.submit({kSync});
    bench.settle();
    EXPECT_EQ(bench.reg(0x9c), 0x0200'0000U);
    EXPECT_EQ(bench.reg(0x60), 1U);
    bench.set_cr0(0x5);
    bench.set_reg(0x90, SmmuBench::kCommandQueue | 4, 8);
    bench.set_cr0(0xd);
    bench.pause(1000);
    EXPECT_EQ(cons(bench), 0U) << "CMDQEN acknowledges nothing";
    bench.set_reg(0x64, 1);
    bench.settle();
    EXPECT_EQ(cons(bench), 1U);
    EXPECT_EQ(bench.reg(0x60), 1U);
  });
}

// ---- Event queue ----

class SmmuEventQueueSizeTest : public SmmuQueuesTest,
                               public testing::WithParamInterface<unsigned> {};
INSTANTIATE_TEST_SUITE_P(, SmmuEventQueueSizeTest, testing::Values(0U, 1U, 3U, 7U));

TEST_P(SmmuEventQueueSizeTest, ProdFollowsEventByEventThroughManyWraps) {
  SmmuBench bench({});
  bench.queue_log2 = GetParam();
  bench.run([&] {
    bench.stage1_stream(kSid, 7);
    bench.boot();
    const unsigned entries = 1U << GetParam();
    for (unsigned event = 1; event <= 4 * entries + 3; ++event) {
      fault(bench, event);
      ASSERT_EQ(prod(bench), event % (2 * entries));
      ASSERT_EQ(pages(bench.events()), Pages{event});
    }
  });
}

TEST_P(SmmuEventQueueSizeTest, EveryEntryIsUsedBeforeTheQueueIsFull) {
  SmmuBench bench({});
  bench.queue_log2 = GetParam();
  bench.run([&] {
    bench.stage1_stream(kSid, 7);
    bench.boot();
    Pages expected;
    for (std::uint64_t page = 0; page < 1U << GetParam(); ++page) {
      fault(bench, page);
      expected.push_back(page);
    }
    EXPECT_EQ(prod(bench), 1U << GetParam());
    EXPECT_EQ(pages(bench.events(false)), expected);
  });
}

TEST_F(SmmuQueuesTest, OverflowIsShownOnceUntilAcknowledgedAndDoesNotStopNewEvents) {
  SmmuBench bench({});
  bench.queue_log2 = 1;
  bench.run([&] {
    bench.stage1_stream(kSid, 7);
    bench.boot();
    fault(bench, 0);
    fault(bench, 1);
    EXPECT_EQ(prod(bench), 0x0000'0002U) << "full, nothing lost";
    fault(bench, 2);
    EXPECT_EQ(prod(bench), 0x8000'0002U);
    fault(bench, 3);
    EXPECT_EQ(prod(bench), 0x8000'0002U) << "not toggled again";
    EXPECT_EQ(pages(bench.events(false)), (Pages{0, 1})) << "nothing overwritten";
    bench.set_reg(0x100ac, 0x2);  // space, without an acknowledgement
    fault(bench, 4);
    EXPECT_EQ(prod(bench), 0x8000'0003U);
    fault(bench, 5);
    fault(bench, 6);
    EXPECT_EQ(prod(bench), 0x8000'0000U) << "a second overflow cannot be shown";
    EXPECT_EQ(pages(bench.events(false)), (Pages{4, 5}));
    bench.set_reg(0x100ac, 0x8000'0000);
    fault(bench, 7);
    EXPECT_EQ(prod(bench), 0x8000'0001U);
    fault(bench, 8);
    fault(bench, 9);
    EXPECT_EQ(prod(bench), 0x0000'0002U) << "toggles back";
  });
}

TEST_F(SmmuQueuesTest, AStallWaitsForSpaceAndIsNoOverflow) {
  SmmuBench bench({});
  bench.queue_log2 = 0;
  bench.run([&] {
    bench.stage1_stream(kSid, 7, kStall);
    bench.boot();
    for (unsigned device : {0U, 1U, 2U}) stall(bench, device, device);
    EXPECT_EQ(prod(bench), 1U);
    std::array<bool, 3> seen{};
    for (unsigned event = 0; event < 3; ++event) {
      ASSERT_TRUE(bench.board.wait_until([&] { return bench.event_pending(); }));
      const auto events = bench.events();
      ASSERT_EQ(events.size(), 1U);
      EXPECT_EQ(events[0][0], kFaultOfSid5);
      EXPECT_EQ(events[0][1] & ~std::uint64_t{0xffff}, kStalledRead);
      const auto device = static_cast<unsigned>((events[0][2] - kVa) / 0x1000);
      ASSERT_LT(device, 3U);
      EXPECT_FALSE(seen.at(device)) << "one event each";
      seen.at(device) = true;
      EXPECT_FALSE(bench.board.done(device));
      abort_stall(bench, device, events[0][1]);
    }
    EXPECT_EQ(prod(bench), 1U) << "three events, no overflow";
  });
}

TEST_F(SmmuQueuesTest, WithEventqenOffEventsAreDroppedWithoutOverflowButStallsWait) {
  SmmuBench bench({});
  bench.run([&] {
    bench.stage1_stream(kSid, 7);
    bench.stage1_stream(6, 8, kStall);
    bench.boot(0x9);
    fault(bench, 0);
    std::array<std::uint8_t, 4> data{};
    bench.board.launch(0, SmmuBench::access(6, kVa, false), data.data(), 4);
    bench.pause(2000);
    EXPECT_EQ(prod(bench), 0U);
    bench.set_cr0(0xd);
    ASSERT_TRUE(bench.board.wait_until([&] { return bench.event_pending(); }));
    const auto events = bench.events();
    ASSERT_EQ(events.size(), 1U);
    EXPECT_EQ(events[0][0], 0x0000'0006'0000'0010U);
    EXPECT_EQ(events[0][1] & ~std::uint64_t{0xffff}, kStalledRead);
    bench.submit({{0x0000'0006'0000'2044, events[0][1] & 0xffff}});
    EXPECT_TRUE(bench.board.wait_until([&] { return bench.board.done(0); }));
    fault(bench, 1);
    EXPECT_EQ(pages(bench.events()), Pages{1});
  });
}

TEST_F(SmmuQueuesTest, AnEventQueueWithoutMemoryIsAnErrorAndEventsAreDroppedWhileItIsActive) {
  SmmuBench bench({});
  bench.run([&] {
    bench.stage1_stream(kSid, 7);
    bench.boot(0x9);
    bench.set_reg(0xa0, kNowhere | 4, 8);
    bench.set_cr0(0xd);
    fault(bench, 0);
    EXPECT_EQ(bench.reg(0x60), 4U) << "EVENTQ_ABT_ERR";
    EXPECT_EQ(prod(bench), 0U) << "the abort is synchronous";
    fault(bench, 1);
    EXPECT_EQ(bench.reg(0x60), 4U);
    bench.set_cr0(0x9);
    bench.set_reg(0xa0, SmmuBench::kEventQueue | 4, 8);
    bench.set_cr0(0xd);
    fault(bench, 2);
    EXPECT_EQ(prod(bench), 0U) << "the error is still active, and drops are no overflow";
    bench.set_reg(0x64, 4);
    fault(bench, 3);
    EXPECT_EQ(pages(bench.events()), Pages{3});
    EXPECT_EQ(bench.reg(0x60), 4U);
    bench.set_cr0(0x9);
    bench.set_reg(0xa0, kNowhere | 4, 8);
    bench.set_cr0(0xd);
    fault(bench, 4);
    EXPECT_EQ(bench.reg(0x60), 0U) << "active again: toggled back";
  });
}

TEST_F(SmmuQueuesTest, AStallWaitsForTheAcknowledgementOfAnErrorOfTheEventQueue) {
  SmmuBench bench({});
  bench.run([&] {
    bench.stage1_stream(6, 8);
    bench.stage1_stream(kSid, 7, kStall);
    bench.boot(0x9);
    bench.set_reg(0xa0, kNowhere | 4, 8);
    bench.set_cr0(0xd);
    EXPECT_FALSE(bench.dma(6, kVa));
    bench.sync();
    EXPECT_EQ(bench.reg(0x60), 4U);
    bench.set_cr0(0x9);
    bench.set_reg(0xa0, SmmuBench::kEventQueue | 4, 8);
    bench.set_cr0(0xd);
    stall(bench, 0, 2);
    EXPECT_FALSE(bench.board.done(0));
    EXPECT_EQ(prod(bench), 0U);
    bench.set_reg(0x64, 4);
    ASSERT_TRUE(bench.board.wait_until([&] { return bench.event_pending(); }));
    const auto events = bench.events();
    EXPECT_EQ(events.at(0)[0], kFaultOfSid5);
    EXPECT_EQ(events.at(0)[2], kVa + 0x2000);
    abort_stall(bench, 0, events.at(0)[1]);
  });
}

TEST_F(SmmuQueuesTest, AStallWhoseEventAbortedIsEndedByStallTerm) {
  SmmuBench bench({});
  bench.run([&] {
    bench.stage1_stream(kSid, 7, kStall);
    bench.boot(0x9);
    bench.set_reg(0xa0, kNowhere | 4, 8);
    bench.set_cr0(0xd);
    stall(bench, 0, 0);
    EXPECT_EQ(bench.reg(0x60), 4U);
    EXPECT_FALSE(bench.board.done(0));
    bench.set_ste(kSid, {1});                    // Config = 0: abort
    bench.command({0x0000'0005'0000'0003, 1});   // CFGI_STE
    bench.submit({{0x0000'0005'0000'0045, 0}});  // STALL_TERM
    ASSERT_TRUE(bench.board.wait_until([&] { return bench.board.done(0); }));
    EXPECT_FALSE(bench.board.result(0).ok);
  });
}

}  // namespace
}  // namespace shootdown::tests
