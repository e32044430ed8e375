#include "cosim/platform/software_stack.h"

#include <stdexcept>

#include "sw/arch/arm64/arm64_mmu.h"
#include "sw/arch/generic/generic_mmu.h"
#include "sw/arch/x86/x86_mmu.h"
#include "sw/mm/fork.h"
#include "sw/mm/mmap.h"
#include "sw/smmu/attach.h"

namespace shootdown::cosim {

void SoftwareStack::out_of_memory() {
  throw std::runtime_error(
      "the simulated memory does not suffice (raise hardware.memory.size_bytes)");
}

namespace {

sw::GatherShape shape_of(const ArchitectureConfig& architecture,
                         const sw::KernelBehaviour& kernel) {
  sw::GatherShape shape = *sw::gather_shape(architecture.shape, kernel);
  if (!architecture.knobs) return shape;
  shape.config.knobs = *architecture.knobs;
  const sw::TableRoute route =
      architecture.knobs->table_free ? sw::TableRoute::kTable : sw::TableRoute::kPage;
  for (sw::TableRule& rule : shape.config.tables) {
    if (rule.route != sw::TableRoute::kFolded) rule.route = route;
  }
  return shape;
}

std::unique_ptr<sw::ArchMmu> make_arch(const Config& config, const sw::KernelBehaviour& kernel) {
  const ArchitectureConfig& architecture = config.architecture;
  switch (architecture.kind) {
    case ArchitectureConfig::Kind::kArm64:
      return std::make_unique<sw::Arm64Mmu>(
          sw::Arm64Features{.tlbi_range = config.hardware.range_tlbi,
                            .ttl = config.hardware.range_tlbi},
          kernel);
    case ArchitectureConfig::Kind::kX86:
      return std::make_unique<sw::X86Mmu>(shape_of(architecture, kernel), kernel);
    case ArchitectureConfig::Kind::kGeneric:
      break;
  }
  return std::make_unique<sw::GenericMmu>(
      shape_of(architecture, kernel),
      architecture.broadcast ? sw::ShootdownBy::kBroadcast : sw::ShootdownBy::kIpi, kernel);
}

/// CPUs that go with the SMMU: as many physical address bits and ASIDs, so that they can share
/// address spaces.
sw::smmu::HostProperties host_of(const Config& config) {
  const hw::SmmuFeatures& features = config.hardware.smmu.features;
  const sw::KernelBehaviour behaviour = config.kernel.behaviour();
  return {.cpu_pa_bits = features.output_bits,
          .cpu_asid_bits = features.asid16 ? 16U : 8U,
          .looks_for_type_overrides = behaviour.smmu_type_overrides,
          .looks_for_httu = behaviour.smmu_httu};
}

}  // namespace

SoftwareStack::SoftwareStack(const Config& config, arch::PhysAddr registers)
    : config_(config),
      kernel_(config.kernel.behaviour(), config.software_injections,
              sw::PageAllocator(config.hardware.memory.base, config.hardware.memory.size_bytes),
              config.hardware.cpus),
      arch_(make_arch(config, kernel_.behaviour)),
      smmu_(kernel_, {.registers = registers,
                      .host = host_of(config),
                      .use_broadcast = config.hardware.smmu.features.broadcast}),
      sva_(smmu_),
      stalled_events_(smmu_, sva_, faults_) {}

sw::File* SoftwareStack::file(std::size_t process, std::size_t region) {
  // A fork shares the files of its parent.
  while (config_.processes[process].fork_of) process = *config_.processes[process].fork_of;
  const RegionConfig& config = config_.processes[process].regions[region];
  if (config.kind == RegionKind::kAnonymous) return nullptr;
  // No name of a file has a dot.
  const std::string name =
      config.file.empty() ? config_.processes[process].name + "." + config.name : config.file;
  std::unique_ptr<sw::File>& file = files_[name];
  if (!file) file = std::make_unique<sw::File>();
  return file.get();
}

sw::Vma SoftwareStack::vma_of(sw::Cpu& cpu, std::size_t process, std::size_t number) {
  const RegionConfig& config = region(process, number);
  sw::Vma vma;
  vma.start = config.start;
  vma.end = config.end();
  vma.protection = {.read = true, .write = config.writable};
  vma.shared = config.kind != RegionKind::kAnonymous && config.kind != RegionKind::kPrivateFile;
  vma.file = file(process, number);
  vma.page_shift = config.page_shift;
  vma.pfnmap = config.kind == RegionKind::kPfnmap;
  if (config.kind == RegionKind::kHugetlb) vma.hugetlb_page_size = arch::page_bytes(21);
  if (vma.pfnmap) {
    // The driver's frames, made when somebody first asks for them.
    for (std::uint64_t offset = 0; offset < config.bytes; offset += arch::kPageSize) {
      if (vma.file->frames.contains(offset)) continue;
      sw::Page* frame = kernel_.pages.alloc_pages(cpu, 0, sw::PageUse::kDriver);
      if (frame == nullptr) out_of_memory();
      if (!vma.file->frames.emplace(offset, frame).second) kernel_.pages.put_page(cpu, *frame);
    }
  }
  return vma;
}

std::unique_ptr<sw::Mm> SoftwareStack::create_mm(sw::Cpu& cpu, std::size_t process) {
  const auto number = static_cast<unsigned>(process + 1);
  // ASID 0 is the kernel's.
  auto mm = sw::mm_create(cpu, kernel_, *arch_, {number},
                          arch::Asid{static_cast<std::uint16_t>(number + 2)});
  if (!mm) out_of_memory();
  return mm;
}

void SoftwareStack::fork(sw::Cpu& cpu, std::size_t child) {
  const sw::FunctionTrace trace(cpu, "kernel_clone");
  auto mm = create_mm(cpu, child);
  sw::dup_mmap(cpu, *mms_[*config_.processes[child].fork_of], *mm);
  mms_[child] = std::move(mm);
}

void SoftwareStack::boot(sw::Cpu& cpu) {
  if (!config_.devices.empty()) {
    if (!smmu_.probe(cpu)) out_of_memory();
    if (!smmu_.features().sva) {
      throw std::runtime_error(
          "the driver does not share address spaces with this SMMU: hardware.smmu.granules lacks "
          "the "
          "CPUs' page size");
    }
  }
  for (std::size_t i = 0; i < config_.processes.size(); ++i) {
    mms_.emplace_back();
    if (config_.processes[i].fork_of) continue;
    mms_.back() = create_mm(cpu, i);
    for (std::size_t r = 0; r < config_.processes[i].regions.size(); ++r) {
      if (!region(i, r).mapped_by_step) sw::do_mmap(cpu, *mms_[i], vma_of(cpu, i, r));
    }
  }
  for (const DeviceConfig& device : config_.devices) attach(cpu, device);
  // Drivers come after the bus: all devices are attached when the first is bound.
  for (std::size_t i = 0; i < config_.devices.size(); ++i) {
    const DeviceConfig& device = config_.devices[i];
    if (sva_.bind(cpu, *mms_[device.process], device.dma.substream_id.value(), *masters_[i]) ==
        nullptr) {
      out_of_memory();
    }
  }
}

void SoftwareStack::attach(sw::Cpu& cpu, const DeviceConfig& device) {
  auto& master = *masters_.emplace_back(std::make_unique<sw::smmu::Master>());
  master.device.streams = {device.dma.stream_id};
  master.device.ats = device.dma.atc.has_value();
  master.device.pasid_bits = config_.hardware.smmu.features.ssid_bits;
  master.device.can_stall = true;
  if (!smmu_.probe_device(cpu, master)) out_of_memory();
  // Devices of one process are in one domain, as those of one IOMMU group are.
  std::unique_ptr<sw::smmu::Domain>& domain = dma_domains_[device.process];
  if (!domain) domain = std::make_unique<sw::smmu::Domain>();
  if (attach_dev(cpu, smmu_, master, *domain) != sw::smmu::AttachResult::kOk) out_of_memory();
}

}  // namespace shootdown::cosim
