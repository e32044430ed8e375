// Replays recorded SMMUv3 sequences on the model: format "smmuv3-qemu-vector/1". What the words of
// the format mean, and how a model is judged by them: tests/vectors/smmuv3/README.md.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>

#include "conform/conform.h"
#include "conform/gzip_json.h"
#include "conform/smmu_board.h"
#include "conform/smmuv3_deviations.h"
#include "conform/smmuv3_outcome.h"
#include "conform/smmuv3_permitted.h"
#include "conform/smmuv3_step.h"
#include "hw/arch/smmuv3_registers.h"

namespace shootdown::conform {

namespace smmuv3 = arch::smmuv3;
namespace reg = arch::smmuv3::reg;
using nlohmann::json;

namespace {

constexpr arch::PhysAddr kRamBase{0x4000'0000};
constexpr std::uint64_t kRamBytes = 0x8000'0000;

enum class Mode : std::uint8_t { kFresh, kNatural };

/// One run of one vector.
class Replay {
 public:
  Replay(SmmuBoard& board, const json& vector, Mode mode)
      : board_(board), vector_(vector), mode_(mode), permitted_(board, kRamBase, kRamBytes) {
    for (const json& tag : vector.at("tags")) tags_.insert(tag.get<std::string>());
  }

  /// The first difference; empty if there is none.
  std::string run() {
    board_.run([this] { steps(); });
    return difference_;
  }

 private:
  bool tagged(const std::string& tag) const { return tags_.contains(tag); }

  void steps() {
    for (const json& block : vector_.at("mem")) write_words(hex_number(block[0]), block[1]);
    const json& steps = vector_.at("steps");
    if (steps.empty()) throw std::runtime_error("has no steps");
    for (number_ = 0; number_ < steps.size() && difference_.empty(); ++number_) {
      at_place(fmt::format("steps[{}]", number_), [&] { take(steps[number_]); });
    }
  }

  void take(const json& step) {
    const std::string op = step.at("op");
    if (op == "mw") {
      write_words(hex_number(step.at("a")), step.at("q"));
    } else if (op == "mr") {
      memory_read(step);
    } else if (op == "rw") {
      register_write(step);
    } else if (op == "rr") {
      register_read(step);
    } else if (op == "cmd") {
      command(step);
    } else if (op == "dma") {
      dma(step);
    } else {
      throw std::runtime_error("op '" + op + "' is none of mw, mr, rw, rr, cmd, dma");
    }
  }

  void differs(const std::string& what) {
    if (difference_.empty()) difference_ = fmt::format("step {}: {}", number_, what);
  }

  void write_words(std::uint64_t address, const json& words) {
    for (const json& word : words) {
      board_.memory().write64({address}, hex_number(word));
      permitted_.memory_written({address}, 8);
      address += 8;
    }
  }

  void memory_read(const json& step) {
    // What is in RAM belongs to the run in which stale translations were used.
    if (mode_ == Mode::kFresh) return;
    std::uint64_t address = hex_number(step.at("a"));
    for (const json& word : step.at("obs").at("q")) {
      const std::uint64_t value = board_.memory().read64({address});
      if (value != hex_number(word)) {
        differs(fmt::format("memory at {:#x} is {:#x}, recorded {:#x}", address, value,
                            hex_number(word)));
      }
      address += 8;
    }
  }

  void register_write(const json& step) {
    const std::uint32_t offset = register_offset(step);
    board_.write_register(offset, hex_number(step.at("v")), register_bytes(step));
    // What was recorded acknowledges at once.
    board_.wait_until([&] {
      return board_.read_register(reg::kCr0, 4) == board_.read_register(reg::kCr0Ack, 4) &&
             smmuv3::gbpa::Update::get(board_.read_register(reg::kGbpa, 4)) == 0;
    });
    if (offset == reg::kCmdqCons) permitted_.command_queue_restarted();
    permitted_.registers_written();
    if (offset == reg::kCr0 || offset == reg::kGerrorN || offset == reg::kCmdqProd) settle();
  }

  void register_read(const json& step) {
    const std::uint32_t offset = register_offset(step);
    std::uint64_t value = board_.read_register(offset, register_bytes(step));
    std::uint64_t recorded = hex_number(step.at("obs").at("v"));
    if (offset == reg::kCmdqCons && !stopped()) {
      // The error code means something only while the error is active.
      value = smmuv3::cmdq_cons::Rd::get(value);
      recorded = smmuv3::cmdq_cons::Rd::get(recorded);
    }
    if (offset == reg::kGerror || offset == reg::kGerrorN) {
      std::uint64_t ignored = refused_ ? smmuv3::gerror::CmdqErr::kMask : 0;
      if (overflowed_) ignored |= smmuv3::gerror::EventqAbt::kMask;
      value &= ~ignored;
      recorded &= ~ignored;
    }
    if (offset == reg::kEventqProd) {
      // Runs in which another permitted outcome made more or fewer events differ by as many.
      if (skewed_) return;
      // It reports a full queue as an abort of the queue; that is an overflow.
      if (overflowed_) recorded |= smmuv3::eventq::Overflow::kMask;
    }
    if (value == recorded) return;
    differs(fmt::format("{} is {:#x}, recorded {:#x}", step.at("reg").get<std::string>(), value,
                        recorded));
  }

  bool stopped() {
    const std::uint64_t active =
        board_.read_register(reg::kGerror, 4) ^ board_.read_register(reg::kGerrorN, 4);
    return smmuv3::gerror::CmdqErr::get(active) != 0;
  }
  /// Until the command queue is empty, stopped or off.
  void settle() {
    board_.wait_until([&] {
      const auto base = board_.read_register(reg::kCmdqBase, 8);
      const auto log2 = static_cast<unsigned>(smmuv3::queue_base::Log2Size::get(base));
      const bool off = smmuv3::cr0::Cmdqen::get(board_.read_register(reg::kCr0Ack, 4)) == 0;
      return off || stopped() ||
             smmuv3::QueueIndex::empty(
                 static_cast<std::uint32_t>(board_.read_register(reg::kCmdqProd, 4)),
                 static_cast<std::uint32_t>(board_.read_register(reg::kCmdqCons, 4)), log2);
    });
    permitted_.commands_consumed();
  }

  void command(const json& step) {
    write_words(hex_number(step.at("a")), step.at("q"));
    if (step.at("prod").is_null()) return;
    board_.write_register(reg::kCmdqProd, hex_number(step.at("prod")), 4);
    settle();
    std::uint64_t cons = board_.read_register(reg::kCmdqCons, 4);
    const std::uint64_t recorded = hex_number(step.at("obs").at("cons"));
    while (stopped() && !step.at("obs").contains("gerror") && go_on_after_refusal()) {
      cons = board_.read_register(reg::kCmdqCons, 4);
    }
    const std::uint64_t mask = stopped() ? ~std::uint64_t{0} : smmuv3::cmdq_cons::Rd::kMask;
    if ((cons & mask) != (recorded & mask)) {
      differs(fmt::format("CMDQ_CONS is {:#x}, recorded {:#x}", cons, recorded));
    }
  }

  /// The recorded implementation accepts some commands that the architecture has refused. What a
  /// driver does then: another command into the slot, and the error acknowledged. False: the
  /// command was legal.
  bool go_on_after_refusal() {
    const std::uint64_t base =
        smmuv3::queue_base::Addr::get(board_.read_register(reg::kCmdqBase, 8));
    const auto log2 = static_cast<unsigned>(
        smmuv3::queue_base::Log2Size::get(board_.read_register(reg::kCmdqBase, 8)));
    const auto cons = static_cast<std::uint32_t>(board_.read_register(reg::kCmdqCons, 4));
    const arch::PhysAddr slot{base + std::uint64_t{smmuv3::QueueIndex::slot(cons, log2)} * 16};
    const auto replacement =
        instead_of_illegal({board_.memory().read64(slot), board_.memory().read64(slot + 8)});
    if (!replacement) return false;
    board_.memory().write64(slot, replacement->dw0);
    board_.memory().write64(slot + 8, replacement->dw1);
    refused_ = true;
    board_.write_register(reg::kGerrorN, board_.read_register(reg::kGerror, 4), 4);
    settle();
    return true;
  }

  std::vector<smmuv3::EventRecord> new_events(std::uint32_t from) {
    std::vector<smmuv3::EventRecord> events;
    const std::uint64_t base = board_.read_register(reg::kEventqBase, 8);
    const auto log2 = static_cast<unsigned>(smmuv3::queue_base::Log2Size::get(base));
    const auto to = static_cast<std::uint32_t>(board_.read_register(reg::kEventqProd, 4));
    for (std::uint32_t index = from; !smmuv3::QueueIndex::empty(index, to, log2);
         index = smmuv3::QueueIndex::next(index, log2)) {
      smmuv3::EventRecord record{};
      const std::uint64_t slot = smmuv3::QueueIndex::slot(index, log2);
      board_.memory().read({smmuv3::queue_base::Addr::get(base) + slot * smmuv3::kEventBytes},
                           record.data(), smmuv3::kEventBytes);
      events.push_back(record);
    }
    return events;
  }

  void dma(const json& step) {
    const json& observed = step.at("obs");
    const json& fresh = step.contains("fresh") ? step.at("fresh") : observed;
    if (mode_ == Mode::kFresh) {
      if (fresh.is_string()) return;  // "n/a": not recorded
      board_.smmu().flush_caches();
    }
    const DmaOutcome outcome = perform(step);
    if (!difference_.empty()) return;
    const DmaOutcome seen = read_outcome(observed, step);
    // Where caches decide, another outcome than the recorded one can be right: perform() has asked
    // whether it is permitted.
    if (mode_ == Mode::kFresh) {
      const DmaOutcome recorded = read_outcome(fresh, step);
      if (!agrees(outcome, recorded) && !rule_against_recording(vector_, step, recorded, outcome)) {
        return differs(fmt::format("{} {:#x} of stream {}: {}; recorded {}",
                                   step.at("dir").get<std::string>(), hex_number(step.at("a")),
                                   step.at("sid").get<std::string>(), describe(outcome),
                                   describe(recorded)));
      }
    }
    if (outcome.events.size() != seen.events.size()) skewed_ = true;
    const bool full = tagged("qemu-dev:evtq-overflow") && observed.contains("gerror");
    if (full && (hex_number(observed.at("gerror")) & smmuv3::gerror::EventqAbt::kMask) != 0) {
      overflowed_ = true;
    }
    if (mode_ == Mode::kNatural && !same_way(outcome, seen)) bring_into_line(step, seen);
    if (step.at("dir") != "w") return;
    for (const DmaOutcome* one : {&outcome, &seen}) {
      for (const auto& [input, output] : one->translations) {
        permitted_.memory_written({output}, step.at("n").get<std::uint64_t>());
      }
    }
  }

  /// One transaction has ended so: is that permitted?
  void judge(const SmmuBoard::Access& access, const DmaOutcome& outcome,
             const std::vector<DmaOutcome>& permitted) {
    const std::size_t count = mode_ == Mode::kFresh ? 1 : permitted.size();
    const auto same = [&](const DmaOutcome& one) { return agrees(outcome, one); };
    const auto last = permitted.begin() + static_cast<std::ptrdiff_t>(count);
    // The set of outcomes does not know the event queue.
    const bool event_lost = outcome.events.empty() && events_are_lost_;
    if (event_lost || std::any_of(permitted.begin(), last, same)) return;
    std::string text;
    for (auto one = permitted.begin(); one != last; ++one) text += "\n    " + describe(*one);
    differs(fmt::format("{} {:#x} of stream {:#x}: {}; permitted:{}",
                        access.write ? "write" : "read", access.address.value,
                        access.stream_id.value, describe(outcome), text));
  }

  bool event_queue_writable(std::uint32_t prod) {
    const auto cons = static_cast<std::uint32_t>(board_.read_register(reg::kEventqCons, 4));
    const auto log2 = static_cast<unsigned>(
        smmuv3::queue_base::Log2Size::get(board_.read_register(reg::kEventqBase, 8)));
    return smmuv3::cr0::Eventqen::get(board_.read_register(reg::kCr0Ack, 4)) != 0 &&
           !smmuv3::QueueIndex::full(prod, cons, log2);
  }

  /// The model's outcome, a transaction a page.
  DmaOutcome perform(const json& step) {
    DmaOutcome outcome;
    const bool write = is_write(step);
    std::vector<std::uint8_t> data = dma_data(step);
    std::uint64_t address = hex_number(step.at("a"));
    board_.forget_writes();
    bool any = false;
    bool all = true;
    for (std::size_t done = 0; done < data.size();) {
      const std::size_t room = arch::kPageSize - address % arch::kPageSize;
      const std::size_t bytes = std::min(data.size() - done, room);
      SmmuBoard::Access access;
      access.stream_id = arch::StreamId{static_cast<std::uint32_t>(hex_number(step.at("sid")))};
      access.address = {address};
      access.write = write;
      const auto permitted = permitted_.outcomes(access);
      const auto events_before =
          static_cast<std::uint32_t>(board_.read_register(reg::kEventqProd, 4));
      events_are_lost_ = !event_queue_writable(events_before);
      const auto result = board_.dma(access, data.data() + done, static_cast<unsigned>(bytes));
      // That there is no memory where the SMMU let it go is no matter of the SMMU's.
      const bool passed = result.output.has_value();
      if (passed) {
        outcome.translations.emplace_back(address, result.output->value);
        outcome.bypass = result.bypass;
      }
      DmaOutcome one{.result = passed ? "ok" : "abort",
                     .bypass = result.bypass,
                     .translations = {},
                     .events = new_events(events_before)};
      if (passed) one.translations.emplace_back(address, result.output->value);
      judge(access, one, permitted);
      outcome.events.insert(outcome.events.end(), one.events.begin(), one.events.end());
      any = any || passed;
      all = all && passed;
      address += bytes;
      done += bytes;
    }
    outcome.result = all ? "ok" : any ? "mixed" : "abort";
    return outcome;
  }

  /// The recorded access went another permitted way: memory follows it.
  void bring_into_line(const json& step, const DmaOutcome& recorded) {
    if (step.at("dir") != "w") return;
    const auto& writes = board_.writes();
    for (auto one = writes.rbegin(); one != writes.rend(); ++one) {
      // Event records stay: they are the model's own.
      if (one->bytes.size() == smmuv3::kEventBytes) continue;
      board_.memory().write(one->address, one->bytes.data(), one->bytes.size());
    }
    const std::vector<std::uint8_t> data = dma_data(step);
    const std::uint64_t start = hex_number(step.at("a"));
    for (std::size_t i = 0; i < recorded.translations.size(); ++i) {
      const auto [input, output] = recorded.translations[i];
      const std::size_t from = input - start;
      const std::size_t room = arch::kPageSize - input % arch::kPageSize;
      const std::size_t bytes = std::min(data.size() - from, room);
      if (board_.memory().contains({output}, bytes)) {
        board_.memory().write({output}, data.data() + from, bytes);
      }
    }
  }

  SmmuBoard& board_;
  const json& vector_;
  Mode mode_;
  std::set<std::string> tags_;
  std::size_t number_{};
  std::string difference_;
  bool skewed_{};           ///< the numbers of events differ
  bool refused_{};          ///< an illegal command has been replaced
  bool overflowed_{};       ///< the recorded implementation met a full event queue
  bool events_are_lost_{};  ///< our event queue was full or off before the transaction
  PermittedByArchitecture permitted_;
};

/// The recorded board, with its sizes: what is cached stays until it is invalidated.
hw::SmmuConfig recorded_board() {
  hw::SmmuConfig config;
  config.features = hw::features_of(
      {.idr0 = 0x0d44101b, .idr1 = 0x02730010, .idr3 = 0x1414, .idr5 = 0x74, .iidr = 0, .aidr = 1});
  config.mmu.translator.tlb = {.entries = 256, .ways = 256, .replacement = hw::Replacement::kLru};
  config.mmu.translator.walk_cache_entries = 64;
  config.align_queues = false;  // the recorded implementation does not, and its stimuli rely on it
  config.config_cache = {
      .ste = {.entries = 16}, .cd = {.entries = 16}, .l1 = {.entries = 16}, .cache_illegal = true};
  return config;
}

/// The same with nothing cached but the last translation: whatever it does, it does by the tables
/// in memory, in an order that commands and registers decide.
hw::SmmuConfig walking_board() {
  hw::SmmuConfig config = recorded_board();
  config.mmu.translator.tlb = {.entries = 1, .ways = 1};
  config.mmu.hit_without_permission = hw::HitWithoutPermission::kRewalk;
  config.config_cache.ste.entries = 0;
  config.config_cache.cd.entries = 0;
  config.config_cache.l1.entries = 0;
  config.mmu.translator.walk_cache_entries = 0;
  config.mmu.cache_stage2 = false;
  return config;
}

}  // namespace

bool is_smmuv3(const json& file) {
  return file.is_object() && file.value("format", "") == "smmuv3-qemu-vector/1";
}

ConformFile replay_smmuv3(const json& vector, const std::function<void(hw::SmmuConfig&)>& plant) {
  const auto planted = [&](hw::SmmuConfig config) {
    if (plant) plant(config);
    return config;
  };
  SmmuBoard caching(planted(recorded_board()), kRamBase, kRamBytes);
  std::string fresh = Replay(caching, vector, Mode::kFresh).run();
  std::string natural = Replay(caching, vector, Mode::kNatural).run();
  SmmuBoard walking(planted(walking_board()), kRamBase, kRamBytes);
  std::string walks = Replay(walking, vector, Mode::kNatural).run();
  const std::string name = vector.at("name");
  return {.path = {},
          .format = "smmuv3-qemu-vector/1",
          .cases = {{name, "fresh", std::move(fresh)},
                    {name, "natural, all cached", std::move(natural)},
                    {name, "natural, little cached", std::move(walks)}}};
}

}  // namespace shootdown::conform
