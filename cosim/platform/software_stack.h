// The software of one run: kernel state, address spaces, driver, fault queue. Made anew for each
// run.
#ifndef SHOOTDOWN_COSIM_PLATFORM_SOFTWARE_STACK_H
#define SHOOTDOWN_COSIM_PLATFORM_SOFTWARE_STACK_H

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cosim/config/config.h"
#include "sw/iommu/iopf.h"
#include "sw/mm/arch_mmu.h"
#include "sw/mm/mm_types.h"
#include "sw/smmu/arm_smmu_v3.h"
#include "sw/smmu/iopf.h"
#include "sw/smmu/sva.h"

namespace shootdown::cosim {

class SoftwareStack {
 public:
  /// `registers`: where the SMMU's are. `config` outlives the stack.
  SoftwareStack(const Config& config, arch::PhysAddr registers);

  /// Boots: driver, address spaces, regions, SVA binds. Throws std::runtime_error if the simulated
  /// memory does not suffice.
  void boot(sw::Cpu& cpu);

  /// The user gave the machine too little memory. Throws std::runtime_error.
  [[noreturn]] static void out_of_memory();

  /// The child of a fork: its address space exists from here on.
  void fork(sw::Cpu& cpu, std::size_t child);
  const RegionConfig& region(std::size_t process, std::size_t region) const {
    return config_.processes[process].regions[region];
  }
  /// The file of a region; null: anonymous.
  sw::File* file(std::size_t process, std::size_t region);
  /// The area that a region becomes.
  sw::Vma vma_of(sw::Cpu& cpu, std::size_t process, std::size_t region);
  bool tracks_cpus() const { return arch_->tracks_cpus(); }
  sw::KernelState& kernel() { return kernel_; }
  sw::Mm& mm(std::size_t process) { return *mms_[process]; }
  sw::smmu::ArmSmmuDevice& smmu() { return smmu_; }
  sw::smmu::StalledEvents& stalled_events() { return stalled_events_; }
  sw::iommu::IopfQueue& faults() { return faults_; }
  sw::WaitQueue& event_interrupt() { return event_interrupt_; }
  bool event_pending{};

 private:
  const Config& config_;
  sw::KernelState kernel_;
  std::unique_ptr<sw::ArchMmu> arch_;
  sw::smmu::ArmSmmuDevice smmu_;
  sw::smmu::Sva sva_;
  sw::iommu::IopfQueue faults_;
  sw::smmu::StalledEvents stalled_events_;
  sw::WaitQueue event_interrupt_;
  std::unique_ptr<sw::Mm> create_mm(sw::Cpu& cpu, std::size_t process);
  void attach(sw::Cpu& cpu, const DeviceConfig& device);

  std::map<std::string, std::unique_ptr<sw::File>> files_;  // by name, or process and region
  std::vector<std::unique_ptr<sw::Mm>> mms_;                // null: not forked yet
  std::map<std::size_t, std::unique_ptr<sw::smmu::Domain>> dma_domains_;  // by process
  std::vector<std::unique_ptr<sw::smmu::Master>> masters_;
};

}  // namespace shootdown::cosim

#endif
