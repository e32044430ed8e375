// The seam below the replica of Linux: other software runs on the same machine, and the log, the
// limits and the verdict on what did not end are the same.
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cosim/platform/platform.h"
#include "hw/arch/smmuv3_registers.h"
#include "hw/arch/vmsa64.h"
#include "support/scenario.h"

namespace shootdown::tests {
namespace {

/// Bare metal: one program on CPU 0, without a kernel.
class BareMetal : public cosim::Software {
 public:
  using Program = std::function<void(cosim::Machine&)>;
  BareMetal(cosim::Machine& machine, Program program)
      : thread_(machine.simulation(), "bare_metal",
                [&machine, program = std::move(program)] { program(machine); }) {}
  void reset() override {}
  void start() override { thread_.start(); }
  std::vector<std::string> unfinished() const override {
    if (thread_.finished()) return {};
    return {"bare_metal"};
  }
  const std::vector<std::string>& remarks() const override { return remarks_; }

 private:
  hw::SimThread thread_;
  std::vector<std::string> remarks_;
};

class Recorder : public cosim::EventSubscriber {
 public:
  void on_event(const cosim::Event& event) override {
    seen.emplace(cosim::kind_name(event.payload));
    threads += event.thread != cosim::kNoThread ? 1 : 0;
  }
  std::set<std::string> seen;
  unsigned threads{};
};

const char* const kMachine = R"(schema_version: 1
description: Two CPUs and an SMMU.
kernel: v6.6
hardware: {cpus: 2}
processes: {app: {regions: {heap: {at: 0x10000000, pages: 1}}}}
threads: {main: {on: cpu0, process: app, steps: [{read: heap}]}}
)";

TEST(SoftwareTest, ProgramWithoutAKernelRunsOnTheMachine) {
  const auto config = load_text(kMachine);
  constexpr std::uint64_t kVa = 0x10000000;
  std::uint64_t loaded = 0;
  std::uint32_t idr0 = 0;
  std::optional<hw::CpuFault> fault;
  cosim::Platform platform(config, [&](const cosim::Config& of, cosim::Machine& machine) {
    const arch::PhysAddr base = of.hardware.memory.base;
    return std::make_unique<BareMetal>(machine, [&, base](cosim::Machine& on) {
      hw::CpuCore& core = *on.cores()[0];
      const auto store = [&](arch::PhysAddr at, std::uint64_t value) {
        ASSERT_TRUE(core.bus.write(at, &value, sizeof value));
      };
      hw::Stage1Context context;
      context.space.asid = arch::Asid{5};
      context.half[0].ttb = base;
      for (int level = 0; level < 3; ++level) {
        store(base + static_cast<unsigned>(level) * 4096U +
                  arch::vmsa64::table_index(kVa, level) * 8U,
              (base + (1 + static_cast<unsigned>(level)) * 4096U).value | 3);
      }
      const arch::PhysAddr page = base + 4 * 4096U;
      const arch::PhysAddr leaf = base + 3 * 4096U + arch::vmsa64::table_index(kVa, 3) * 8U;
      store(page + 8U, 0x1234);
      store(leaf, page.value | 0xf43);
      core.set_context(context);
      EXPECT_FALSE(core.user_access({kVa + 8}, arch::Access::kRead, loaded, 8));
      store(leaf, 0);
      core.tlbi(arch::TlbiOp::kVmalle1is, 0);
      core.dsb();
      std::uint64_t nothing = 0;
      fault = core.user_access({kVa + 8}, arch::Access::kRead, nothing, 8);
      EXPECT_TRUE(core.bus.read(on.mmus().front().registers + arch::smmuv3::reg::kIdr0, &idr0,
                                sizeof idr0));
    });
  });
  Recorder recorder;
  platform.log().subscribe(recorder);
  for (int run = 0; run < 2; ++run) {
    recorder = {};
    loaded = 0;
    fault.reset();
    EXPECT_EQ(platform.run(), cosim::RunEnd::kFinished);
    EXPECT_EQ(loaded, 0x1234U);
    ASSERT_TRUE(fault.has_value());
    EXPECT_EQ(fault->type, arch::FaultKind::kTranslation);
    EXPECT_NE(idr0, 0U);
    EXPECT_EQ(recorder.threads, 0U);
    for (const char* kind : {"tlb_fill", "tlbi", "tlb_invalidate", "dsb"}) {
      EXPECT_TRUE(recorder.seen.contains(kind)) << kind;
    }
  }
}

TEST(SoftwareTest, ProgramThatNeverEndsIsStuck) {
  const auto config = load_text(kMachine);
  cosim::Platform platform(config, [](const cosim::Config&, cosim::Machine& machine) {
    return std::make_unique<BareMetal>(machine,
                                       [](cosim::Machine& on) { on.simulation().block(); });
  });
  EXPECT_EQ(platform.run(), cosim::RunEnd::kStuck);
  EXPECT_EQ(platform.unfinished(), std::vector<std::string>{"bare_metal"});
}

}  // namespace
}  // namespace shootdown::tests
