// A log written by hand, and the ledger that reads it: two CPUs, an SMMU, a device with an ATC, and
// two threads in the kernel.
#ifndef SHOOTDOWN_TESTS_SUPPORT_HAND_LOG_H
#define SHOOTDOWN_TESTS_SUPPORT_HAND_LOG_H

#include <cstdint>
#include <map>
#include <utility>

#include "cosim/ledger/ledger.h"
#include "hw/sim/sc_kernel.h"

namespace shootdown::tests {

class HandLog {
 public:
  static constexpr std::uint64_t kLeaf = 0x00e8'0000'0000'0f43;      ///< writable, dirty
  static constexpr std::uint64_t kReadOnly = 0x0060'0000'0000'0fc3;  ///< clean
  static constexpr std::uint64_t kTable = 3;
  static constexpr std::uint64_t kPgd = 0x1000;
  static constexpr arch::MmId kMm{1};
  static constexpr arch::Asid kAsid{3};
  static constexpr arch::StreamId kStream{0x40};

  HandLog()
      : simulation_(sc_core::SC_ZERO_TIME),
        log(simulation_),
        cpu(log.add_actor(cosim::ActorRole::kCpu, "cpu0")),
        cpu1(log.add_actor(cosim::ActorRole::kCpu, "cpu1")),
        smmu(log.add_actor(cosim::ActorRole::kSecondaryMmu, "smmu0")),
        device(log.add_actor(cosim::ActorRole::kDevice, "nic0", smmu, kStream.value)),
        atc(log.add_actor(cosim::ActorRole::kAtc, "nic0.atc", device)),
        thread(log.add_actor(cosim::ActorRole::kThread, "main", cpu)),
        other(log.add_actor(cosim::ActorRole::kThread, "other", cpu1)),
        ledger(log) {
    log.subscribe(ledger);
    log.open();
    say(sw::MmCreated{.mm = kMm, .asid = kAsid, .pgd = {kPgd}});
  }
  virtual ~HandLog() = default;
  HandLog(const HandLog&) = delete;
  HandLog& operator=(const HandLog&) = delete;

  /// Software, by `thread` on cpu0; hardware, by an actor, for whom: a thread or nobody.
  template <class E>
  void say(const E& event) {
    log.append(cpu, thread, payload(event));
  }
  template <class E>
  void other_says(const E& event) {
    log.append(cpu1, other, payload(event));
  }
  template <class E>
  void hardware(cosim::ActorId actor, const E& event, cosim::ThreadId by = cosim::kNoThread) {
    log.append(actor, by, payload(event));
  }

  // Software.
  void enter(const char* function) { say(sw::FunctionEnter{.function = function}); }
  void leave(const char* function) { say(sw::FunctionExit{.function = function}); }
  void store(std::uint64_t va, int level, std::uint64_t before, std::uint64_t after) {
    say(sw::PteStore{.mm = kMm,
                     .va = {va},
                     .level = level,
                     .entry = {slot(va, level)},
                     .before = {before},
                     .after = {after}});
    if ((after & 3) == kTable && level < 3) {
      tables_[{level + 1, va}] = after & ~std::uint64_t{0xfff};
    }
  }
  void allocate(std::uint64_t page, sw::PageUse use) {
    say(sw::PageAllocated{.page = {page}, .order = 0, .use = use});
  }
  void free(std::uint64_t page, sw::PageUse use) {
    say(sw::PageFreed{.page = {page}, .order = 0, .use = use});
  }
  void bind(bool with_atc = false, bool broadcast = false) {
    say(sw::SvaBound{.mm = kMm,
                     .unit = 0,
                     .stream_id = kStream,
                     .substream_id = {},
                     .asid = kAsid,
                     .atc = with_atc,
                     .broadcast = broadcast});
  }
  void flush_begin(std::uint64_t start, std::uint64_t end, bool secondary = false) {
    say(sw::FlushBegin{
        .flush = ++flushes_, .mm = kMm, .start = {start}, .end = {end}, .secondary = secondary});
  }
  void flush_end() { say(sw::FlushEnd{.flush = flushes_, .done = true}); }
  void notify(std::uint64_t start, std::uint64_t end, bool release = false) {
    say(sw::NotifierCalled{.mm = kMm,
                           .start = {start},
                           .end = {end},
                           .callback = "arch_invalidate_secondary_tlbs",
                           .release = release});
  }
  void send(arch::Maintenance command) { say(sw::CommandSubmitted{.unit = 0, .command = command}); }

  // Hardware.
  static arch::Invalidation by_address(std::uint64_t va, arch::Asid asid = kAsid) {
    arch::Invalidation what;
    what.scope = arch::Invalidation::Scope::kVa;
    what.asid = asid;
    what.start = va;
    what.last = va + 0xfff;
    return what;
  }
  static arch::Maintenance tlbi_command(const arch::Invalidation& what) {
    return {.what = arch::MaintenanceKind::kTlb,
            .invalidation = what,
            .stream_id = {},
            .command = "CMD_TLBI_NH_VA",
            .word0 = {},
            .word1 = {}};
  }
  static arch::Maintenance atc_command(std::uint64_t va) {
    return {.what = arch::MaintenanceKind::kAtc,
            .invalidation = by_address(va, {}),
            .stream_id = kStream,
            .command = "CMD_ATC_INV",
            .word0 = {},
            .word1 = {}};
  }
  static arch::Maintenance sync_command() {
    return {.what = arch::MaintenanceKind::kBarrier,
            .invalidation = std::nullopt,
            .stream_id = {},
            .command = "CMD_SYNC",
            .word0 = {},
            .word1 = {}};
  }
  /// The SMMU takes the oldest command that was sent. Its number.
  std::uint64_t fetch(const arch::Maintenance& command) {
    hardware(smmu, hw::CommandFetched{.number = ++commands_, .command = command});
    return commands_;
  }
  std::uint64_t tlbi(const arch::Invalidation& what) {
    hardware(cpu, hw::TlbiIssued{.dvm_id = ++tlbis_, .what = what, .op = "VALE1IS", .operand = {}},
             thread);
    return tlbis_;
  }
  void dsb() { hardware(cpu, hw::DsbCompleted{.last_dvm_id = tlbis_}, thread); }
  void invalidate(cosim::ActorId tlb, hw::InvalidationCause cause, std::uint64_t id,
                  const arch::Invalidation& what, unsigned removed) {
    hardware(tlb,
             hw::TlbInvalidate{.cause = cause, .cause_id = id, .what = what, .removed = removed});
  }
  hw::Requester requester_of(cosim::ActorId tlb) const {
    const bool of_device = tlb == smmu || tlb == atc || tlb == device;
    return {.asid = kAsid, .stream_id = of_device ? kStream : arch::StreamId{}, .substream_id = {}};
  }
  /// A translation comes into a TLB, with the access that asked for it.
  void fill(cosim::ActorId tlb, std::uint64_t va, std::uint64_t output, bool writable = true,
            unsigned shift = arch::kPageShift) {
    hardware(tlb, hw::TlbFill{.access_id = ++accesses_,
                              .requester = requester_of(tlb),
                              .global = false,
                              .regime = {},
                              .page = {va},
                              .page_shift = shift,
                              .output = {output},
                              .permissions = arch::vmsa64::Permissions::of(
                                  {.user_read = true, .user_write = writable}),
                              .dropped = false});
  }
  /// An access looks up; its number.
  std::uint64_t look_up(cosim::ActorId tlb, std::uint64_t va, std::uint64_t pa,
                        arch::Access access = arch::Access::kRead) {
    hardware(tlb, hw::TlbLookup{.access_id = ++accesses_,
                                .requester = requester_of(tlb),
                                .va = {va},
                                .access = access,
                                .outcome = hw::LookupOutcome::kHit,
                                .pa = {pa},
                                .regime = {}});
    return accesses_;
  }
  void done(cosim::ActorId actor, std::uint64_t id, std::uint64_t va, std::uint64_t pa,
            arch::Access access = arch::Access::kRead) {
    hardware(actor, hw::AccessDone{.access_id = id,
                                   .requester = requester_of(actor),
                                   .va = {va},
                                   .pa = {pa},
                                   .access = access,
                                   .source = actor == device ? hw::TranslationSource::kAtc
                                                             : hw::TranslationSource::kTlb,
                                   .bytes = 8,
                                   .translated_ps = 0});
  }
  /// Looks up and is done at once.
  void access(cosim::ActorId tlb, std::uint64_t va, std::uint64_t pa,
              arch::Access access = arch::Access::kRead) {
    const std::uint64_t id = look_up(tlb, va, pa, access);
    done(tlb == atc ? device : tlb, id, va, pa, access);
  }

 private:
  hw::ScKernel kernel_;
  hw::Simulation simulation_;

 public:
  cosim::EventLog log;
  const cosim::ActorId cpu, cpu1, smmu, device, atc;
  const cosim::ThreadId thread, other;
  cosim::Ledger ledger;

 private:
  /// In the table that an earlier store has linked there, else in one the log says nothing of.
  std::uint64_t slot(std::uint64_t va, int level) const {
    const unsigned shift = 39 - 9 * static_cast<unsigned>(level);
    const std::uint64_t index = va >> shift & 511;
    if (level == 0) return kPgd + 8 * index;
    const std::uint64_t span = std::uint64_t{512} << shift;
    const auto table = tables_.find({level, va & ~(span - 1)});
    return table != tables_.end() ? table->second + 8 * index : 0x9000 + (va >> 9);
  }
  template <class E>
  static cosim::Payload payload(const E& event) {
    if constexpr (hw::Event::index_of<E>() < hw::Event::kKinds) {
      return cosim::Payloads::join(hw::Event(event));
    } else {
      return cosim::Payloads::join(sw::TraceEvent(event));
    }
  }
  std::map<std::pair<int, std::uint64_t>, std::uint64_t> tables_;  // by level and first address
  std::uint64_t accesses_{};
  std::uint64_t flushes_{};
  std::uint64_t tlbis_{};
  std::uint64_t commands_{};
};

}  // namespace shootdown::tests

#endif
