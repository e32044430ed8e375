// What the hardware models publish: one struct per kind of event, all plain values.
//
// Models write these to a tlm_analysis_port; who listens is not their business. Times and actors
// are added by the subscriber. Each struct lists its fields once, in fields(), for whoever prints
// them. Addresses are bytes.
#ifndef SHOOTDOWN_HW_EVENTS_H
#define SHOOTDOWN_HW_EVENTS_H

#include <cstdint>
#include <string_view>
#include <tlm>

#include "hw/arch/invalidation.h"
#include "hw/arch/payload_ref.h"
#include "hw/arch/smmuv3_commands.h"
#include "hw/arch/smmuv3_events.h"
#include "hw/arch/tlbi.h"
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
  arch::Asid asid{};
  arch::StreamId stream_id{};
  arch::SubstreamId substream_id{};
  bool operator==(const Requester&) const = default;
  template <class Visitor>
  void fields(Visitor&& v) const {
    v("asid", asid.value);
    v("stream_id", stream_id.value);
    v("substream_id", substream_id.value);
  }
};

/// A TLB was asked. `access_id` joins the events of one access; it is unique within an actor.
struct TlbLookup {
  static constexpr std::string_view kName = "tlb_lookup";
  std::uint64_t access_id{};
  Requester requester;
  arch::VirtAddr va{};
  arch::Access access{};
  LookupOutcome outcome{};
  arch::PhysAddr pa{};
  template <class Visitor>
  void fields(Visitor&& v) const {
    v("access_id", access_id);
    requester.fields(v);
    v("va", va);
    v("access", access);
    v("outcome", name_of(outcome));
    v("pa", pa);
  }
};

/// A translation came back from a walk (or, for an ATC, from a translation request). `dropped`: an
/// invalidation overtook it, so that it was not installed.
struct TlbFill {
  static constexpr std::string_view kName = "tlb_fill";
  std::uint64_t access_id{};
  Requester requester;
  bool global{};
  arch::Regime regime{};  ///< kStage2: `page` is an IPA
  arch::VirtAddr page{};
  unsigned page_shift{};
  arch::PhysAddr output{};
  arch::vmsa64::Permissions permissions;
  bool dropped{};
  template <class Visitor>
  void fields(Visitor&& v) const {
    v("access_id", access_id);
    requester.fields(v);
    v("global", global);
    v("regime", name_of(regime));
    v("page", page);
    v("page_shift", page_shift);
    v("output", output);
    v("user_read", permissions.user_read());
    v("user_write", permissions.user_write());
    v("dropped", dropped);
  }
};

/// A valid entry was replaced to make room.
struct TlbEvict {
  static constexpr std::string_view kName = "tlb_evict";
  arch::Asid asid{};
  bool global{};
  arch::Regime regime{};
  arch::VirtAddr page{};
  unsigned page_shift{};
  template <class Visitor>
  void fields(Visitor&& v) const {
    v("asid", asid.value);
    v("global", global);
    v("regime", name_of(regime));
    v("page", page);
    v("page_shift", page_shift);
  }
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
/// it may still be on their way; see InvalidationComplete.
struct TlbInvalidate {
  static constexpr std::string_view kName = "tlb_invalidate";
  InvalidationCause cause{};
  std::uint64_t cause_id{};  ///< DVM message number, or command number
  arch::Invalidation what;
  unsigned removed{};  ///< entries
  template <class Visitor>
  void fields(Visitor&& v) const {
    v("cause", name_of(cause));
    v("cause_id", cause_id);
    v("scope", name_of(what.scope));
    v("asid", what.asid.value);
    v("start", arch::VirtAddr{what.start});
    v("last", arch::VirtAddr{what.last});
    v("leaf_only", what.leaf_only);
    v("removed", removed);
  }
};

struct WalkBegin {
  static constexpr std::string_view kName = "walk_begin";
  std::uint64_t access_id{};
  Requester requester;
  arch::VirtAddr va{};
  template <class Visitor>
  void fields(Visitor&& v) const {
    v("access_id", access_id);
    requester.fields(v);
    v("va", va);
  }
};

struct WalkRead {
  static constexpr std::string_view kName = "walk_read";
  std::uint64_t access_id{};
  int level{};
  bool stage2{};  ///< a descriptor of stage 2
  arch::PhysAddr address{};
  std::uint64_t descriptor{};
  template <class Visitor>
  void fields(Visitor&& v) const {
    v("access_id", access_id);
    v("level", level);
    v("stage2", stage2);
    v("address", address);
    v("descriptor", arch::PhysAddr{descriptor});
  }
};

/// A walker set the accessed or the dirty flag of an entry, atomically with reading it.
struct DescriptorUpdate {
  static constexpr std::string_view kName = "descriptor_update";
  std::uint64_t access_id{};
  Requester requester;
  arch::VirtAddr va{};
  int level{};
  arch::PhysAddr address{};
  std::uint64_t before{};
  std::uint64_t after{};
  template <class Visitor>
  void fields(Visitor&& v) const {
    v("access_id", access_id);
    requester.fields(v);
    v("va", va);
    v("level", level);
    v("address", address);
    v("before", arch::PhysAddr{before});
    v("after", arch::PhysAddr{after});
  }
};

struct WalkEnd {
  static constexpr std::string_view kName = "walk_end";
  std::uint64_t access_id{};
  arch::smmuv3::EventType fault{};  ///< kNone: a translation was found
  template <class Visitor>
  void fields(Visitor&& v) const {
    v("access_id", access_id);
    v("fault", name_of(fault));
  }
};

/// An access finished: `bytes` have been read or written at `pa`. Zero bytes: nothing was moved
/// (a page request, or a bus error).
struct AccessDone {
  static constexpr std::string_view kName = "access_done";
  std::uint64_t access_id{};
  Requester requester;
  arch::VirtAddr va{};
  arch::PhysAddr pa{};
  arch::Access access{};
  TranslationSource source{};
  unsigned bytes{};
  std::uint64_t translated_ps{};  ///< when the translation was obtained, relative to the run
  template <class Visitor>
  void fields(Visitor&& v) const {
    v("access_id", access_id);
    requester.fields(v);
    v("va", va);
    v("pa", pa);
    v("access", access);
    v("source", name_of(source));
    v("bytes", bytes);
    v("translated_ps", translated_ps);
  }
};

/// An access could not be translated. CPUs take an exception, the SMMU stalls or terminates, a
/// device with an ATC is refused.
struct TranslationFault {
  static constexpr std::string_view kName = "translation_fault";
  std::uint64_t access_id{};
  Requester requester;
  arch::VirtAddr va{};
  arch::Access access{};
  arch::smmuv3::EventType type{};
  TranslationSource source{};  ///< kTlb, kAtc: a cached entry gave too little permission
  bool stalled{};
  std::uint16_t stag{};
  template <class Visitor>
  void fields(Visitor&& v) const {
    v("access_id", access_id);
    requester.fields(v);
    v("va", va);
    v("access", access);
    v("type", name_of(type));
    v("source", name_of(source));
    v("stalled", stalled);
    v("stag", stag);
  }
};

/// An access that cannot be reported yet (event queue full, no STAG free) is put back and tried
/// again from the start. Ends its look-up.
struct AccessHeld {
  static constexpr std::string_view kName = "access_held";
  std::uint64_t access_id{};
  template <class Visitor>
  void fields(Visitor&& v) const {
    v("access_id", access_id);
  }
};

/// A hit gave too little permission and the policy was not to fault.
struct PermissionPolicy {
  static constexpr std::string_view kName = "permission_policy";
  std::uint64_t access_id{};
  Requester requester;
  arch::VirtAddr va{};
  arch::Access access{};
  bool rewalk{};  ///< true: the tables were walked again; false: the entry was used all the same
  template <class Visitor>
  void fields(Visitor&& v) const {
    v("access_id", access_id);
    requester.fields(v);
    v("va", va);
    v("access", access);
    v("rewalk", rewalk);
  }
};

struct StallResumed {
  static constexpr std::string_view kName = "stall_resumed";
  std::uint64_t access_id{};
  arch::StreamId stream_id{};
  std::uint16_t stag{};
  bool retry{};
  template <class Visitor>
  void fields(Visitor&& v) const {
    v("access_id", access_id);
    v("stream_id", stream_id.value);
    v("stag", stag);
    v("retry", retry);
  }
};

/// The SMMU took a command from the queue. `number` counts commands since reset.
struct CommandFetched {
  static constexpr std::string_view kName = "command_fetched";
  std::uint64_t number{};
  arch::smmuv3::Command command;
  template <class Visitor>
  void fields(Visitor&& v) const {
    v("number", number);
    v("opcode", name_of(arch::smmuv3::opcode_of(command)));
    v("dw0", arch::PhysAddr{command.dw0});
    v("dw1", arch::PhysAddr{command.dw1});
  }
};

/// A CMD_SYNC completed: CONS moves past it.
struct SyncCompleted {
  static constexpr std::string_view kName = "sync_completed";
  std::uint64_t number{};
  template <class Visitor>
  void fields(Visitor&& v) const {
    v("number", number);
  }
};

struct CommandError {
  static constexpr std::string_view kName = "command_error";
  std::uint64_t number{};
  unsigned code{};  ///< CMDQ_CONS.ERR
  template <class Visitor>
  void fields(Visitor&& v) const {
    v("number", number);
    v("code", code);
  }
};

/// Software did what the architecture calls illegal, reserved or a free choice of the hardware.
struct IllegalUse {
  static constexpr std::string_view kName = "illegal_use";
  std::string_view rule;   ///< a sentence with its source; static storage
  std::uint64_t detail{};  ///< register offset, command word or operand
  template <class Visitor>
  void fields(Visitor&& v) const {
    v("rule", rule);
    v("detail", arch::PhysAddr{detail});
  }
};

struct EventRecorded {
  static constexpr std::string_view kName = "event_recorded";
  arch::smmuv3::EventRecord record{};
  template <class Visitor>
  void fields(Visitor&& v) const {
    v("type", name_of(static_cast<arch::smmuv3::EventType>(record[0] & 0xff)));
    v("dw0", arch::PhysAddr{record[0]});
    v("dw1", arch::PhysAddr{record[1]});
    v("dw2", arch::PhysAddr{record[2]});
  }
};

/// The SMMU put a page request into its PRI queue.
struct PageRequestRecorded {
  static constexpr std::string_view kName = "page_request_recorded";
  arch::StreamId stream_id{};
  arch::SubstreamId substream_id{};
  arch::VirtAddr address{};
  unsigned group{};
  bool last{};
  template <class Visitor>
  void fields(Visitor&& v) const {
    v("stream_id", stream_id.value);
    v("substream_id", substream_id.value);
    v("address", address);
    v("group", group);
    v("last", last);
  }
};

struct InterruptRaised {
  static constexpr std::string_view kName = "interrupt_raised";
  std::string_view line;  ///< static storage
  template <class Visitor>
  void fields(Visitor&& v) const {
    v("line", line);
  }
};

/// A CPU executed TLBI ...IS: the message leaves for every other observer of the domain.
struct TlbiIssued {
  static constexpr std::string_view kName = "tlbi";
  std::uint64_t dvm_id{};  ///< unique in the run
  arch::TlbiOp op{};
  std::uint64_t operand{};
  template <class Visitor>
  void fields(Visitor&& v) const {
    v("dvm_id", dvm_id);
    v("op", name_of(op));
    v("operand", arch::PhysAddr{operand});
  }
};

/// DSB for all kinds of access, by the CPU that is the actor. At completion every TLBI with
/// dvm_id <= last_dvm_id that this CPU issued is complete everywhere.
struct DsbCompleted {
  static constexpr std::string_view kName = "dsb";
  std::uint64_t last_dvm_id{};  ///< 0: this CPU has issued none
  template <class Visitor>
  void fields(Visitor&& v) const {
    v("last_dvm_id", last_dvm_id);
  }
};

/// A device asked for a translation (ATS) and was answered.
struct AtsAnswered {
  static constexpr std::string_view kName = "ats_answered";
  std::uint64_t access_id{};
  Requester requester;
  arch::VirtAddr va{};
  bool read{};
  bool write{};
  template <class Visitor>
  void fields(Visitor&& v) const {
    v("access_id", access_id);
    requester.fields(v);
    v("va", va);
    v("read", read);
    v("write", write);
  }
};

/// An ATC invalidation took effect and every access that used the old entries is done.
struct AtcInvalidationCompleted {
  static constexpr std::string_view kName = "atc_invalidation_completed";
  std::uint64_t command_number{};
  template <class Visitor>
  void fields(Visitor&& v) const {
    v("command_number", command_number);
  }
};

/// A device gives up on an access or tries again.
struct DeviceRetry {
  static constexpr std::string_view kName = "device_retry";
  arch::VirtAddr va{};
  unsigned attempt{};
  bool gave_up{};
  template <class Visitor>
  void fields(Visitor&& v) const {
    v("va", va);
    v("attempt", attempt);
    v("gave_up", gave_up);
  }
};

/// The RTL and the SystemC model of one TLB differ.
struct LockstepMismatch {
  static constexpr std::string_view kName = "lockstep_mismatch";
  std::string_view field;  ///< hit, output, permission, occupancy ...
  std::string_view operation;
  arch::VirtAddr va{};
  std::uint64_t systemc{};
  std::uint64_t rtl{};
  template <class Visitor>
  void fields(Visitor&& v) const {
    v("field", field);
    v("operation", operation);
    v("va", va);
    v("systemc", arch::PhysAddr{systemc});
    v("rtl", arch::PhysAddr{rtl});
  }
};

/// An assertion bound to the RTL failed.
struct RtlAssertionFailed {
  static constexpr std::string_view kName = "rtl_assertion";
  unsigned failures{};
  template <class Visitor>
  void fields(Visitor&& v) const {
    v("failures", failures);
  }
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
