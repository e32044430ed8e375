// Decisions that were once taken before a step that takes time and used after it: in each test the
// step is held at its choice point, software does the other thing meanwhile, and what follows has
// to be right for the order that really happened. Source: Arm IHI 0070, 3.5, 3.18, 6.3.9, 6.3.15.
#include <gtest/gtest.h>

#include <functional>

#include "support/smmu_interrupt_fixture.h"

namespace shootdown::tests {
namespace {

constexpr std::uint64_t kHoldCycles = 3000;

/// Holds the `nth` thread that comes to a choice point which `where` accepts.
class HoldAt : public hw::Chooser {
 public:
  HoldAt(hw::Simulation& simulation, unsigned nth,
         std::function<bool(const hw::ChoicePoint&)> where)
      : simulation_(simulation), nth_(nth), where_(std::move(where)) {
    simulation_.set_chooser(this);
  }
  ~HoldAt() override { simulation_.set_chooser(nullptr); }
  HoldAt(const HoldAt&) = delete;
  HoldAt& operator=(const HoldAt&) = delete;

  void choose(const hw::ChoicePoint& point) override {
    if (nth_ == 0 || !where_(point) || --nth_ != 0) return;
    holding = true;
    simulation_.hold_ps(kHoldCycles * simulation_.clock_period().value());
    holding = false;
    held = true;
  }
  bool holding{};
  bool held{};

 private:
  hw::Simulation& simulation_;
  unsigned nth_;
  std::function<bool(const hw::ChoicePoint&)> where_;
};

std::function<bool(const hw::ChoicePoint&)> write_into(std::uint64_t queue) {
  return [queue](const hw::ChoicePoint& point) {
    return point.kind == hw::ChoiceKind::kBusWrite && point.address >= queue &&
           point.address < queue + 0x1000;
  };
}

/// Hears what the SMMU publishes.
class Observer : public tlm::tlm_analysis_if<hw::Event> {
 public:
  explicit Observer(std::function<void(const hw::Event&)> hear) : hear_(std::move(hear)) {}
  void write(const hw::Event& event) override { hear_(event); }

 private:
  std::function<void(const hw::Event&)> hear_;
};

class SmmuDecisionRaceTest : public SmmuInterruptFixture {
 protected:
  SmmuBench bench{with_msi()};
  std::array<std::uint8_t, 4> data_{};
  /// Starts what takes a while, and waits until it is held.
  void launch(const conform::SmmuBoard::Access& access, const HoldAt& hold) {
    bench.board.launch(0, access, data_.data(), 4);
    ASSERT_TRUE(bench.board.wait_until([&] { return hold.holding; }));
  }
  static conform::SmmuBoard::Access request_page() {
    auto access = SmmuBench::access(kSid, kVa, false);
    access.kind = hw::StreamExtension::Kind::kPageRequest;
    access.page_request.address = {kVa};
    access.page_request.last = true;
    access.page_request.read = true;
    return access;
  }
  void wait_for_device() {
    EXPECT_TRUE(bench.board.wait_until([&] { return bench.board.done(0); }));
    bench.pause(500);
  }
};

TEST_F(SmmuDecisionRaceTest, AnEventQueueThatSoftwareEmptiesMeanwhileIsEmptyWhenProdMoves) {
  bench.run([&] {
    count(bench);
    bench.stage1_stream(kSid, 7);
    bench.boot();
    fault(bench);
    EXPECT_EQ(event_, 1U);
    HoldAt hold(bench.board.simulation(), 1, write_into(SmmuBench::kEventQueue));
    launch(SmmuBench::access(kSid, kVa, false), hold);
    EXPECT_EQ(bench.events().size(), 1U) << "the first record is taken while the second comes";
    EXPECT_TRUE(hold.holding) << "the other order has really happened";
    wait_for_device();
    EXPECT_EQ(event_, 2U) << "the second record came into an empty queue";
    EXPECT_EQ(bench.events().size(), 1U);
  });
}

TEST_F(SmmuDecisionRaceTest, APriQueueThatSoftwareEmptiesMeanwhileIsEmptyWhenProdMoves) {
  bench.run([&] {
    count(bench);
    bench.stage1_stream(kSid, 7);
    bench.boot(0xf);
    page_request(bench, true);
    EXPECT_EQ(pri_, 1U);
    HoldAt hold(bench.board.simulation(), 1, write_into(SmmuBench::kPriQueue));
    launch(request_page(), hold);
    bench.set_reg(0x100cc, bench.reg(0x100c8));
    EXPECT_TRUE(hold.holding);
    wait_for_device();
    EXPECT_EQ(pri_, 2U);
  });
}

TEST_F(SmmuDecisionRaceTest, ACommandQueueIsOffWhenItsLastCommandIsThrough) {
  bench.run([&] {
    bench.stage1_stream(kSid, 7);
    bench.boot();
    HoldAt hold(bench.board.simulation(), 1, [](const hw::ChoicePoint& point) {
      return point.kind == hw::ChoiceKind::kBusRead && point.address >= SmmuBench::kCommandQueue &&
             point.address < SmmuBench::kCommandQueue + 0x1000;
    });
    bench.submit({{0x30, 0}});  // CMD_TLBI_NSNH_ALL
    ASSERT_TRUE(bench.board.wait_until([&] { return hold.holding; }));
    bench.set_reg(0x20, 0x5);  // CMDQEN off
    bench.pause(100);
    ASSERT_TRUE(hold.holding);
    EXPECT_EQ(bench.reg(0x24) & 8, 8U) << "a command is being carried out";
    ASSERT_TRUE(bench.board.wait_until([&] { return (bench.reg(0x24) & 8) == 0; }));
    EXPECT_TRUE(hold.held);
    EXPECT_EQ(bench.reg(0x9c), 1U) << "it was the last one";
    // Software sets the queue up anew; nothing of before moves CONS.
    bench.set_reg(0x98, 0);
    bench.set_reg(0x9c, 0);
    bench.set_cr0(0xd);
    bench.pause(kHoldCycles * 2);
    EXPECT_EQ(bench.reg(0x9c), 0U);
  });
}

TEST_F(SmmuDecisionRaceTest, AnInterruptThatIsOnItsWayHoldsUpIrqCtrlack) {
  constexpr std::uint64_t kMessage = 0x4200'0000;
  bench.run([&] {
    count(bench);
    boot(bench);
    bench.set_reg(0xb0, kMessage, 8);
    bench.set_reg(0xb8, 0x77);
    set_interrupts(bench, kEventOn);
    HoldAt hold(bench.board.simulation(), 1, write_into(kMessage));
    launch(SmmuBench::access(kSid, kVa, false), hold);
    bench.set_reg(0x50, 0);
    bench.pause(100);
    ASSERT_TRUE(hold.holding);
    EXPECT_EQ(bench.reg(0x54), kEventOn);
    ASSERT_TRUE(bench.board.wait_until([&] { return bench.reg(0x54) == 0; }));
    EXPECT_TRUE(hold.held);
    EXPECT_EQ(bench.word(kMessage), 0x77U) << "what was on its way has arrived";
    wait_for_device();
  });
}

TEST_F(SmmuDecisionRaceTest, APageRequestThatIsBeingWrittenHoldsUpPriqen) {
  bench.run([&] {
    bench.stage1_stream(kSid, 7);
    bench.boot(0xf);
    HoldAt hold(bench.board.simulation(), 1, write_into(SmmuBench::kPriQueue));
    launch(request_page(), hold);
    bench.set_reg(0x20, 0xd);
    bench.pause(100);
    ASSERT_TRUE(hold.holding);
    EXPECT_EQ(bench.reg(0x24) & 2, 2U);
    ASSERT_TRUE(bench.board.wait_until([&] { return (bench.reg(0x24) & 2) == 0; }));
    EXPECT_TRUE(hold.held);
    EXPECT_EQ(bench.reg(0x100c8), 1U) << "the record is there when the queue is off";
    wait_for_device();
  });
}

TEST_F(SmmuDecisionRaceTest, AStallThatIsTerminatedWhileItsEventIsBeingWrittenEnds) {
  bench.run([&] {
    bench.stage1_stream(kSid, 7, std::uint64_t{1} << 44);  // CD.S
    bench.boot();
    HoldAt hold(bench.board.simulation(), 1, write_into(SmmuBench::kEventQueue));
    launch(SmmuBench::access(kSid, kVa, false), hold);
    bench.submit({{0x45 | std::uint64_t{kSid} << 32, 0}});  // CMD_STALL_TERM
    bench.settle();
    EXPECT_TRUE(hold.holding);
    wait_for_device();
    EXPECT_FALSE(bench.board.result(0).ok);
  });
}

TEST_F(SmmuDecisionRaceTest, WhatIsWrittenToCr0WhileItDrainsComesNext) {
  bench.run([&] {
    bench.stage1_stream(kSid, 7);
    bench.boot();
    HoldAt hold(bench.board.simulation(), 1, [](const hw::ChoicePoint& point) {
      return point.kind == hw::ChoiceKind::kBusRead && point.address >= SmmuBench::kEventQueue;
    });
    launch(SmmuBench::access(kSid, kVa, false), hold);
    bench.set_reg(0x20, 0xc);  // SMMUEN off: an access is on its way
    bench.pause(100);
    bench.set_reg(0x20, 0xf);  // on again, with the PRI queue
    bench.pause(100);
    ASSERT_TRUE(hold.holding);
    EXPECT_EQ(bench.reg(0x24), 0xdU) << "the first write has not been acknowledged yet";
    ASSERT_TRUE(bench.board.wait_until([&] { return bench.reg(0x24) == 0xf; }));
    EXPECT_TRUE(hold.held);
    wait_for_device();
    bench.pause(kHoldCycles);
    EXPECT_EQ(bench.reg(0x24), 0xfU);
  });
}

TEST_F(SmmuDecisionRaceTest, AStallWhoseRecordFoundTheQueueFullIsToldOnce) {
  bench.queue_log2 = 1;
  bench.run([&] {
    bench.stage1_stream(kSid, 7, std::uint64_t{1} << 44);  // CD.S
    bench.boot();
    unsigned stalls = 0;
    Observer observer([&](const hw::Event& event) {
      const auto* fault = event.get<hw::TranslationFault>();
      if (fault != nullptr && fault->stalled) ++stalls;
    });
    bench.board.smmu().events.bind(observer);
    // The first takes the last slot but one; two more want the last.
    HoldAt hold(bench.board.simulation(), 2, write_into(SmmuBench::kEventQueue));
    for (unsigned i = 0; i < 3; ++i) {
      bench.board.launch(i, SmmuBench::access(kSid, kVa + 0x1000 * i, false), data_.data(), 4);
    }
    ASSERT_TRUE(bench.board.wait_until([&] { return hold.held; }));
    bench.pause(1000);
    EXPECT_EQ(stalls, 2U) << "the third waits for room, and has not been reported";
    bench.submit({{0x45 | std::uint64_t{kSid} << 32, 0}});  // CMD_STALL_TERM
    bench.events();
    for (unsigned i = 0; i < 3; ++i) {
      EXPECT_TRUE(bench.board.wait_until([&] { return bench.board.done(i); })) << i;
    }
    bench.board.smmu().events.unbind(observer);
  });
}

/// Without anybody who decides, a point changes nothing.
TEST_F(SmmuDecisionRaceTest, WithoutAChooserTheSameHappensAtOnce) {
  bench.run([&] {
    count(bench);
    bench.stage1_stream(kSid, 7);
    bench.boot(0xf);
    fault(bench);
    page_request(bench, true);
    EXPECT_EQ(event_, 1U);
    EXPECT_EQ(pri_, 1U);
    EXPECT_EQ(bench.events().size(), 1U);
    fault(bench);
    EXPECT_EQ(event_, 2U);
  });
}

}  // namespace
}  // namespace shootdown::tests
