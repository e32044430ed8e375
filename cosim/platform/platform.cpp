#include "cosim/platform/platform.h"

#include <fmt/format.h>

#include <chrono>

#include "cosim/observe/format.h"
#include "sw/mm/memory.h"
#include "sw/mm/mmap.h"

namespace shootdown::cosim {

namespace {

/// What a step that failed says of it.
std::string failure_of(const MemoryOperation& operation) {
  switch (operation.kind) {
    case MemoryOperation::Kind::kPin:
      return "could not pin all from " + hex(operation.start) + " on";
    case MemoryOperation::Kind::kUnpin:
      return "has pinned nothing at " + hex(operation.start);
    case MemoryOperation::Kind::kMprotect:
      return "mprotect met a hole after " + hex(operation.start);
    case MemoryOperation::Kind::kMremap:
      return "the kernel refused to map at " + hex(operation.to);
    default:
      return "the kernel refused to map at " + hex(operation.start);
  }
}

}  // namespace

namespace {

constexpr std::uint64_t kPicosecondsPerMicrosecond = 1'000'000;
constexpr unsigned kInterruptCpu = 0;  // where the SMMU's interrupts and fault worker run

}  // namespace

Platform::Platform(const Config& config) : config_(config) {
  const HardwareConfig& hardware = config.hardware;
  const auto period = sc_core::sc_time::from_value(hardware.clock_period_ps);
  simulation_ = std::make_unique<hw::Simulation>(period);
  simulation_->set_quantum(period * hardware.quantum_cycles);
  log_ = std::make_unique<EventLog>(*simulation_);
  rtl_context_ = std::make_unique<RtlContext>();
  build_hardware();
  build_tasks();
  simulation_->elaborate();
}

Platform::~Platform() {
  kernel_.make_current();
  simulation_->abort_all();
  log_->close();
}

void Platform::probe(hw::EventPort& port, ActorId actor) {
  probes_.push_back(std::make_unique<HardwareProbe>(*log_, actor));
  port.bind(*probes_.back());
}

std::unique_ptr<RtlTlbEngine> Platform::make_rtl(const std::string& name, TlbModel model,
                                                 const hw::TlbGeometry& geometry, ActorId actor) {
  auto engine = std::make_unique<RtlTlbEngine>(*simulation_, *rtl_context_, name, geometry,
                                               model == TlbModel::kLockstep);
  probe(engine->events, actor);
  return engine;
}

void Platform::build_hardware() {
  const HardwareConfig& hardware = config_.hardware;
  const sc_core::sc_time& period = simulation_->clock_period();
  memory_ = std::make_unique<hw::PhysicalMemory>(hardware.memory.base, hardware.memory.size_bytes);
  memory_controller_ = std::make_unique<hw::MemoryController>(
      "memory", *memory_, period * hardware.memory.latency_cycles);
  interconnect_ = std::make_unique<hw::Interconnect>("interconnect",
                                                     period * hardware.interconnect_latency_cycles);
  dvm_ = std::make_unique<hw::DvmNetwork>(*simulation_, hardware.dvm_latency_cycles);
  signals_ = std::make_unique<hw::SignalBoard>(*simulation_,
                                               thread_ended_signal(config_.cpu_threads.size()));
  random_schedule_ = std::make_unique<RandomSchedule>(*simulation_);
  random_seed_ = config_.random_schedule;
  if (!config_.schedule.empty()) {
    schedule_ = std::make_unique<Schedule>(config_.schedule, config_.signals, *simulation_,
                                           *signals_, *log_);
  }
  interconnect_->add_window(hardware.memory.base, hardware.memory.size_bytes, false);
  interconnect_->out.bind(memory_controller_->in);

  const auto engine_for = [&](const std::string& name, TlbModel model,
                              const hw::TlbGeometry& geometry, ActorId actor) {
    if (model == TlbModel::kSystemc) return static_cast<hw::TlbEngine*>(nullptr);
    rtl_.push_back(make_rtl(name, model, geometry, actor));
    return static_cast<hw::TlbEngine*>(rtl_.back().get());
  };
  for (unsigned i = 0; i < hardware.cpus; ++i) {
    const std::string name = fmt::format("cpu{}", i);
    cpu_actors_.push_back(log_->add_actor(ActorRole::kCpu, name));
    hw::TlbEngine* engine = engine_for(name + "_tlb", hardware.cpu_tlb_model,
                                       hardware.cpu.translator.tlb, cpu_actors_.back());
    cores_.push_back(
        std::make_unique<hw::CpuCore>(name.c_str(), *simulation_, *dvm_, hardware.cpu, engine));
    cores_.back()->bus.out.bind(interconnect_->in);
    probe(cores_.back()->events, cpu_actors_.back());
    schedulers_.push_back(std::make_unique<CpuScheduler>(*simulation_));
    interrupts_.push_back(std::make_unique<CpuInterrupts>(*simulation_));
  }
  smmu_actor_ = log_->add_actor(ActorRole::kSecondaryMmu, "smmu0");
  hw::TlbEngine* smmu_engine = engine_for("smmu0_tlb", hardware.smmu_tlb_model,
                                          hardware.smmu.mmu.translator.tlb, smmu_actor_);
  smmu_ = std::make_unique<hw::Smmu>("smmu0", *simulation_, *dvm_, hardware.smmu, smmu_engine);
  smmu_->bus.out.bind(interconnect_->in);
  interconnect_->add_window(kSmmuRegisters, arch::smmuv3::kRegisterBytes, true);
  interconnect_->out.bind(smmu_->registers_in);
  probe(smmu_->events, smmu_actor_);

  for (const DeviceConfig& device : config_.devices) {
    devices_.push_back(
        std::make_unique<hw::DmaDevice>(device.name.c_str(), *simulation_, *signals_, device.dma));
    hw::DmaDevice& model = *devices_.back();
    model.out.bind(smmu_->devices);
    device_actors_.push_back(log_->add_actor(ActorRole::kDevice, device.name, smmu_actor_,
                                             device.dma.stream_id.value));
    atc_actors_.push_back(device_actors_.back());
    probe(model.events, device_actors_.back());
    if (device.dma.atc) {
      atc_actors_.back() =
          log_->add_actor(ActorRole::kAtc, device.name + ".atc", device_actors_.back());
      probe(model.atc_events, atc_actors_.back());
      smmu_->attach_atc(device.dma.stream_id, model);
    }
  }
  for (const DeviceThread& thread : config_.device_threads) {
    devices_[thread.device]->set_program(thread.steps);
  }
}

void Platform::build_tasks() {
  const auto place = [&](unsigned cpu, bool interrupt_context) {
    return Task::Place{.simulation = *simulation_,
                       .core = *cores_[cpu],
                       .scheduler = interrupt_context ? nullptr : schedulers_[cpu].get(),
                       .interrupts = interrupts_,
                       .log = *log_,
                       .cpu = cpu,
                       .actor = cpu_actors_[cpu]};
  };
  boot_ = std::make_unique<Task>("boot", place(0, false), Priority::kUser,
                                 [this](Task& task) { boot(task); });
  event_thread_ = std::make_unique<Task>(
      "evtq", place(kInterruptCpu, false), Priority::kInterruptThread, [this](Task& task) {
        for (;;) {
          while (!software_->event_pending) task.sleep_on(software_->event_interrupt());
          software_->event_pending = false;
          software_->smmu().evtq_thread(task, software_->faults());
          software_->smmu().priq_thread(task);
        }
      });
  fault_worker_ = std::make_unique<Task>("iopf", place(kInterruptCpu, false), Priority::kWorker,
                                         [this](Task& task) { software_->faults().worker(task); });
  gerror_ = std::make_unique<Task>("gerror", place(kInterruptCpu, true), Priority::kInterruptThread,
                                   [this](Task& task) { software_->smmu().gerror_handler(task); });
  rcu_ = std::make_unique<Task>("rcu", place(kInterruptCpu, false), Priority::kWorker,
                                [this](Task& task) { software_->kernel().rcu.thread(task); });
  for (unsigned cpu = 0; cpu < config_.hardware.cpus; ++cpu) {
    interrupt_handlers_.push_back(std::make_unique<Task>(
        fmt::format("ipi{}", cpu), place(cpu, true), Priority::kInterruptThread,
        [this](Task& task) { serve_interrupts(task); }));
  }
  const auto wake_event_thread = [this] {
    software_->event_pending = true;
    event_thread_->wake_all(software_->event_interrupt());
  };
  smmu_->interrupt.event.connect(wake_event_thread);
  smmu_->interrupt.pri.connect(wake_event_thread);
  smmu_->interrupt.gerror.connect([this] { gerror_->start(); });
  for (std::size_t i = 0; i < config_.cpu_threads.size(); ++i) {
    const CpuThread& program = config_.cpu_threads[i];
    programs_.push_back(std::make_unique<Task>(program.name, place(program.cpu, false),
                                               Priority::kUser,
                                               [this, i](Task& task) { run_program(task, i); }));
  }
}

void Platform::serve_interrupts(Task& task) {
  CpuInterrupts& interrupts = *interrupts_[task.id()];
  for (;;) {
    interrupts.take();
    simulation_->choice(hw::ChoiceKind::kIpi);
    task.core().spend_cycles(config_.hardware.ipi_latency_cycles);
    {
      const sw::FunctionTrace trace(task, "generic_smp_call_function_interrupt");
      software_->kernel().smp.interrupt(task);
    }
    interrupts.end();
  }
}

// ---- Programs --------------------------------------------------------------------------------

void Platform::boot(Task& task) {
  software_->boot(task);
  event_thread_->start();
  fault_worker_->start();
  rcu_->start();
  for (auto& handler : interrupt_handlers_) handler->start();
  for (auto& program : programs_) program->start();
  for (auto& device : devices_) device->start_program();
}

void Platform::load_context(Task& task, sw::Mm& mm) {
  if (software_->tracks_cpus()) {
    // The kernel keeps books on what each CPU has loaded: every switch goes through it.
    task.on_switch([&task, &mm] { mm.arch.switch_mm(task, mm); },
                   [&task, &mm] { mm.arch.enter_lazy_tlb(task, mm); });
  }
  mm.arch.switch_mm(task, mm);
}

void Platform::exit_process(Task& task, std::size_t process) {
  // The other threads of the process have to end first, as exit_group() sees to.
  for (std::size_t i = 0; i < config_.cpu_threads.size(); ++i) {
    const bool other = config_.cpu_threads[i].process == process && programs_[i].get() != &task;
    if (other) task.wait_for(*signals_, thread_ended_signal(i));
  }
  sw::exit_mmap(task, software_->mm(process));
}

void Platform::run_program(Task& task, std::size_t number) {
  const CpuThread& program = config_.cpu_threads[number];
  if (config_.processes[program.process].fork_of) {
    task.wait_for(*signals_, process_born_signal(program.process));
  }
  load_context(task, software_->mm(program.process));
  PinnedPages pinned;
  struct Runner {
    Platform& platform;
    Task& task;
    const CpuThread& program;
    PinnedPages& pinned;
    bool operator()(const CpuAccess& s) const { return platform.run_step(task, program, s); }
    bool operator()(const MemoryOperation& s) const {
      if (s.kind == MemoryOperation::Kind::kExit) {
        platform.exit_process(task, program.process);
        return false;
      }
      if (s.kind == MemoryOperation::Kind::kFork) {
        platform.software_->fork(task, s.process);
        platform.signals_->raise(platform.process_born_signal(s.process));
        return true;
      }
      if (!perform(task, *platform.software_, program.process, s, pinned)) {
        platform.remarks_.push_back(program.name + ": " + failure_of(s));
      }
      return true;
    }
    bool operator()(const Delay& s) const {
      task.delay(s.cycles);
      return true;
    }
    bool operator()(const WaitFor& s) const {
      task.wait_for(*platform.signals_, s.signal);
      return true;
    }
    bool operator()(const Signal& s) const {
      task.delay(0);
      platform.signals_->raise(s.signal);
      return true;
    }
  };
  for (const CpuStep& step : program.steps) {
    if (!std::visit(Runner{*this, task, program, pinned}, step)) break;
  }
  task.delay(0);
  signals_->raise(thread_ended_signal(number));
}

bool Platform::run_step(Task& task, const CpuThread& program, const CpuAccess& step) {
  sw::Mm& mm = software_->mm(program.process);
  for (std::uint64_t i = 0; i < step.count; ++i) {
    const arch::VirtAddr va = step.va + i * step.stride_bytes;
    std::uint64_t data = step.value;
    while (task.user_access(va, step.access, data, step.bytes)) {
      const bool write = step.access == arch::Access::kWrite;
      switch (sw::fault_in(task, mm, va, {.write = write, .remote = false})) {
        case sw::VmFault::kHandled:
          break;
        case sw::VmFault::kOom:
          SoftwareStack::out_of_memory();
        case sw::VmFault::kWaitUserfault:
        case sw::VmFault::kWaitMigration:
        case sw::VmFault::kSigsegv:
          remarks_.push_back(
              fmt::format("{}: SIGSEGV at {}, the thread ends here", program.name, hex(va)));
          return false;
      }
    }
  }
  return true;
}

std::string Platform::signal_name(unsigned signal) const {
  if (signal < config_.signals.size()) return "signal " + config_.signals[signal];
  signal -= static_cast<unsigned>(config_.signals.size());
  if (signal < config_.processes.size()) return "the fork of " + config_.processes[signal].name;
  signal -= static_cast<unsigned>(config_.processes.size());
  return "the end of " + config_.cpu_threads[signal].name;
}

// ---- Runs ------------------------------------------------------------------------------------

void Platform::reset() {
  memory_->reset();
  dvm_->reset();
  signals_->reset();
  if (schedule_) schedule_->reset();
  smmu_->reset();
  for (auto& core : cores_) core->reset();
  for (auto& device : devices_) device->reset();
  for (auto& scheduler : schedulers_) scheduler->reset();
  for (Task* task :
       {boot_.get(), event_thread_.get(), fault_worker_.get(), gerror_.get(), rcu_.get()}) {
    task->reset();
  }
  for (auto& handler : interrupt_handlers_) handler->reset();
  for (auto& interrupts : interrupts_) interrupts->reset();
  for (auto& program : programs_) program->reset();
  unfinished_.clear();
  remarks_.clear();
  software_ = std::make_unique<SoftwareStack>(config_);
}

RunEnd Platform::run() {
  kernel_.make_current();
  rtl_context_->make_current();
  reset();
  simulation_->begin_run();
  // Who decides at choice points, and, of a written schedule, hears of the points that it names.
  struct Order {
    Platform& platform;
    bool written;
    explicit Order(Platform& of) : platform(of), written(of.schedule_ && !of.random_seed_) {
      if (platform.random_seed_) {
        platform.random_schedule_->set_seed(*platform.random_seed_);
        platform.simulation_->set_chooser(platform.random_schedule_.get());
      } else if (written) {
        platform.simulation_->set_chooser(platform.schedule_.get());
        platform.log_->subscribe(*platform.schedule_);
      }
    }
    ~Order() {
      platform.simulation_->set_chooser(nullptr);
      if (written) platform.log_->unsubscribe(*platform.schedule_);
    }
    Order(const Order&) = delete;
    Order& operator=(const Order&) = delete;
  } const order(*this);
  log_->open();
  for (auto& engine : rtl_) engine->start();
  dvm_->start();
  smmu_->start();
  for (auto& device : devices_) device->power_on();
  boot_->start();
  RunEnd end;
  try {
    end = advance();
  } catch (...) {
    log_->close();
    simulation_->abort_all();
    throw;
  }
  simulated_ps_ = simulation_->now_ps();
  for (auto& engine : rtl_) engine->report_assertions();
  const auto note_unfinished = [this](const std::string& name, const hw::SimThread& process) {
    if (process.finished()) return;
    const auto signal = signals_->awaited_by(process);
    unfinished_.push_back(signal ? fmt::format("{} (waits for {})", name, signal_name(*signal))
                                 : name);
  };
  for (const auto& program : programs_) note_unfinished(program->name(), program->process());
  for (const DeviceThread& thread : config_.device_threads) {
    note_unfinished(thread.name, devices_[thread.device]->process());
  }
  if (end == RunEnd::kFinished && !unfinished_.empty()) end = RunEnd::kStuck;
  if (schedule_ && !random_seed_) {
    for (std::string& remark : schedule_->remarks()) remarks_.push_back(std::move(remark));
  }
  log_->close();
  simulation_->abort_all();
  return end;
}

RunEnd Platform::advance() {
  using Clock = std::chrono::steady_clock;
  const auto deadline = Clock::now() + std::chrono::seconds(config_.limits.wall_seconds);
  const std::uint64_t limit_ps = config_.limits.simulated_us * kPicosecondsPerMicrosecond;
  // The wall clock is looked at between slices of simulated time.
  const std::uint64_t slice_ps = 100 * kPicosecondsPerMicrosecond;
  for (;;) {
    const std::uint64_t until = simulation_->next_activity_ps() + slice_ps;
    simulation_->run_until(std::min(until, limit_ps));
    if (simulation_->stop_requested()) return RunEnd::kStopped;
    if (simulation_->quiet()) return RunEnd::kFinished;
    if (simulation_->next_activity_ps() >= limit_ps) return RunEnd::kTimeLimit;
    if (Clock::now() >= deadline) return RunEnd::kWallLimit;
  }
}

}  // namespace shootdown::cosim
