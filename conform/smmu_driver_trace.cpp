#include "conform/smmu_driver_trace.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "conform/gzip_json.h"
#include "hw/arch/smmuv3_registers.h"

namespace shootdown::conform {

namespace smmuv3 = arch::smmuv3;
using nlohmann::json;

namespace {

constexpr std::uint64_t kRecordedBytes = std::uint64_t{1} << 30;
using AllocatedPage = arch::AddressField<51, 12>;

bool is_allocated(std::uint64_t page) {
  return page >= kRecordedMemory.value && page < kRecordedMemory.value + kRecordedBytes;
}

/// Stores between two other actions: only what is there in the end counts.
using Stores = std::map<std::string, std::uint64_t>;

struct Step {
  Stores stores;  ///< before it
  enum class Kind { kSubmit, kRegister, kAts, kEnd } kind{Kind::kEnd};
  std::vector<std::string> commands;  ///< theirs
  std::vector<smmuv3::Command> our_commands;
  std::uint64_t number{};  ///< register offset, or device
  std::uint64_t value{};
  unsigned bytes{};
};

std::vector<Step> steps_of(const json& events) {
  std::vector<Step> steps(1);
  const auto end = [&](Step::Kind kind) -> Step& {
    steps.back().kind = kind;
    steps.emplace_back();
    return steps[steps.size() - 2];
  };
  for (const json& event : events) {
    if (event.contains("store")) {
      steps.back().stores[event.at("store")] = hex_number(event.at("value"));
    } else if (event.contains("submit")) {
      end(Step::Kind::kSubmit).commands = event.at("submit").get<std::vector<std::string>>();
    } else if (event.contains("reg")) {
      Step& step = end(Step::Kind::kRegister);
      step.number = hex_number(event.at("reg"));
      step.value = hex_number(event.at("value"));
      step.bytes = event.at("bytes").get<unsigned>();
    } else {
      const bool on = event.contains("pci_enable_ats");
      const std::string device = event.at(on ? "pci_enable_ats" : "pci_disable_ats");
      Step& step = end(Step::Kind::kAts);
      step.number = std::stoull(device.substr(3));
      step.value = on ? 1 : 0;
    }
  }
  return steps;
}

std::vector<Step> steps_of(const std::vector<SmmuDriverBoard::Action>& actions,
                           const std::function<std::string(std::uint64_t)>& name_of) {
  std::vector<Step> steps(1);
  const auto end = [&](Step::Kind kind) -> Step& {
    steps.back().kind = kind;
    steps.emplace_back();
    return steps[steps.size() - 2];
  };
  for (const auto& action : actions) {
    if (const auto* store = std::get_if<SmmuDriverBoard::Store>(&action)) {
      // Tables and queues beside the entries were not recorded.
      const std::string name = name_of(store->address);
      if (!name.empty()) steps.back().stores[name] = store->value;
    } else if (const auto* submit = std::get_if<SmmuDriverBoard::Submit>(&action)) {
      end(Step::Kind::kSubmit).our_commands = submit->commands;
    } else if (const auto* write = std::get_if<SmmuDriverBoard::RegisterWrite>(&action)) {
      Step& step = end(Step::Kind::kRegister);
      step.number = write->offset;
      step.value = write->value;
      step.bytes = write->bytes;
    } else if (const auto* ats = std::get_if<SmmuDriverBoard::SwitchAts>(&action)) {
      Step& step = end(Step::Kind::kAts);
      step.number = ats->device;
      step.value = ats->on ? 1 : 0;
    }
  }
  return steps;
}

std::string describe(const Step& step) {
  std::string text;
  for (const auto& [name, value] : step.stores) text += fmt::format("{}={:#x} ", name, value);
  switch (step.kind) {
    case Step::Kind::kSubmit:
      for (const std::string& command : step.commands) text += "[" + command + "]";
      for (const smmuv3::Command& command : step.our_commands) {
        text += fmt::format("[{:#x} {:#x}]", command.dw0, command.dw1);
      }
      return text;
    case Step::Kind::kRegister:
      return text + fmt::format("register {:#x} = {:#x}", step.number, step.value);
    case Step::Kind::kAts:
      return text + fmt::format("ATS of dev{} {}", step.number, step.value != 0 ? "on" : "off");
    case Step::Kind::kEnd:
      break;
  }
  return text + "end";
}

}  // namespace

void SmmuDriverTrace::learn_queue(const json& reset, arch::PhysAddr ours) {
  our_queue_ = ours.value;
  for (const json& event : reset) {
    if (event.contains("reg") && hex_number(event.at("reg")) == smmuv3::reg::kCmdqBase) {
      their_queue_ = smmuv3::queue_base::Addr::get(hex_number(event.at("value")));
    }
  }
}

bool SmmuDriverTrace::same_word(std::uint64_t ours, std::uint64_t theirs) {
  const std::uint64_t our_page = AllocatedPage::get(ours);
  const std::uint64_t their_page = AllocatedPage::get(theirs);
  if (!is_allocated(our_page) || !is_allocated(their_page)) return ours == theirs;
  if (AllocatedPage::set(ours, 0) != AllocatedPage::set(theirs, 0)) return false;
  return ours_of_theirs_.try_emplace(their_page, our_page).first->second == our_page &&
         theirs_of_ours_.try_emplace(our_page, their_page).first->second == their_page;
}

bool SmmuDriverTrace::same_command(const std::string& theirs, const smmuv3::Command& ours) {
  const std::size_t space = theirs.find(' ');
  const std::uint64_t dw0 = std::stoull(theirs.substr(0, space), nullptr, 0);
  std::uint64_t dw1 = std::stoull(theirs.substr(space + 1), nullptr, 0);
  const bool msi = smmuv3::opcode_of(ours) == smmuv3::Opcode::kSync && dw1 != 0;
  if (msi) dw1 = dw1 - their_queue_ + our_queue_;
  return ours.dw0 == dw0 && ours.dw1 == dw1;
}

std::string SmmuDriverTrace::compare(const std::vector<SmmuDriverBoard::Action>& actions,
                                     const json& expected,
                                     const std::function<std::string(std::uint64_t)>& name_of) {
  const std::vector<Step> ours = steps_of(actions, name_of);
  const std::vector<Step> theirs = steps_of(expected);
  for (std::size_t i = 0; i < std::min(ours.size(), theirs.size()); ++i) {
    const Step& a = ours[i];
    const Step& b = theirs[i];
    bool same = a.kind == b.kind && a.number == b.number && a.bytes == b.bytes &&
                a.stores.size() == b.stores.size() && a.our_commands.size() == b.commands.size() &&
                same_word(a.value, b.value);
    for (auto our = a.stores.begin(), their = b.stores.begin(); same && our != a.stores.end();
         ++our, ++their) {
      same = our->first == their->first && same_word(our->second, their->second);
    }
    for (std::size_t c = 0; same && c < b.commands.size(); ++c) {
      same = same_command(b.commands[c], a.our_commands[c]);
    }
    if (!same) return fmt::format("action {}: {}; Linux: {}", i, describe(a), describe(b));
  }
  if (ours.size() == theirs.size()) return {};
  return fmt::format("{} actions, Linux {}", ours.size() - 1, theirs.size() - 1);
}

}  // namespace shootdown::conform
