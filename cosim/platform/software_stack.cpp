#include "cosim/platform/software_stack.h"

#include <algorithm>
#include <stdexcept>

#include "sw/mm/mmap.h"

namespace shootdown::cosim {

namespace {

unsigned max_stream_id(const Config& config) {
  unsigned result = 1;
  for (const DeviceConfig& device : config.devices) {
    result = std::max(result, device.dma.stream_id.value);
  }
  return result;
}

}  // namespace

void SoftwareStack::out_of_memory() {
  throw std::runtime_error(
      "the simulated memory does not suffice (raise hardware.memory.size_bytes)");
}

SoftwareStack::SoftwareStack(const Config& config)
    : config_(config),
      kernel_{.behaviour = config.kernel.behaviour(),
              .inject = config.software_injections,
              .pages = sw::PageAllocator(config.hardware.memory.base,
                                         config.hardware.memory.size_bytes)},
      arch_({.tlbi_range = config.hardware.range_tlbi, .ttl = config.hardware.range_tlbi},
            kernel_.behaviour),
      smmu_(kernel_, {.registers = kSmmuRegisters,
                      .use_broadcast = config.hardware.smmu.features.broadcast,
                      .max_stream_id = max_stream_id(config)}),
      faults_(smmu_) {}

void SoftwareStack::boot(sw::Cpu& cpu) {
  if (!config_.devices.empty() && !smmu_.probe(cpu)) out_of_memory();
  for (std::size_t i = 0; i < config_.processes.size(); ++i) {
    const auto number = static_cast<unsigned>(i + 1);
    // ASID 0 is the kernel's.
    auto mm = sw::mm_create(cpu, kernel_, arch_, number,
                            arch::Asid{static_cast<std::uint16_t>(number + 2)});
    if (!mm) out_of_memory();
    for (const RegionConfig& region : config_.processes[i].regions) {
      sw::Vma vma{.start = region.start,
                  .end = region.end(),
                  .protection = {.read = true, .write = region.writable},
                  .shared = region.kind == RegionKind::kSharedFile,
                  .file = nullptr,
                  .file_offset = 0,
                  .page_shift = region.page_shift,
                  .exec = false,
                  .pfnmap = false,
                  .mixedmap = false,
                  .hugetlb_page_size = 0};
      if (region.kind != RegionKind::kAnonymous) {
        vma.file = files_.emplace_back(std::make_unique<sw::File>()).get();
      }
      sw::do_mmap(cpu, *mm, vma);
    }
    mms_.push_back(std::move(mm));
  }
  std::vector<sw::smmu::SvaDomain*> domain_of(mms_.size());
  for (const DeviceConfig& device : config_.devices) {
    sw::smmu::SvaDomain*& domain = domain_of[device.process];
    if (domain == nullptr) {
      domain = domains_
                   .emplace_back(std::make_unique<sw::smmu::SvaDomain>(
                       smmu_, *mms_[device.process], device.dma.substream_id.value()))
                   .get();
      faults_.add_domain(*domain);
    }
    auto& master = *masters_.emplace_back(std::make_unique<sw::smmu::Master>());
    master.stream_id = device.dma.stream_id;
    master.stall_enabled = smmu_.features().stalls;
    master.ats_enabled = device.dma.atc.has_value() && smmu_.features().ats;
    if (!smmu_.attach_master(cpu, master)) out_of_memory();
    domain->bind(cpu, master);
  }
}

}  // namespace shootdown::cosim
