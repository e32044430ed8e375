// The SMMU driver, release by release, where no recording of Linux's says: what it writes into
// STEs and CDs, in which order, and which events it answers.
#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "conform/smmu_driver_board.h"
#include "sw/arch/arm64/arm64_mmu.h"
#include "sw/kernel/version.h"
#include "sw/mm/mm_types.h"
#include "sw/mm/mmu_notifier.h"
#include "sw/smmu/arm_smmu_v3.h"
#include "sw/smmu/attach.h"
#include "sw/smmu/iopf.h"
#include "sw/smmu/sva.h"

namespace shootdown::tests {
namespace {

using namespace sw::smmu;
using conform::SmmuDriverBoard;
using Action = SmmuDriverBoard::Action;
using Stage = Domain::Stage;

constexpr arch::PhysAddr kRegisters{0x0905'0000};
constexpr arch::PhysAddr kMemory{0x8000'0000};

// IDR0: both stages, AArch64, coherent, ATS, 16-bit ASIDs and VMIDs, two-level tables, little
// endian. STALL_MODEL in 25:24.
constexpr std::uint32_t kIdr0 = 0x084c'1413 | 1 << 3;
constexpr std::uint32_t kForced = 2 << 24;
constexpr std::uint32_t kIdr1 = 8 << 21 | 7 << 16 | 8 << 6 | 16;
constexpr std::uint32_t kTypeOverrides = 1 << 27;
constexpr std::uint32_t kIdr5 = 0x75;

// STE and CD (IHI 0070, 5.2 and 5.4).
constexpr std::uint64_t kS2s = std::uint64_t{1} << 57;
constexpr std::uint64_t kShcfgIncoming = std::uint64_t{1} << 44;
constexpr std::uint64_t kCdEpd0 = 1 << 14;
constexpr std::uint64_t kCdS = std::uint64_t{1} << 44;
constexpr std::uint64_t kCdR = std::uint64_t{1} << 45;

sw::KernelBehaviour kernel(sw::Release base, const std::vector<const char*>& applied = {}) {
  sw::KernelVersion version{.base = base, .revert = {}, .apply = {}};
  for (const char* hash : applied) version.apply.push_back(sw::find_change(hash));
  return version.behaviour();
}
/// v6.7 with every change up to a later release.
sw::KernelBehaviour kernel_of(sw::Release release) {
  sw::KernelVersion version{.base = {6, 7}, .revert = {}, .apply = {}};
  for (const sw::KernelChange& change : sw::kernel_changes()) {
    const bool later = change.first_release > version.base;
    if (later && change.first_release <= release) version.apply.push_back(&change);
  }
  return version.behaviour();
}

struct Machine {
  explicit Machine(const sw::KernelBehaviour& behaviour, std::uint32_t idr0 = kIdr0,
                   std::uint32_t idr1 = kIdr1)
      : board(kRegisters, {.idr0 = idr0, .idr1 = idr1, .idr3 = 0, .idr5 = kIdr5, .iidr = 0}),
        state(behaviour, {}, sw::PageAllocator(kMemory, std::uint64_t{1} << 26)),
        cpu_mmu({}, behaviour),
        smmu(state, {.registers = kRegisters, .host = host(behaviour), .use_broadcast = false}),
        sva(smmu),
        stalled(smmu, sva, faults) {
    if (!smmu.probe(board)) throw std::runtime_error("the driver refuses this SMMU");
  }

  static HostProperties host(const sw::KernelBehaviour& behaviour) {
    HostProperties result;
    result.pci_pri = false;
    result.looks_for_type_overrides = behaviour.smmu_type_overrides;
    result.looks_for_httu = behaviour.smmu_httu;
    return result;
  }

  Master& add_device(std::uint32_t sid, unsigned pasid_bits = 4, bool can_stall = true) {
    Master& master = masters.emplace_back();
    master.device.streams = {arch::StreamId{sid}};
    master.device.pasid_bits = pasid_bits;
    master.device.can_stall = can_stall;
    if (!smmu.probe_device(board, master)) throw std::runtime_error("no STE");
    return master;
  }
  void attach(Master& master, Domain& domain) {
    ASSERT_EQ(attach_dev(board, smmu, master, domain), AttachResult::kOk);
  }
  /// A process that the device shares by PASID 1.
  sw::Mm& bind(Master& master) {
    auto& mm = processes.emplace_back(state, cpu_mmu, arch::MmId{1}, arch::Asid{0x12});
    mm.pgd = {0x8800'0000};
    EXPECT_NE(sva.bind(board, mm, arch::SubstreamId{1}, master), nullptr);
    return mm;
  }
  Entry ste(std::uint32_t sid) {
    return load_entry(board, smmu.stream_table().find(arch::StreamId{sid}).value());
  }

  /// An event in the queue, and the driver's thread; then the handlers of page faults.
  void take_event(const arch::smmuv3::EventRecord& event) {
    constexpr std::uint32_t kBase = 0xa0, kProd = 0x100a8;
    const std::uint64_t queue = board.mmio_read(kRegisters + kBase, 8) & 0x000f'ffff'ffff'ffe0;
    for (std::size_t i = 0; i < event.size(); ++i) {
      board.store({queue + 32 * events_ + 8 * i}, event[i]);
    }
    board.mmio_write(kRegisters + kProd, ++events_, 4);
    board.actions.clear();
    smmu.evtq_thread(board, stalled);
    try {
      faults.worker(board);
    } catch (const conform::DriverSleeps&) {
      // There is nothing left to do.
    }
  }
  /// CMD_RESUME since take_event(): "abort sid stag", "retry sid stag".
  std::vector<std::string> resumed() const {
    std::vector<std::string> result;
    for (const Action& action : board.actions) {
      const auto* submit = std::get_if<SmmuDriverBoard::Submit>(&action);
      if (submit == nullptr) continue;
      for (const auto& command : submit->commands) {
        if ((command.dw0 & 0xff) != 0x44) continue;
        const unsigned response = command.dw0 >> 12 & 3;
        result.push_back((response == 1   ? "retry "
                          : response == 2 ? "abort "
                                          : "end ") +
                         std::to_string(command.dw0 >> 32) + " " +
                         std::to_string(command.dw1 & 0xffff));
      }
    }
    return result;
  }

  SmmuDriverBoard board;
  sw::KernelState state;
  sw::Arm64Mmu cpu_mmu;
  ArmSmmuDevice smmu;
  Sva sva;
  sw::iommu::IopfQueue faults;
  StalledEvents stalled;
  std::deque<Master> masters;
  std::deque<sw::Mm> processes;

 private:
  std::uint32_t events_{};
};

// ---- What entries say ----

TEST(SmmuDriverTest, AQuietCdStallsUntilB41932f54458) {
  const struct {
    sw::KernelBehaviour behaviour;
    std::uint32_t stall_model;
    bool stalls;
  } cases[] = {
      {kernel({6, 7}), 0, true},
      {kernel({6, 5}), 0, true},
      {kernel({6, 7}, {"b41932f54458"}), 0, false},
      {kernel({6, 7}, {"b41932f54458"}), kForced, true},
      {kernel({6, 7}, {"7da51af9125c", "78a5fbe8395b"}), 0, true},
      {kernel({6, 7}, {"7da51af9125c", "78a5fbe8395b", "d38c28dbefee"}), 0, true},
      {kernel_of({6, 10}), 0, false},
      {kernel_of({6, 12}), 0, false},
      {kernel_of({6, 12}), kForced, true},
  };
  for (const auto& one : cases) {
    Machine machine(one.behaviour, kIdr0 | one.stall_model);
    Master& master = machine.add_device(3);
    Domain domain;
    machine.attach(master, domain);
    sw::Mm& mm = machine.bind(master);
    const CdTable& table = one.behaviour.smmu_master_cd_table ? master.cd_table : domain.cd_table;
    const arch::PhysAddr cd = table.find(arch::SubstreamId{1}).value();
    EXPECT_EQ(machine.board.word(cd) & (kCdEpd0 | kCdS | kCdR), kCdS | kCdR);
    for (sw::MmuNotifier* notifier : std::vector(mm.notifiers)) {
      notifier->release(machine.board, mm);
    }
    EXPECT_EQ(machine.board.word(cd) & (kCdEpd0 | kCdS | kCdR),
              kCdEpd0 | (one.stalls ? kCdS | kCdR : 0));
    EXPECT_EQ(machine.board.word(cd) >> 31 & 1, 1U) << "V";
    const bool whole = one.behaviour.smmu_write_cd_entry;
    EXPECT_EQ(machine.board.word(cd + 8), whole ? 0U : 0x8800'0000U) << "TTB0";
  }
}

TEST(SmmuDriverTest, ShareabilityIsWrittenWhereItIsThereFromEc9098d6bffeOn) {
  const struct {
    sw::KernelBehaviour behaviour;
    std::uint32_t idr1;
    bool written;
  } cases[] = {
      {kernel({6, 1}), kIdr1, true},
      {kernel({6, 7}), kIdr1, true},
      {kernel({6, 7}, {"7da51af9125c"}), kIdr1, true},
      {kernel({6, 7}, {"7da51af9125c", "ec9098d6bffe"}), kIdr1, false},
      {kernel({6, 7}, {"7da51af9125c", "ec9098d6bffe"}), kIdr1 | kTypeOverrides, true},
      {kernel_of({6, 12}), kIdr1, false},
      {kernel_of({6, 12}), kIdr1 | kTypeOverrides, true},
  };
  for (const auto& one : cases) {
    Machine machine(one.behaviour, kIdr0, one.idr1);
    Master& master = machine.add_device(3);
    machine.attach(master, machine.smmu.identity());
    EXPECT_EQ(machine.ste(3)[0], 0x9U) << "bypass";
    EXPECT_EQ(machine.ste(3)[1], one.written ? kShcfgIncoming : 0);
  }
}

TEST(SmmuDriverTest, Stage2StallsFromCe7cb08e22e0On) {
  for (const bool newer : {false, true}) {
    for (const bool can_stall : {false, true}) {
      Machine machine(kernel_of({6, newer ? 12U : 11U}));
      Master& master = machine.add_device(3, 0, can_stall);
      Domain domain(Stage::kStage2);
      machine.attach(master, domain);
      EXPECT_EQ(machine.ste(3)[0] & 0xf, 0xdU) << "stage 2";
      EXPECT_EQ((machine.ste(3)[2] & kS2s) != 0, newer && can_stall);
    }
  }
}

TEST(SmmuDriverTest, HttuIsLookedForFrom2f8d6178b4feOn) {
  constexpr std::uint32_t kAccessAndDirty = 2 << 6;
  EXPECT_FALSE(Machine(kernel({6, 7}), kIdr0 | kAccessAndDirty).smmu.features().dirty);
  EXPECT_TRUE(
      Machine(kernel({6, 7}, {"2f8d6178b4fe"}), kIdr0 | kAccessAndDirty).smmu.features().dirty);
  EXPECT_FALSE(Machine(kernel({6, 7}, {"2f8d6178b4fe"})).smmu.features().dirty);
}

TEST(SmmuDriverTest, AArch32TablesMeanInputsOf40BitsAtLeast) {
  const auto input_bits = [](std::uint32_t ttf, std::uint32_t oas) {
    const std::uint32_t idr0 = (kIdr0 & ~0xcU) | ttf << 2;
    return probe_features({idr0, kIdr1, 0, 0x70 | oas, 0}, {}).value().input_bits;
  };
  EXPECT_EQ(input_bits(2, 0), 32U);
  EXPECT_EQ(input_bits(3, 0), 40U);
  EXPECT_EQ(input_bits(3, 5), 48U);
}

// ---- Events ----

sw::Vma an_area() {
  sw::Vma area;
  area.start = {0x1234'0000};
  area.end = {0x1235'0000};
  return area;
}

constexpr std::uint64_t kSsv = 1 << 11;
constexpr std::uint64_t kStalled = std::uint64_t{1} << 31;
constexpr std::uint64_t kRead = std::uint64_t{1} << 35;
constexpr std::uint64_t kOfStage2 = std::uint64_t{1} << 39;
/// F_TRANSLATION of StreamID 3.
arch::smmuv3::EventRecord translation_fault(std::uint64_t word0, std::uint64_t word1) {
  return {0x10 | std::uint64_t{3} << 32 | word0, 0x77 | kRead | word1, 0x1234'5000, 0};
}

TEST(SmmuDriverTest, AnswersStalledEventsOfItsDevices) {
  using Lines = std::vector<std::string>;
  constexpr std::uint64_t kPasid1 = kSsv | 1 << 12;
  for (const auto& behaviour :
       {kernel({6, 1}), kernel({6, 7}), kernel_of({6, 10}), kernel_of({6, 12})}) {
    Machine machine(behaviour);
    Master& master = machine.add_device(3);
    Domain domain;
    machine.attach(master, domain);
    sw::Mm& mm = machine.bind(master);
    const auto resumed = [&](std::uint64_t word0, std::uint64_t word1) {
      machine.take_event(translation_fault(word0, word1));
      return machine.resumed();
    };
    EXPECT_EQ(resumed(kPasid1, kStalled), (Lines{"abort 3 119"})) << "nothing is mapped there";
    mm.vmas.push_back(an_area());
    EXPECT_EQ(resumed(kPasid1, kStalled), (Lines{"retry 3 119"})) << "mapped on demand";
    EXPECT_EQ(resumed(kPasid1, 0), Lines{}) << "nobody waits";
    EXPECT_EQ(resumed(kSsv | 2 << 12, kStalled), (Lines{"abort 3 119"})) << "another PASID";
    EXPECT_EQ(resumed(1 << 12, kStalled), (Lines{"abort 3 119"})) << "SSV = 0: no PASID";
    EXPECT_EQ(resumed(kPasid1 ^ std::uint64_t{3 ^ 9} << 32, kStalled), Lines{})
        << "a StreamID that no device has";
    EXPECT_EQ(resumed(kPasid1 ^ 0x10 ^ 0x0a, kStalled), Lines{}) << "C_BAD_CD cannot stall";
    const bool stage2 = behaviour.smmu_s2_stall;
    EXPECT_EQ(resumed(0, kStalled | kOfStage2), stage2 ? (Lines{"abort 3 119"}) : Lines{});
  }
}

TEST(SmmuDriverTest, APasidOfAnotherDeviceIsNotThisOnes) {
  for (const auto& behaviour : {kernel({6, 7}), kernel_of({6, 12})}) {
    Machine machine(behaviour);
    Master& other = machine.add_device(4);
    Master& master = machine.add_device(3);
    Domain first, second;
    machine.attach(other, first);
    machine.attach(master, second);
    sw::Mm& mm = machine.bind(other);
    EXPECT_NE(machine.sva.find(arch::SubstreamId{1}, other), nullptr);
    EXPECT_EQ(machine.sva.find(arch::SubstreamId{1}, master), nullptr);
    mm.vmas.push_back(an_area());
    auto event = translation_fault(kSsv | 1 << 12, kStalled);
    machine.take_event(event);
    EXPECT_EQ(machine.resumed(), (std::vector<std::string>{"abort 3 119"}));
    event[0] ^= std::uint64_t{3 ^ 4} << 32;
    machine.take_event(event);
    EXPECT_EQ(machine.resumed(), (std::vector<std::string>{"retry 4 119"})) << "the other one's";
  }
}

TEST(SmmuDriverTest, AStreamIsOneDevicesAlone) {
  Machine machine(kernel_of({6, 12}));
  Master& master = machine.add_device(3);
  EXPECT_EQ(machine.smmu.find_master(arch::StreamId{3}), &master);
  EXPECT_EQ(machine.smmu.find_master(arch::StreamId{4}), nullptr);
  EXPECT_THROW(machine.add_device(3), std::runtime_error);
  EXPECT_EQ(machine.smmu.find_master(arch::StreamId{3}), &master);
}

TEST(SmmuDriverTest, ADeviceOfTwoStreamsIsNotServed) {
  Machine machine(kernel_of({6, 12}));
  Master& master = machine.masters.emplace_back();
  master.device.streams = {arch::StreamId{8}, arch::StreamId{3}};
  master.device.pasid_bits = 4;
  master.device.can_stall = true;
  ASSERT_TRUE(machine.smmu.probe_device(machine.board, master));
  Domain domain;
  machine.attach(master, domain);
  machine.bind(master).vmas.push_back(an_area());
  machine.take_event(translation_fault(kSsv | 1 << 12, kStalled));
  EXPECT_EQ(machine.resumed(), (std::vector<std::string>{"abort 8 119"}));
}

// ---- The order of changes ----

/// What the SMMU may find while a device moves from one domain to another: in every STE that it may
/// hold, of stage 1, the pointer leads to a valid CD.
class OrderJudge {
 public:
  OrderJudge(Machine& machine, std::uint32_t sid) : sid_(sid) {
    ste_ = machine.smmu.stream_table().find(arch::StreamId{sid}).value().value;
    for (const Action& action : machine.board.actions) take(action);
  }
  void take(const Action& action) {
    if (const auto* stored = std::get_if<SmmuDriverBoard::Store>(&action)) {
      memory_[stored->address] = stored->value;
      if (stored->address == ste_) held_.insert(stored->value);
      look();
    } else if (const auto* submit = std::get_if<SmmuDriverBoard::Submit>(&action)) {
      for (const auto& command : submit->commands) {
        const bool forgets = (command.dw0 & 0xff) == 0x03 && command.dw0 >> 32 == sid_;
        if (forgets) held_ = {memory_[ste_]};
      }
    }
  }
  bool broken() const { return broken_; }

 private:
  void look() {
    for (const std::uint64_t word : held_) {
      if ((word & 0xf) != 0xb) continue;
      const std::uint64_t cd = memory_[word & 0x000f'ffff'ffff'ffc0];
      broken_ = broken_ || (cd >> 31 & 1) == 0;
    }
  }

  std::uint32_t sid_;
  std::uint64_t ste_{};
  std::map<std::uint64_t, std::uint64_t> memory_;
  std::set<std::uint64_t> held_;  // first words that the SMMU may have of the STE
  bool broken_{};
};

TEST(SmmuDriverTest, NoSteLeadsToAnInvalidCd) {
  for (const auto& behaviour : {kernel({6, 1}), kernel({6, 7}), kernel_of({6, 8}),
                                kernel_of({6, 9}), kernel_of({6, 10}), kernel_of({6, 12})}) {
    Machine machine(behaviour);
    Master& master = machine.add_device(3, 0);
    Domain first, second, stage2(Stage::kStage2);
    // From stage 1 straight to stage 1 a CD changes in two qwords, and is invalid in between.
    for (Domain* domain :
         {&first, &machine.smmu.identity(), &second, &stage2, &first, &machine.smmu.blocked(),
          &second, &machine.smmu.identity(), &first, &stage2}) {
      machine.attach(master, *domain);
    }
    EXPECT_FALSE(OrderJudge(machine, 3).broken());
  }
}

TEST(SmmuDriverTest, FromStage1ToStage1TheCdIsInvalidInBetween) {
  // Until v6.8 the STE aborts meanwhile; then the CD has to change in two qwords below it.
  for (const unsigned minor : {7U, 8U, 9U, 10U, 12U}) {
    Machine machine(kernel_of({6, minor}));
    Master& master = machine.add_device(3, 0);
    Domain first, second;
    machine.attach(master, first);
    machine.attach(master, second);
    EXPECT_EQ(OrderJudge(machine, 3).broken(), minor >= 9) << "v6." << minor;
  }
}

/// A planted defect: the CD goes before the STE has left it.
TEST(SmmuDriverTest, AnInvalidCdIsCaught) {
  Machine machine(kernel_of({6, 12}));
  Master& master = machine.add_device(3, 0);
  Domain domain;
  machine.attach(master, domain);
  const arch::PhysAddr cd = master.cd_table.find(kNoPasid).value();
  OrderJudge judge(machine, 3);
  EXPECT_FALSE(judge.broken());
  const arch::PhysAddr ste = machine.smmu.stream_table().find(arch::StreamId{3}).value();
  judge.take(SmmuDriverBoard::Store{ste.value, 0x1});  // abort, but no CFGI_STE
  EXPECT_FALSE(judge.broken());
  judge.take(SmmuDriverBoard::Store{cd.value, 0});
  EXPECT_TRUE(judge.broken());
}

}  // namespace
}  // namespace shootdown::tests
