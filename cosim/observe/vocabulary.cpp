#include "cosim/observe/vocabulary.h"

namespace shootdown::cosim {

namespace {

template <class Kind, std::size_t N>
constexpr bool in_order(const std::array<Word<Kind>, N>& words) {
  for (std::size_t i = 0; i < N; ++i) {
    if (static_cast<std::size_t>(words[i].kind) != i) return false;
  }
  return true;
}

using V = ViolationKind;
constexpr std::array kViolations{
    Word<V>{
        V::kFaultLoop, "fault-loop",
        "a requester faults `checkers.fault_loop_faults` times in a row on a page and access "
        "that the entry in memory permits, while no flush of it is under way or owed by whoever "
        "made the cached entry stale; or a device gives up on one. The run stops there"},
    Word<V>{V::kStaleAccess, "stale-access",
            "an access completes through a translation after the flush function that covers it (or "
            "the system call) has returned"},
    Word<V>{V::kUseAfterFree, "use-after-free",
            "a frame is freed while a TLB or ATC still leads to it, or an access completes in it "
            "afterwards. Entries of an address space that the CPU has not loaded (x86) or that is "
            "exiting do not count"},
    Word<V>{
        V::kWriteAfterProtect, "write-after-protect",
        "a write completes after the system call that removed write permission has returned, or "
        "without any entry that ever permitted it"},
    Word<V>{
        V::kTableUseAfterFree, "table-use-after-free",
        "a hardware walker or GUP-fast reads a table page that was freed, or has become "
        "something else since it saw the link to it; or GUP-fast finds what another process has "
        "put into a table that was shared"},
    Word<V>{V::kLostDirty, "lost-dirty",
            "a page is dropped, or left at the end, with data written after its last clean, and "
            "neither folio nor entry is dirty"},
    Word<V>{V::kBreakBeforeMake, "break-before-make",
            "a live entry is replaced by one that leads elsewhere, or a TLB comes to hold two "
            "translations of one address (VMSAv8-64 tables only)"},
    Word<V>{V::kIsolation, "isolation",
            "an access lands in a frame that belongs to another process, or to the kernel, by now; "
            "or through a table that is no longer the process's in memory private to another"},
    Word<V>{V::kAccounting, "accounting",
            "a page freed that is none, a table freed without its destructor, a count below zero; "
            "at the end of a run, map counts that differ from the entries, tables from "
            "NR_PAGETABLE, gathers that never finished"},
    Word<V>{
        V::kSyncOrder, "sync-order",
        "a DSB or CMD_SYNC completes although an invalidation before it has not taken effect in "
        "some TLB or ATC, or an access that looked up before that is still on its way"},
    Word<V>{
        V::kDriverMisuse, "driver-misuse",
        "software sent an illegal, reserved or unspecified command, or wrote a register it must "
        "not"},
    Word<V>{V::kLockstepMismatch, "lockstep-mismatch",
            "the RTL and the SystemC model of a TLB differ; names the field"},
    Word<V>{V::kRtlAssertion, "rtl-assertion", "an assertion bound to the RTL failed"}};
static_assert(in_order(kViolations) && kViolations.back().kind == V::kRtlAssertion);

constexpr std::array kHops{
    Word<Hop>{Hop::kFlush, "flush",
              "nobody called a flush function, or the frame was freed before it returned"},
    Word<Hop>{Hop::kCpuTlbi, "cpu-tlbi",
              "the flush issued no TLBI, or a CPU that was told did not invalidate the address"},
    Word<Hop>{Hop::kIpi, "ipi", "this CPU was not interrupted"},
    Word<Hop>{Hop::kAsid, "asid", "the invalidation names another ASID"},
    Word<Hop>{Hop::kRange, "range",
              "the flush, the TLBI, the notifier or the command covers another address"},
    Word<Hop>{Hop::kWalkCache, "walk-cache",
              "the invalidation was of last-level entries only, while walk caches lead to a table "
              "that is no longer linked"},
    Word<Hop>{Hop::kDsb, "dsb", "nobody waited for the TLBI, or the DSB completed early"},
    Word<Hop>{Hop::kNotifier, "notifier", "the CPUs were told, the SMMU's driver was not"},
    Word<Hop>{Hop::kCommand, "command",
              "the driver's callback sent no invalidation, or the SMMU refused it"},
    Word<Hop>{Hop::kSync, "sync", "nobody sent CMD_SYNC, or it completed early"},
    Word<Hop>{Hop::kAtc, "atc",
              "the SMMU's TLB was emptied, the device's ATC was not, or did not answer in time"},
    Word<Hop>{Hop::kAtcOrder, "atc-order", "the ATC was emptied before the SMMU's TLB"},
    Word<Hop>{Hop::kTableSync, "table-sync",
              "nobody waited for walkers with interrupts off before the table was freed"},
    Word<Hop>{Hop::kRmap, "rmap",
              "the page was taken for unmapped before its flush; or a map count is wrong"},
    Word<Hop>{Hop::kBreak, "break", "no invalid entry in between"},
    Word<Hop>{Hop::kDtor, "dtor", "a table was freed without its destructor"},
    Word<Hop>{Hop::kMask, "mask", "the flags of a page pointer were taken for address bits"},
    Word<Hop>{Hop::kPending, "pending", "a gather never finished"},
    Word<Hop>{Hop::kHardware, "hardware",
              "every hop was made; the TLB kept the entry or took it back"},
    Word<Hop>{Hop::kUnknown, "unknown", "the checker cannot tell"}};
static_assert(in_order(kHops) && kHops.back().kind == Hop::kUnknown);

constexpr std::array kNotes{
    Word<NoteKind>{NoteKind::kHiddenFaultLoop, "hidden-fault-loop",
                   "hardware that walks again hides a missing flush"},
    Word<NoteKind>{NoteKind::kOverInvalidation, "over-invalidation",
                   "how much was flushed without need"},
    Word<NoteKind>{NoteKind::kEarlyMake, "early-make",
                   "an entry was made while the flush of the old one was still owed (Linux does so "
                   "where a fault meets an madvise())"}};
static_assert(in_order(kNotes) && kNotes.back().kind == NoteKind::kEarlyMake);

constexpr std::array kCosts{
    Word<CostKind>{CostKind::kFlushes, "flushes", "calls of the kernel's flush functions"},
    Word<CostKind>{CostKind::kTlbis, "tlbis", "TLBI instructions"},
    Word<CostKind>{CostKind::kIpis, "ipis", "CPUs interrupted"},
    Word<CostKind>{CostKind::kCommands, "commands", "commands that secondary MMUs took"},
    Word<CostKind>{CostKind::kEntriesInvalidated, "entries_invalidated",
                   "translations dropped from TLBs and ATCs"}};
static_assert(in_order(kCosts) && kCosts.size() == kCostKinds);

}  // namespace

std::span<const Word<ViolationKind>> violation_words() { return kViolations; }
std::span<const Word<Hop>> hop_words() { return kHops; }
std::span<const Word<NoteKind>> note_words() { return kNotes; }
std::span<const Word<CostKind>> cost_words() { return kCosts; }

}  // namespace shootdown::cosim
