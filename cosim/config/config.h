// One experiment, as validated data. Every default of a configuration file is a default here.
#ifndef SHOOTDOWN_COSIM_CONFIG_CONFIG_H
#define SHOOTDOWN_COSIM_CONFIG_CONFIG_H

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "cosim/config/architecture_config.h"
#include "cosim/config/schedule_config.h"
#include "cosim/observe/vocabulary.h"
#include "hw/arch/types.h"
#include "hw/device/dma_config.h"
#include "hw/mmu/mmu_config.h"
#include "hw/smmu/smmu_config.h"
#include "sw/kernel/injections.h"
#include "sw/kernel/version.h"

namespace shootdown::cosim {

enum class TlbModel : std::uint8_t { kSystemc, kRtl, kLockstep };

struct MemoryConfig {
  arch::PhysAddr base{0x80000000};
  std::uint64_t size_bytes{64 << 20};
  unsigned latency_cycles{40};
};

struct HardwareConfig {
  std::string preset;  ///< empty: none
  unsigned clock_period_ps{1000};
  unsigned quantum_cycles{0};
  unsigned cpus{2};
  MemoryConfig memory;
  unsigned interconnect_latency_cycles{10};  ///< added to every memory and register access
  unsigned dvm_latency_cycles{10};           ///< of a broadcast TLBI on its way to another observer
  unsigned ipi_latency_cycles{100};          ///< from an IPI's sending to its handler
  unsigned context_switch_cycles{100};       ///< a CPU loads another process's tables
  unsigned relax_cycles{50};                 ///< one turn of a polling loop, cpu_relax()
  TlbModel cpu_tlb_model{TlbModel::kSystemc};
  hw::MmuConfig cpu;
  bool range_tlbi{true};  ///< FEAT_TLBIRANGE and FEAT_TTL
  TlbModel smmu_tlb_model{TlbModel::kSystemc};
  hw::SmmuConfig smmu;
};

enum class RegionKind : std::uint8_t {
  kAnonymous,
  kSharedFile,
  kPrivateFile,
  kPfnmap,   ///< frames of a driver
  kHugetlb,  ///< a shared mapping of a file in hugetlbfs
};

struct RegionConfig {
  std::string name;
  arch::VirtAddr start{};
  std::uint64_t bytes{};
  RegionKind kind{RegionKind::kAnonymous};
  bool writable{true};
  unsigned page_shift{arch::kPageShift};
  std::string file;       ///< regions of the same name share it; empty: a file of its own
  bool mapped_by_step{};  ///< by a step `mmap`, not at the start
  arch::VirtAddr end() const { return start + bytes; }
};

struct ProcessConfig {
  std::string name;
  std::vector<RegionConfig> regions;
  std::optional<std::size_t> fork_of;  ///< index of the parent; it begins with a step `fork`
};

struct DeviceConfig {
  std::string name;
  std::size_t process{};  ///< index
  std::size_t mmu{};      ///< index of the secondary MMU it is behind
  hw::DmaDeviceConfig dma;
};

// Steps of a thread on a CPU. Devices have hw::DmaStep; what both have is the same.
using Access = hw::DmaAccess;
using Delay = hw::DmaDelay;
using WaitFor = hw::DmaWaitFor;
using Signal = hw::DmaSignal;
struct StepKind;  // an entry of the table in cosim/program/step.h
/// A step that asks the kernel to change mappings: a system call, or work of a kernel thread.
struct MemoryOperation {
  const StepKind* kind{};
  std::size_t region{};  ///< of the thread's process: where `start` lies
  arch::VirtAddr start{};
  arch::VirtAddr end{};   ///< exclusive
  bool write{};           ///< mprotect: the new protection; pin: to write
  bool free{};            ///< madvise: MADV_FREE, else MADV_DONTNEED
  arch::VirtAddr to{};    ///< mremap
  std::size_t process{};  ///< fork: the child, index
};
struct CpuStep;
struct Repeat {
  std::uint64_t times{};
  std::vector<CpuStep> steps;
};
struct CpuStep : std::variant<Access, MemoryOperation, Delay, WaitFor, Signal, Repeat> {
  using variant::variant;
};

struct CpuThread {
  std::string name;
  unsigned cpu{};
  std::size_t process{};  ///< index
  std::vector<CpuStep> steps;
};
struct DeviceThread {
  std::string name;
  std::size_t device{};  ///< index
  std::vector<hw::DmaStep> steps;
};

/// Which kernels an expectation speaks of: a comparison of releases, or one change in or out.
struct KernelCondition {
  enum class Kind : std::uint8_t {
    kLess,
    kLessEqual,
    kEqual,
    kGreaterEqual,
    kGreater,
    kWith,
    kWithout,
    kAny
  };
  Kind kind{Kind::kAny};
  sw::Release release;
  const sw::KernelChange* change{};
  bool matches(const sw::KernelVersion& kernel) const;
};

/// A bound on a total of a run.
struct CostExpectation {
  enum class Kind : std::uint8_t { kEqual, kAtMost, kAtLeast };
  CostKind cost{};
  Kind kind{};
  std::uint64_t value{};
};

struct Expectation {
  KernelCondition kernel;
  std::vector<ViolationKind> violations;  ///< all must be found; empty: none may be found
  std::optional<Hop> missing_hop;         ///< of each of them
  std::vector<CostExpectation> cost;
  std::string origin;  ///< `file:line`, or --set
};

struct CheckerConfig {
  unsigned fault_loop_faults{16};  ///< faults in a row, although the entry permits the access
};

struct LimitConfig {
  std::uint64_t simulated_us{10'000};
  unsigned wall_seconds{60};
};

struct Config {
  std::string path;
  std::string name;  ///< file name without folder and ending
  std::string description;
  sw::KernelVersion kernel;
  ArchitectureConfig architecture;
  std::uint64_t seed{1};  ///< of random replacement
  /// Delays drawn from this seed, in the place of the written schedule.
  std::optional<std::uint64_t> random_schedule;
  HardwareConfig hardware;
  std::vector<ProcessConfig> processes;
  std::vector<DeviceConfig> devices;
  std::vector<std::string> signals;  ///< names; steps refer to them by index
  std::vector<CpuThread> cpu_threads;
  std::vector<DeviceThread> device_threads;
  std::vector<Hold> schedule;
  sw::SoftwareInjections software_injections;
  std::vector<std::string> injections;  ///< names of all that are planted
  CheckerConfig checkers;
  LimitConfig limits;
  std::vector<Expectation> expect;

  /// The first expectation that speaks of this kernel, or null.
  const Expectation* expectation() const;
};

}  // namespace shootdown::cosim

#endif
