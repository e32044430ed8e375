// The driver's command queue, seen by two CPUs: one waits for its CMD_SYNC while the other goes on.
#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <stdexcept>

#include "fake_cpu.h"
#include "sw/mm/page_alloc.h"
#include "sw/smmu/cmdq.h"
#include "sw/smmu/commands.h"

namespace shootdown::sw::smmu {
namespace {

constexpr arch::PhysAddr kRegisters{0x0905'0000};
constexpr std::uint32_t kProd = 0x98, kCons = 0x9c;
constexpr std::uint32_t kEntries = 128;
constexpr Command kCommand = cfgi_ste(arch::StreamId{7}, true);

struct Blocked : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// An SMMU that consumes when it is told to.
class QueueCpu : public tests::FakeCpu {
 public:
  std::function<void()> on_relax;
  std::uint32_t prod{}, cons{};

  std::uint64_t mmio_read(arch::PhysAddr address, unsigned) override {
    return address.value == kRegisters.value + kCons ? cons : 0;
  }
  void mmio_write(arch::PhysAddr address, std::uint64_t value, unsigned) override {
    if (address.value == kRegisters.value + kProd) prod = static_cast<std::uint32_t>(value);
  }
  void cpu_relax() override {
    if (++turns_ > 1000) throw std::logic_error("polls in vain");
    const auto now = on_relax;  // which may put another one in its own place
    if (now) now();
  }
  /// A CMD_SYNC with CS = 1 writes its data, zero.
  void consume(arch::PhysAddr queue) {
    for (; cons != prod; cons = (cons + 1) % (2 * kEntries)) {
      const std::uint64_t slot = queue.value + cons % kEntries * 16;
      const std::uint64_t dw0 = memory[slot];
      if ((dw0 & 0x30ff) != 0x1046) continue;
      const std::uint64_t target = memory[slot + 8] & 0x000f'ffff'ffff'fffc;
      memory[target] &= ~std::uint64_t{0xffffffff};
    }
  }

 private:
  unsigned turns_{};
};

class SmmuCmdqTest : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    Features features;
    features.cmdq_log2 = 7;
    features.msi_polling = GetParam();
    ASSERT_TRUE(queue_.init(cpu_, pages_, features));
  }
  QueueCpu cpu_;
  PageAllocator pages_{arch::PhysAddr{0x8000'0000}, std::uint64_t{1} << 24};
  Registers registers_{kRegisters};
  CommandQueue queue_{registers_, 0};
};

TEST_P(SmmuCmdqTest, ASyncStaysInItsSlotUntilItsWaiterHasSeenIt) {
  // The first CPU's CMD_SYNC, in slot 1, is consumed. Before that CPU looks, another one fills the
  // queue all the way round.
  unsigned issued = 0;
  bool blocked = false;
  cpu_.on_relax = [&] {
    cpu_.consume(queue_.base());
    cpu_.on_relax = [] { throw Blocked("the other CPU waits for space"); };
    try {
      for (; issued < 2 * kEntries; ++issued) {
        queue_.issue(cpu_, kCommand);
        cpu_.consume(queue_.base());
      }
    } catch (const Blocked&) {
      blocked = true;
    }
    cpu_.on_relax = [&] { cpu_.consume(queue_.base()); };
  };
  queue_.issue_with_sync(cpu_, kCommand);
  EXPECT_TRUE(blocked);
  EXPECT_EQ(issued, kEntries - 1) << "all slots but that of the CMD_SYNC";
  // It has been seen: its slot is free.
  cpu_.on_relax = {};
  queue_.issue(cpu_, kCommand);
  EXPECT_EQ(queue_.prod(), kEntries + 2);
}

TEST_P(SmmuCmdqTest, TheSyncOfEachCpuIsItsOwn) {
  // The second CPU's CMD_SYNC completes within the first one's wait.
  unsigned seen = 0;
  cpu_.on_relax = [&] {
    cpu_.on_relax = [&] { cpu_.consume(queue_.base()); };
    queue_.issue_with_sync(cpu_, kCommand);
    ++seen;
  };
  queue_.issue_with_sync(cpu_, kCommand);
  EXPECT_EQ(seen, 1U);
  EXPECT_EQ(queue_.prod(), 4U);
  EXPECT_EQ(cpu_.preempt_count, 0U);
}

INSTANTIATE_TEST_SUITE_P(Polling, SmmuCmdqTest, testing::Bool(),
                         [](const auto& test) { return std::string(test.param ? "Msi" : "Cons"); });

}  // namespace
}  // namespace shootdown::sw::smmu
