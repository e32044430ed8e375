// Replays sessions of Linux's SMMUv3 driver on the one in sw/smmu: every command, register write
// and store into a stream table entry or context descriptor. Format "smmuv3-driver/1":
// tests/vectors/smmu_driver/README.md.
#include <fmt/format.h>

#include <bit>
#include <cctype>
#include <deque>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>

#include "conform/conform.h"
#include "conform/gzip_json.h"
#include "conform/recorded_kernel.h"
#include "conform/smmu_driver_board.h"
#include "conform/smmu_driver_features.h"
#include "conform/smmu_driver_trace.h"
#include "sw/arch/arm64/arm64_mmu.h"
#include "sw/mm/mm_types.h"
#include "sw/mm/mmu_notifier.h"
#include "sw/smmu/arm_smmu_v3.h"
#include "sw/smmu/attach.h"
#include "sw/smmu/attach_v6_10.h"
#include "sw/smmu/attach_v6_11.h"
#include "sw/smmu/domain_finalise.h"
#include "sw/smmu/entries.h"
#include "sw/smmu/install.h"
#include "sw/smmu/sva.h"

namespace shootdown::conform {

namespace smmu = sw::smmu;
using nlohmann::json;

namespace {

constexpr arch::PhysAddr kRegisters{0x0905'0000};
constexpr std::uint64_t kMemoryBytes = std::uint64_t{1} << 28;

class Session {
 public:
  Session(const json& session, const std::string& kernel, unsigned page_shift)
      : session_(session),
        private_asids_(kernel != "6.1"),
        board_(kRegisters, ids(session.at("config"))),
        kernel_(recorded_kernel(kernel), {}, sw::PageAllocator(kRecordedMemory, kMemoryBytes)),
        arch_({}, kernel_.behaviour),
        smmu_(kernel_, {.registers = kRegisters,
                        .host = host(session.at("config"), page_shift, kernel_.behaviour)}),
        sva_(smmu_) {}

  std::string run() {
    if (!smmu_.probe(board_)) return "the driver refuses this SMMU";
    std::string difference = compare_features(smmu_.features(), session_.at("driver"));
    trace_.learn_queue(session_.at("reset"), smmu_.cmdq().base());
    if (difference.empty()) difference = compare(session_.at("reset"), "reset");
    const json& steps = session_.at("steps");
    for (std::size_t i = 0; i < steps.size() && difference.empty(); ++i) {
      difference = step(steps[i], fmt::format("step {} ({})", i, steps[i].at("op").dump()));
    }
    return difference;
  }

 private:
  struct Device {
    smmu::Master master;
  };
  struct Process {
    std::unique_ptr<sw::Mm> mm;
    arch::SubstreamId pasid{};
  };

  static smmu::IdRegisterValues ids(const json& config) {
    const auto value = [&](const char* name) {
      return static_cast<std::uint32_t>(hex_number(config.at(name)));
    };
    return {value("idr0"), value("idr1"), value("idr3"), value("idr5"), value("iidr")};
  }
  static smmu::HostProperties host(const json& config, unsigned page_shift,
                                   const sw::KernelBehaviour& behaviour) {
    return {.coherent = config.at("coh") == 1,
            .vhe = config.at("vhe") == 1,
            .pci_pri = false,
            .page_shift = page_shift,
            .looks_for_type_overrides = behaviour.smmu_type_overrides,
            .looks_for_httu = behaviour.smmu_httu};
  }

  /// What the board has seen since the last comparison, against `expected`.
  std::string compare(const json& expected, const std::string& where) {
    std::vector<SmmuDriverBoard::Action> actions = std::move(board_.actions);
    board_.actions.clear();
    const std::string difference =
        trace_.compare(actions, expected, [&](std::uint64_t address) { return name_of(address); });
    return difference.empty() ? "" : where + ": " + difference;
  }

  /// "ste:0x8:0", "cd:dev1:2:0": which word is at `address`; empty: of no entry.
  std::string name_of(std::uint64_t address) {
    const auto word_in = [&](std::optional<arch::PhysAddr> entry) -> std::optional<std::uint64_t> {
      if (!entry || address < entry->value || address >= entry->value + 64) return std::nullopt;
      return (address - entry->value) / 8;
    };
    for (const Device& device : devices_) {
      for (const arch::StreamId sid : device.master.device.streams) {
        if (const auto word = word_in(smmu_.stream_table().find(sid))) {
          return fmt::format("ste:{:#x}:{}", sid.value, *word);
        }
      }
    }
    const auto find_cd = [&](const smmu::CdTable& table, const std::string& owner) -> std::string {
      for (std::uint32_t ssid = 0; table.allocated() && ssid >> table.cd_max() == 0; ++ssid) {
        if (const auto word = word_in(table.find({ssid}))) {
          return fmt::format("cd:{}:{}:{}", owner, ssid, *word);
        }
      }
      return {};
    };
    for (std::size_t i = 0; i < devices_.size(); ++i) {
      std::string name = find_cd(devices_[i].master.cd_table, fmt::format("dev{}", i));
      if (!name.empty()) return name;
    }
    for (const auto& [number, domain] : domains_) {
      std::string name = find_cd(domain.cd_table, fmt::format("dom{}", number));
      if (!name.empty()) return name;
    }
    return {};
  }

  std::string step(const json& step, const std::string& where) {
    if (step.contains("prod") && !step.at("prod").is_null() &&
        step.at("prod").get<std::uint32_t>() != smmu_.cmdq().prod()) {
      return fmt::format("{}: CMDQ_PROD is {:#x}, Linux {:#x}", where, smmu_.cmdq().prod(),
                         step.at("prod").get<std::uint32_t>());
    }
    std::vector<std::uint64_t> args;
    for (const json& arg : step.at("args")) args.push_back(hex_number(arg));
    puts_ = 0;
    words_.reset();
    const bool done = perform(step.at("op"), args);
    if (recorders_asids_) {
      // The recorder's allocator hands out no number twice.
      smmu::IdAllocator& asids = smmu_.asids();
      while (asids.contains(static_cast<std::uint16_t>(asids.first()))) {
        asids.set_first(asids.first() + 1);
      }
    }
    if (done != (step.at("ret") == 0)) {
      return fmt::format("{}: {}, Linux returned {}", where, done ? "succeeds" : "fails",
                         step.at("ret").dump());
    }
    if (!step.contains("out") || step.at("out").is_null()) {
      board_.actions.clear();  // set-up, which was not recorded
      return {};
    }
    json expected = json::array();
    unsigned puts = 0;
    for (const json& event : step.at("out")) {
      if (event.contains("words")) {
        const std::string difference = compare_words(event.at("words"));
        if (!difference.empty()) return where + ": " + difference;
      } else if (event.contains("mmu_notifier_put")) {
        ++puts;
      } else {
        expected.push_back(event);
      }
    }
    if (puts != puts_) {
      return fmt::format("{}: {} notifiers are given up, Linux {}", where, puts_, puts);
    }
    return compare(expected, where);
  }

  std::string compare_words(const json& expected) {
    if (!words_) return "no words";
    for (std::size_t i = 0; i < words_->size(); ++i) {
      const std::uint64_t linux = hex_number(expected.at(i));
      if (!trace_.same_word((*words_)[i], linux)) {
        return fmt::format("word {} is {:#x}, Linux {:#x}", i, (*words_)[i], linux);
      }
    }
    return {};
  }

  bool perform(const std::string& op, const std::vector<std::uint64_t>& args) {
    if (op == "dev") return add_device(args);
    if (op == "identity") return attach(args[0], smmu_.identity());
    if (op == "blocked") return attach(args[0], smmu_.blocked());
    if (op == "dom") return add_domain(args[0], args[2] != 0);
    if (op == "attach") return attach(args[1], domains_.at(args[0]));
    if (op == "detach") {
      detach_dev(board_, smmu_, master(args[0]));
      return true;
    }
    if (op == "attach_pasid") {
      smmu::Domain& domain = domains_.at(args[0]);
      return set_pasid(board_, smmu_, master(args[1]), domain, ssid(args[2]),
                       dma_cd(domain, master(args[1]))) == smmu::AttachResult::kOk;
    }
    if (op == "detach_pasid") {
      remove_dev_pasid(board_, smmu_, master(args[1]), domains_.at(args[0]), ssid(args[2]));
      return true;
    }
    if (op == "next_asid") {
      smmu_.asids().set_first(static_cast<std::uint32_t>(args[0]));
      recorders_asids_ = private_asids_;
      return true;
    }
    // The 6.1 driver takes VMIDs from a bitmap, which the recorder could not set.
    if (op == "next_vmid") {
      if (private_asids_) smmu_.vmids().set_first(static_cast<std::uint32_t>(args[0]));
      return true;
    }
    if (op.starts_with("enable_") || op.starts_with("disable_")) return true;
    return perform_sva(op, args) || perform_invalidation(op, args) || perform_entry(op, args);
  }

  bool perform_sva(const std::string& op, const std::vector<std::uint64_t>& args) {
    if (op == "mm") {
      Process& process = processes_[args[0]];
      process.mm =
          std::make_unique<sw::Mm>(kernel_, arch_, arch::MmId{static_cast<unsigned>(args[0])},
                                   arch::Asid{static_cast<std::uint16_t>(args[3])});
      process.mm->pgd = {args[1]};
      process.pasid = ssid(args[2]);
      return true;
    }
    if (op != "bind" && op != "unbind" && op != "inv" && op != "release") return false;
    Process& process = processes_.at(args[0]);
    sw::Mm& mm = *process.mm;
    if (op == "bind") return sva_.bind(board_, mm, process.pasid, master(args[1])) != nullptr;
    if (op == "unbind") {
      const std::size_t before = mm.notifiers.size();
      sva_.unbind(board_, *sva_.find(mm, master(args[1])), master(args[1]));
      puts_ = static_cast<unsigned>(before - mm.notifiers.size());
      return true;
    }
    for (sw::MmuNotifier* notifier : mm.notifiers) {
      if (op == "release") {
        notifier->release(board_, mm);
      } else {
        notifier->arch_invalidate_secondary_tlbs(board_, mm, {args[1]}, {args[2]});
      }
    }
    return true;
  }

  bool perform_invalidation(const std::string& op, const std::vector<std::uint64_t>& args) {
    const auto log2 = [](std::uint64_t bytes) {
      return bytes == 0 ? 0U : static_cast<unsigned>(std::countr_zero(bytes));
    };
    if (op == "sync") {
      smmu_.iotlb_sync(board_, domains_.at(args[0]), args[1], args[2], log2(args[3]));
    } else if (op == "walk") {
      smmu_.tlb_inv_walk(board_, domains_.at(args[0]), args[1], args[2], log2(args[3]));
    } else if (op == "all") {
      smmu_.tlb_inv_context(board_, domains_.at(args[0]));
    } else if (op == "resume") {
      smmu_.page_response(board_, master(args[0]).device.streams.front(),
                          static_cast<std::uint16_t>(args[1]), args[2] == 0);
    } else {
      return false;
    }
    return true;
  }

  bool perform_entry(const std::string& op, const std::vector<std::uint64_t>& args) {
    if (op == "dump_ste") {
      words_ = smmu::load_entry(
          board_,
          smmu_.stream_table().find(arch::StreamId{static_cast<std::uint32_t>(args[0])}).value());
      return true;
    }
    smmu::Master& device = master(args[0]);
    if (op == "make_ste") {
      words_ = target_ste(device, args, 1);
    } else if (op == "make_cd") {
      words_ = target_cd(device, args, 1);
    } else if (op == "dump_cd") {
      words_ = smmu::load_entry(board_, cd_table(device).find(ssid(args[1])).value());
    } else if (op == "write_ste") {
      write_ste(board_, smmu_, device.device.streams.front(), target_ste(device, args, 1));
    } else if (op == "write_cd") {
      const auto cd = device.cd_table.find_or_alloc(board_, kernel_.pages, ssid(args[1]), [] {});
      write_cd_entry(board_, smmu_, device, ssid(args[1]), cd.value(), target_cd(device, args, 2));
    } else {
      throw std::runtime_error("unknown op \"" + op + "\"");
    }
    return true;
  }

  const smmu::CdTable& cd_table(const smmu::Master& device) const {
    return private_asids_ ? device.cd_table : device.domain->cd_table;
  }

  smmu::Entry target_ste(const smmu::Master& device, const std::vector<std::uint64_t>& args,
                         std::size_t at) {
    switch (args[at]) {
      case 0:
        return {};
      case 1:
        return smmu::make_abort_ste();
      case 2:
        return smmu::make_bypass_ste(smmu_.features());
      case 3:
        return smmu::make_cdtable_ste(smmu_.features(), device.cd_table,
                                      {.ats = args[at + 1] != 0,
                                       .s1dss = static_cast<unsigned>(args[at + 2]),
                                       .may_stall = device.stall_enabled});
      case 4: {
        const smmu::Domain& domain = domains_.at(args[at + 1]);
        return smmu::make_s2_domain_ste(smmu_.features(), domain.table, domain.vmid,
                                        {.ats = args[at + 2] != 0, .stall = device.stall_enabled});
      }
      default:
        throw std::runtime_error("unknown kind of STE");
    }
  }

  smmu::Entry dma_cd(const smmu::Domain& domain, const smmu::Master& device) const {
    return smmu::make_s1_cd(domain, device.stall_enabled);
  }

  smmu::Entry target_cd(const smmu::Master& device, const std::vector<std::uint64_t>& args,
                        std::size_t at) {
    const bool forced = smmu_.features().stall_forced;
    switch (args[at]) {
      case 0:
        return {};
      case 1:
        return dma_cd(domains_.at(args[at + 1]), device);
      case 2:
        return smmu::make_sva_cd(smmu_.host(),
                                 {.pgd = processes_.at(args[at + 1]).mm->pgd,
                                  .asid = arch::Asid{static_cast<std::uint16_t>(args[at + 2])},
                                  .private_asid = true,
                                  .stall = device.stall_enabled});
      case 3:
        return smmu::make_sva_cd(smmu_.host(),
                                 {.pgd = std::nullopt,
                                  .asid = arch::Asid{static_cast<std::uint16_t>(args[at + 1])},
                                  .private_asid = true,
                                  .stall = forced && device.stall_enabled,
                                  .record = forced});
      default:
        throw std::runtime_error("unknown kind of CD");
    }
  }

  bool add_device(const std::vector<std::uint64_t>& args) {
    const std::size_t number = devices_.size();
    smmu::Master& added = devices_.emplace_back().master;
    smmu::DeviceProperties& device = added.device;
    device.ats = args[1] != 0 && args[2] != 0;
    device.pasid_bits = static_cast<unsigned>(args[3]);
    device.can_stall = args[4] != 0;
    for (std::size_t i = 6; i < args.size(); ++i) {
      device.streams.push_back(arch::StreamId{static_cast<std::uint32_t>(args[i])});
    }
    device.switch_ats = [this, number](bool on) {
      board_.actions.emplace_back(SmmuDriverBoard::SwitchAts{number, on});
    };
    return smmu_.probe_device(board_, added);
  }

  bool add_domain(std::uint64_t number, bool dirty_tracking) {
    smmu::Domain& domain = domains_[number];
    domain.dirty_tracking = dirty_tracking;
    // Older drivers configure it when it is first attached.
    return !private_asids_ || finalise_domain(board_, smmu_, domain) == smmu::AttachResult::kOk;
  }

  bool attach(std::uint64_t device, smmu::Domain& domain) {
    return attach_dev(board_, smmu_, master(device), domain) == smmu::AttachResult::kOk;
  }
  smmu::Master& master(std::uint64_t number) { return devices_.at(number).master; }
  static arch::SubstreamId ssid(std::uint64_t value) {
    return arch::SubstreamId{static_cast<std::uint32_t>(value)};
  }

  const json& session_;
  bool private_asids_;
  SmmuDriverBoard board_;
  sw::KernelState kernel_;
  sw::Arm64Mmu arch_;
  smmu::ArmSmmuDevice smmu_;
  smmu::Sva sva_;
  SmmuDriverTrace trace_;
  std::deque<Device> devices_;
  std::map<std::uint64_t, smmu::Domain> domains_;
  std::map<std::uint64_t, Process> processes_;
  std::optional<smmu::Entry> words_;
  unsigned puts_{};
  bool recorders_asids_{};
};

}  // namespace

bool is_smmu_driver(const json& file) {
  return file.is_object() && file.value("format", "") == "smmuv3-driver/1";
}

ConformFile replay_smmu_driver(const json& file) {
  ConformFile result{.path = {}, .format = "smmuv3-driver/1", .cases = {}};
  const std::string kernel = file.at("kernel");
  // "Linux 6.1, Debian ..." or "Linux 6.12.94 ...".
  std::string version;
  for (const std::string known : {"6.1", "6.12"}) {
    const std::string start = "Linux " + known;
    const bool longer = kernel.size() > start.size() && std::isdigit(kernel[start.size()]) != 0;
    if (kernel.starts_with(start) && !longer) version = known;
  }
  if (version.empty()) {
    throw std::runtime_error("kernel '" + kernel + "' is neither Linux 6.1 nor Linux 6.12");
  }
  const auto page_bytes = file.at("page_size").get<std::uint64_t>();
  const std::string configuration = fmt::format("{} {}K", version, page_bytes >> 10);
  std::size_t number = 0;
  for (const json& session : file.at("sessions")) {
    at_place(fmt::format("sessions[{}]", number++), [&] {
      Session replay(session, version, static_cast<unsigned>(std::countr_zero(page_bytes)));
      result.cases.push_back({session.at("session"), configuration, replay.run()});
    });
  }
  return result;
}

}  // namespace shootdown::conform
