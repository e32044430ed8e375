// What the hardware models publish: one struct per kind of event, all plain values, in words of
// translation and maintenance that every CPU, secondary MMU and device shares. Where an
// architecture has a word of its own for it, that stands beside, for people (`command`, `text`, raw
// words).
//
// Models write these to a tlm_analysis_port; who listens is not their business. Publishing takes no
// time. Times and actors are added by the subscriber. Members are declared once, by
// SHOOTDOWN_FIELDS, and so reach every printer. Addresses are bytes.
#ifndef SHOOTDOWN_HW_EVENTS_H
#define SHOOTDOWN_HW_EVENTS_H

#include <cstdint>
#include <string_view>
#include <tlm>

#include "hw/arch/fault_kind.h"
#include "hw/arch/fields.h"
#include "hw/arch/invalidation.h"
#include "hw/arch/maintenance.h"
#include "hw/arch/payload_ref.h"
#include "hw/arch/types.h"
#include "hw/arch/vmsa64.h"

namespace shootdown::hw {

/// Where a requester's translation came from.
enum class TranslationSource : std::uint8_t { kTlb, kWalk, kAtc, kBypass };
constexpr std::string_view name_of(TranslationSource source) {
  switch (source) {
    case TranslationSource::kTlb:
      return "tlb";
    case TranslationSource::kWalk:
      return "walk";
    case TranslationSource::kAtc:
      return "atc";
    case TranslationSource::kBypass:
      return "bypass";
  }
  return "?";
}

enum class LookupOutcome : std::uint8_t { kMiss, kHit, kNoPermission };
constexpr std::string_view name_of(LookupOutcome outcome) {
  switch (outcome) {
    case LookupOutcome::kMiss:
      return "miss";
    case LookupOutcome::kHit:
      return "hit";
    case LookupOutcome::kNoPermission:
      return "no_permission";
  }
  return "?";
}

/// Who asked: an address space tag, and for devices the stream behind it.
struct Requester {
  SHOOTDOWN_FIELDS((arch::Asid, asid), (arch::StreamId, stream_id),
                   (arch::SubstreamId, substream_id));
  bool operator==(const Requester&) const = default;
};

// ---- Translation. By CPUs, secondary MMUs and ATCs ---------------------------------------------

/// A TLB was asked. `access_id` joins the events of one access; it is unique within an actor, and
/// of a device within the run. Each look-up of an access is followed by AccessDone,
/// TranslationFault, AccessHeld, AtsAnswered or the next look-up of the same access.
struct TlbLookup {
  static constexpr std::string_view kName = "tlb_lookup";
  SHOOTDOWN_FIELDS((std::uint64_t, access_id), (Requester, requester), (arch::VirtAddr, va),
                   (arch::Access, access), (LookupOutcome, outcome), (arch::PhysAddr, pa),
                   // kStage2: `va` is an IPA.
                   (arch::Regime, regime));
};

/// A translation came back from a walk (or, for an ATC, from a translation request).
struct TlbFill {
  static constexpr std::string_view kName = "tlb_fill";
  SHOOTDOWN_FIELDS((std::uint64_t, access_id), (Requester, requester), (bool, global),
                   // kStage2: `page` is an IPA.
                   (arch::Regime, regime), (arch::VirtAddr, page), (unsigned, page_shift),
                   (arch::PhysAddr, output), (arch::vmsa64::Permissions, permissions),
                   // An invalidation overtook it, so that it was not installed.
                   (bool, dropped));
};

/// A valid entry was replaced to make room. Told together with the fill that replaced it, before
/// it.
struct TlbEvict {
  static constexpr std::string_view kName = "tlb_evict";
  SHOOTDOWN_FIELDS((arch::Asid, asid), (bool, global), (arch::Regime, regime),
                   (arch::VirtAddr, page), (unsigned, page_shift));
};

/// Why a TLB invalidated: which DVM message, which command slot, or its own CPU's instruction.
enum class InvalidationCause : std::uint8_t { kDvm, kCommand, kAtcInvalidation, kReset, kLocal };
constexpr std::string_view name_of(InvalidationCause cause) {
  switch (cause) {
    case InvalidationCause::kDvm:
      return "dvm";
    case InvalidationCause::kCommand:
      return "command";
    case InvalidationCause::kAtcInvalidation:
      return "atc_invalidation";
    case InvalidationCause::kReset:
      return "reset";
    case InvalidationCause::kLocal:
      return "local";
  }
  return "?";
}
/// An invalidation took effect in this TLB and its walk cache. Walks and accesses that began before
/// it may still be on their way; a DSB, a barrier command or AtcInvalidationCompleted tells when
/// they are done.
struct TlbInvalidate {
  static constexpr std::string_view kName = "tlb_invalidate";
  SHOOTDOWN_FIELDS((InvalidationCause, cause),
                   // DVM message number, or command number.
                   (std::uint64_t, cause_id), (arch::Invalidation, what),
                   // Entries.
                   (unsigned, removed));
};

struct WalkBegin {
  static constexpr std::string_view kName = "walk_begin";
  SHOOTDOWN_FIELDS((std::uint64_t, access_id), (Requester, requester), (arch::VirtAddr, va),
                   // kStage2: `va` is an IPA.
                   (arch::Regime, regime));
};

struct WalkRead {
  static constexpr std::string_view kName = "walk_read";
  SHOOTDOWN_FIELDS((std::uint64_t, access_id), (int, level),
                   // A descriptor of stage 2.
                   (bool, stage2), (arch::PhysAddr, address), (arch::RawWord, descriptor));
};

/// A walker set the accessed or the dirty flag of an entry, atomically with reading it.
struct DescriptorUpdate {
  static constexpr std::string_view kName = "descriptor_update";
  SHOOTDOWN_FIELDS((std::uint64_t, access_id), (Requester, requester), (arch::VirtAddr, va),
                   (int, level), (arch::PhysAddr, address), (arch::RawWord, before),
                   (arch::RawWord, after));
};

struct WalkEnd {
  static constexpr std::string_view kName = "walk_end";
  SHOOTDOWN_FIELDS((std::uint64_t, access_id),
                   // kNone: a translation was found.
                   (arch::FaultKind, fault));
};

/// An access finished: `bytes` have been read or written at `pa`. Zero bytes: nothing was moved
/// (a page request, a bus error, or a translated access that the secondary MMU refused).
struct AccessDone {
  static constexpr std::string_view kName = "access_done";
  SHOOTDOWN_FIELDS((std::uint64_t, access_id), (Requester, requester), (arch::VirtAddr, va),
                   (arch::PhysAddr, pa), (arch::Access, access), (TranslationSource, source),
                   (unsigned, bytes),
                   // When the translation was obtained, relative to the run.
                   (std::uint64_t, translated_ps));
};

/// An access could not be translated. CPUs take an exception, a secondary MMU stalls or terminates,
/// a device with an ATC is refused.
struct TranslationFault {
  static constexpr std::string_view kName = "translation_fault";
  SHOOTDOWN_FIELDS((std::uint64_t, access_id), (Requester, requester), (arch::VirtAddr, va),
                   (arch::Access, access), (arch::FaultKind, type),
                   // The architecture's name for it; static storage.
                   (std::string_view, text),
                   // kTlb, kAtc: a cached entry gave too little permission.
                   (TranslationSource, source), (bool, stalled),
                   // Of a stalled access: the number by which software answers.
                   (std::uint16_t, stag));
};

/// An access that cannot be reported yet (event queue full, no STAG free) is put back and tried
/// again from the start. Ends its look-up.
struct AccessHeld {
  static constexpr std::string_view kName = "access_held";
  SHOOTDOWN_FIELDS((std::uint64_t, access_id));
};

/// A hit gave too little permission and the policy was not to fault.
struct PermissionPolicy {
  static constexpr std::string_view kName = "permission_policy";
  SHOOTDOWN_FIELDS((std::uint64_t, access_id), (Requester, requester), (arch::VirtAddr, va),
                   (arch::Access, access),
                   // The tables were walked again; false: the entry was used all the same.
                   (bool, rewalk));
};

struct StallResumed {
  static constexpr std::string_view kName = "stall_resumed";
  SHOOTDOWN_FIELDS((std::uint64_t, access_id), (arch::StreamId, stream_id), (std::uint16_t, stag),
                   (bool, retry));
};

// ---- Maintenance by commands. By secondary MMUs ------------------------------------------------

/// A command was taken from the queue. `number` counts commands since reset.
struct CommandFetched {
  static constexpr std::string_view kName = "command_fetched";
  SHOOTDOWN_FIELDS((std::uint64_t, number), (arch::Maintenance, command));
};

/// A barrier command completed: what came before it has taken effect.
struct SyncCompleted {
  static constexpr std::string_view kName = "sync_completed";
  SHOOTDOWN_FIELDS((std::uint64_t, number));
};

/// A command ended in an error. The queue stops at it until software has seen to it.
struct CommandError {
  static constexpr std::string_view kName = "command_error";
  SHOOTDOWN_FIELDS((std::uint64_t, number),
                   // The architecture's (SMMUv3: CMDQ_CONS.ERR).
                   (unsigned, code),
                   // In words; static storage.
                   (std::string_view, text),
                   // Of a barrier: an ATC has not answered in time.
                   (bool, timeout));
};

/// Software did what the architecture calls illegal, reserved or a free choice of the hardware.
struct IllegalUse {
  static constexpr std::string_view kName = "illegal_use";
  SHOOTDOWN_FIELDS(
      // A sentence with its source; static storage.
      (std::string_view, rule),
      // Register offset, command word or operand.
      (arch::RawWord, detail));
};

/// A record was written to the event queue.
struct EventRecorded {
  static constexpr std::string_view kName = "event_recorded";
  SHOOTDOWN_FIELDS(
      // The architecture's name of its type; static storage.
      (std::string_view, type), (arch::RawWord, dw0), (arch::RawWord, dw1), (arch::RawWord, dw2),
      (arch::RawWord, dw3));
};

/// A page request was put into its queue.
struct PageRequestRecorded {
  static constexpr std::string_view kName = "page_request_recorded";
  SHOOTDOWN_FIELDS((arch::StreamId, stream_id), (arch::SubstreamId, substream_id),
                   (arch::VirtAddr, address), (unsigned, group), (bool, last));
};

/// An interrupt was switched through. `line`: static storage.
struct InterruptRaised {
  static constexpr std::string_view kName = "interrupt_raised";
  SHOOTDOWN_FIELDS((std::string_view, line));
};

// ---- Maintenance by instructions. By CPUs ------------------------------------------------------

/// A CPU executed a broadcast invalidation: the message leaves for every other observer.
struct TlbiIssued {
  static constexpr std::string_view kName = "tlbi";
  SHOOTDOWN_FIELDS(
      // Unique in the run.
      (std::uint64_t, dvm_id), (arch::Invalidation, what),
      // The architecture's name; static storage.
      (std::string_view, op), (arch::RawWord, operand));
};

/// DSB for all kinds of access, by the CPU that is the actor. At completion every TLBI with
/// dvm_id <= last_dvm_id that this CPU issued is complete everywhere. 0: this CPU has issued none.
struct DsbCompleted {
  static constexpr std::string_view kName = "dsb";
  SHOOTDOWN_FIELDS((std::uint64_t, last_dvm_id));
};

// ---- Devices -----------------------------------------------------------------------------------

/// A device asked for a translation (ATS) and was answered. By the secondary MMU.
struct AtsAnswered {
  static constexpr std::string_view kName = "ats_answered";
  SHOOTDOWN_FIELDS((std::uint64_t, access_id), (Requester, requester), (arch::VirtAddr, va),
                   (bool, read), (bool, write));
};

/// An ATC invalidation took effect and every access that used the old entries is done. By the ATC.
struct AtcInvalidationCompleted {
  static constexpr std::string_view kName = "atc_invalidation_completed";
  SHOOTDOWN_FIELDS((std::uint64_t, command_number));
};

/// A device gives up on an access or tries again.
struct DeviceRetry {
  static constexpr std::string_view kName = "device_retry";
  SHOOTDOWN_FIELDS((arch::VirtAddr, va), (unsigned, attempt), (bool, gave_up));
};

// ---- What the RTL says of itself ---------------------------------------------------------------

/// The RTL and the SystemC model of one TLB differ. `field`: hit, output, permission, occupancy ...
struct LockstepMismatch {
  static constexpr std::string_view kName = "lockstep_mismatch";
  SHOOTDOWN_FIELDS((std::string_view, field), (std::string_view, operation), (arch::VirtAddr, va),
                   (arch::RawWord, systemc), (arch::RawWord, rtl));
};

/// An assertion bound to the RTL failed.
struct RtlAssertionFailed {
  static constexpr std::string_view kName = "rtl_assertion";
  SHOOTDOWN_FIELDS((unsigned, failures));
};

/// One of them, by reference: a listener that wants to remember it copies what it needs.
using Event =
    arch::PayloadRef<TlbLookup, TlbFill, TlbEvict, TlbInvalidate, WalkBegin, WalkRead,
                     DescriptorUpdate, WalkEnd, AccessDone, TranslationFault, AccessHeld,
                     PermissionPolicy, StallResumed, CommandFetched, SyncCompleted, CommandError,
                     IllegalUse, EventRecorded, PageRequestRecorded, InterruptRaised, TlbiIssued,
                     DsbCompleted, AtsAnswered, AtcInvalidationCompleted, DeviceRetry,
                     LockstepMismatch, RtlAssertionFailed>;

using EventPort = tlm::tlm_analysis_port<Event>;

}  // namespace shootdown::hw

#endif
