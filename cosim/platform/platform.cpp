#include "cosim/platform/platform.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "cosim/platform/replica_software.h"

namespace shootdown::cosim {

namespace {

constexpr std::uint64_t kPicosecondsPerMicrosecond = 1'000'000;

}  // namespace

Platform::Platform(const Config& config)
    : Platform(config, [](const Config& of, Machine& machine) {
        return std::make_unique<ReplicaSoftware>(of, machine);
      }) {}

Platform::Platform(const Config& config, const SoftwareFactory& software)
    : config_(config),
      machine_(config, signals_of(config)),
      random_schedule_(machine_.simulation()),
      random_seed_(config.random_schedule) {
  if (!config.schedule.empty()) {
    schedule_ = std::make_unique<Schedule>(config.schedule, config.signals, machine_.simulation(),
                                           machine_.signals(), machine_.log());
  }
  software_ = software(config, machine_);
  machine_.simulation().elaborate();
}

Platform::~Platform() {
  machine_.make_current();
  machine_.simulation().abort_all();
  machine_.log().close();
}

/// Who decides at choice points, and, of a written schedule, hears of the points that it names.
class Platform::Order {
 public:
  explicit Order(Platform& of) : platform_(of), written_(of.schedule_ && !of.random_seed_) {
    if (platform_.random_seed_) {
      platform_.random_schedule_.set_seed(*platform_.random_seed_);
      platform_.simulation().set_chooser(&platform_.random_schedule_);
    } else if (written_) {
      platform_.schedule_->reset();
      platform_.simulation().set_chooser(platform_.schedule_.get());
      platform_.log().subscribe(*platform_.schedule_);
    }
  }
  ~Order() {
    platform_.simulation().set_chooser(nullptr);
    if (written_) platform_.log().unsubscribe(*platform_.schedule_);
  }
  Order(const Order&) = delete;
  Order& operator=(const Order&) = delete;

 private:
  Platform& platform_;
  bool written_;
};

RunEnd Platform::run() {
  machine_.make_current();
  machine_.reset();
  software_->reset();
  unfinished_.clear();
  simulation().begin_run();
  const Order order(*this);
  log().open();
  machine_.power_on();
  software_->start();
  RunEnd end;
  try {
    end = advance();
  } catch (...) {
    log().close();
    simulation().abort_all();
    throw;
  }
  simulated_ps_ = simulation().now_ps();
  for (const auto& engine : machine_.rtl()) engine->report_assertions();
  unfinished_ = software_->unfinished();
  for (const DeviceThread& thread : config_.device_threads) {
    const hw::SimThread& program = machine_.devices()[thread.device]->sim_thread();
    if (program.finished()) continue;
    const auto signal = machine_.signals().awaited_by(program);
    unfinished_.push_back(
        signal ? fmt::format("{} (waits for {})", thread.name, signal_name(config_, *signal))
               : thread.name);
  }
  if (end == RunEnd::kFinished && !unfinished_.empty()) end = RunEnd::kStuck;
  remarks_ = software_->remarks();
  if (schedule_ && !random_seed_) {
    for (std::string& remark : schedule_->remarks()) remarks_.push_back(std::move(remark));
  }
  log().close();
  simulation().abort_all();
  return end;
}

RunEnd Platform::advance() {
  using Clock = std::chrono::steady_clock;
  const auto deadline = Clock::now() + std::chrono::seconds(config_.limits.wall_seconds);
  const std::uint64_t limit_ps = config_.limits.simulated_us * kPicosecondsPerMicrosecond;
  // The wall clock is looked at between slices of simulated time.
  const std::uint64_t slice_ps = 100 * kPicosecondsPerMicrosecond;
  for (;;) {
    const std::uint64_t until = simulation().next_activity_ps() + slice_ps;
    simulation().run_until(std::min(until, limit_ps));
    if (simulation().stop_requested()) return RunEnd::kStopped;
    if (simulation().quiet()) return RunEnd::kFinished;
    if (simulation().next_activity_ps() >= limit_ps) return RunEnd::kTimeLimit;
    if (Clock::now() >= deadline) return RunEnd::kWallLimit;
  }
}

}  // namespace shootdown::cosim
