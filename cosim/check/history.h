// What has happened so far, as far as the checkers need it: built from the event log alone.
//
// Page tables as software stored them, cached translations as hardware filled and dropped them,
// and the hops of every shootdown in between. One instance serves all checkers of a run; it has to
// subscribe to the log before them.
#ifndef SHOOTDOWN_COSIM_CHECK_HISTORY_H
#define SHOOTDOWN_COSIM_CHECK_HISTORY_H

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cosim/check/page_tables.h"
#include "cosim/check/stamp.h"
#include "cosim/observe/event_log.h"
#include "hw/arch/tlbi.h"

namespace shootdown::cosim {

/// Where a translation comes from: one read of a leaf descriptor.
struct DescriptorRead {
  Stamp at;
  /// Its table, if a walk cache led there when it was not linked any more; else 0. `at` is then the
  /// last moment that it was.
  std::uint64_t unlinked_table{};
};

/// A translation that a TLB or ATC holds or held.
struct CachedEntry {
  Stamp filled;
  DescriptorRead read;
  Stamp removed;
  hw::TlbFill fill;
  bool matches(arch::VirtAddr va, arch::Asid asid) const {
    return arch::page_of(va, fill.page_shift) == fill.page &&
           (fill.global || fill.requester.asid == asid);
  }
  std::uint64_t last() const { return fill.page.value + (arch::page_bytes(fill.page_shift) - 1); }
};

/// A flush function from entry to return.
struct FlushRecord {
  Stamp begin;
  Stamp end;
  unsigned mm{};
  arch::VirtAddr start{};
  arch::VirtAddr limit{};  ///< exclusive
  bool secondary{};        ///< for devices too
  std::string functions;
};

struct TlbiRecord {
  Stamp at;
  Stamp completed;  ///< the DSB after it
  std::uint64_t dvm_id{};
  arch::TlbiOp op{};
  arch::Invalidation what;
};

struct NotifierRecord {
  Stamp at;
  unsigned mm{};
  arch::VirtAddr start{};
  arch::VirtAddr limit{};
  const char* callback{};
};

/// A command from its submission to its effect.
struct CommandRecord {
  Stamp submitted;
  Stamp fetched;
  Stamp refused;           ///< CERROR
  std::uint64_t number{};  ///< the SMMU's, once fetched
  arch::smmuv3::Command command;
};

struct SyncRecord {
  Stamp completed;
  std::uint64_t number{};
};

/// An invalidation that took effect in one TLB.
struct InvalidationRecord {
  Stamp at;
  hw::TlbInvalidate event;
};

struct IpiRecord {
  Stamp at;
  std::uint64_t mask{};
};

/// What one invalidation dropped.
struct Dropped {
  unsigned dropped{};
  unsigned needless{};  ///< translations that memory still says
};

/// A system call that took access away has returned.
struct ProtectionRecord {
  Stamp at;     ///< of the return
  Stamp began;  ///< of the call
  unsigned mm{};
  arch::VirtAddr start{};
  arch::VirtAddr limit{};
  std::string_view operation;
  /// Whether the call answers for a store: its own, or one that it could find. What others change
  /// while it is at work they answer for.
  bool answers_for(const StoreRecord& store) const {
    return store.at.thread == at.thread || store.at.sequence < began.sequence;
  }
};

/// An access between its look-up and its end.
struct OpenAccess {
  std::uint64_t access_id{};
  Stamp looked_up;
  hw::Requester requester;
  arch::VirtAddr va{};
  DescriptorRead hit_read;  ///< of a hit: that of the entry
};

struct Binding {
  std::string device;
  unsigned mm{};
  arch::Asid asid{};
  bool atc{};
  bool broadcast{};
};

struct FrameState {
  Stamp freed;  ///< not set while allocated
};

class History : public EventSubscriber {
 public:
  explicit History(const EventLog& log) : log_(log) {}
  void on_event(const Event& event) override;
  void reset();
  /// What the platform is made of; not reset. A device without an ATC gives its own actor twice.
  void add_cpu(ActorId actor) { cpus_.insert(actor); }
  /// CPUs invalidate by themselves, when told by an IPI: no broadcast.
  void set_local_invalidation(bool local) { local_invalidation_ = local; }
  void add_smmu(ActorId actor) { smmu_ = actor; }
  void add_device(arch::StreamId stream, ActorId actor, ActorId atc) {
    devices_[stream.value] = actor;
    atcs_[actor] = atc;
  }
  bool is_cpu(ActorId actor) const { return cpus_.count(actor) != 0; }
  bool is_smmu(ActorId actor) const { return actor == smmu_; }
  ActorId smmu() const { return smmu_; }
  bool is_atc(ActorId actor) const;
  /// The TLB a device looks up in itself: its ATC.
  ActorId atc_of(ActorId device) const;

  const EventLog& log() const { return log_; }
  /// Changes whenever anything but a look-up or an access happens.
  std::uint64_t generation() const { return generation_; }

  // Address spaces.
  /// Whose an ASID is. The SMMU and its devices can have numbers of their own (CD.ASET).
  std::optional<unsigned> mm_of(ActorId actor, arch::Asid asid) const;
  /// The ASID that the CPUs use for it.
  arch::Asid cpu_asid(unsigned mm) const;
  const Binding* binding(arch::StreamId stream) const;

  // Page tables.
  const PageTables& tables() const { return tables_; }
  /// The store that took the entry's table out before it was read through a walk cache, or null.
  const StoreRecord* unlinked_table(const CachedEntry& entry) const;
  /// The same of what the walk of an access read last.
  const StoreRecord* unlinked_table(ActorId actor, std::uint64_t access_id) const;
  /// The first flush after a store that covers it, or null.
  const FlushRecord* flush_after(const StoreRecord& store) const;
  /// Whether the frame's owner by now is someone else than `mm`: mapped by others alone, or not a
  /// page for users at all.
  bool belongs_to_another(arch::PhysAddr page, unsigned mm) const;
  /// The same of what is no page of a file: nobody may come to it by sharing.
  bool private_to_another(arch::PhysAddr page, unsigned mm) const;

  // Cached translations.
  /// Live entries of `mm` that translate a part of what the entry of `level` at `va` maps.
  std::vector<std::pair<ActorId, const CachedEntry*>> live_at(unsigned mm, arch::VirtAddr va,
                                                              int level) const;
  /// Whether the TLB can use the entry now: not if its CPU has another address space loaded, or
  /// none will load it again.
  bool reachable(ActorId actor, const CachedEntry& entry) const;
  /// Of the invalidation that is being reported.
  const Dropped& just_dropped() const { return just_dropped_; }
  /// The entry `actor` used for (va, asid): a live one, else the last one removed.
  const CachedEntry* cached(ActorId actor, arch::VirtAddr va, arch::Asid asid) const;
  /// The fill of one access, whether it was installed or not.
  const CachedEntry* fill_of_access(ActorId actor, std::uint64_t access_id) const;
  /// Live entries that lead into [page, page + bytes).
  std::vector<std::pair<ActorId, const CachedEntry*>> live_into(arch::PhysAddr page,
                                                                std::uint64_t bytes) const;
  const std::vector<OpenAccess>& open_accesses(ActorId actor) const;
  /// The look-up of the access whose end is being reported.
  const OpenAccess& just_ended() const { return just_ended_; }
  /// Whether a flush that covers `va` has begun and not ended.
  bool flush_in_progress(unsigned mm, arch::VirtAddr va) const;
  /// Whether a gather of `mm`, or another who owes a flush, is open.
  bool flush_pending(unsigned mm) const {
    const auto found = pending_.find(mm);
    return found != pending_.end() && found->second > 0;
  }
  bool takes_part_in_broadcast(ActorId actor) const;

  // Hops.
  const std::vector<FlushRecord>& flushes() const { return flushes_; }
  const std::vector<IpiRecord>& ipis() const { return ipis_; }
  bool local_invalidation() const { return local_invalidation_; }
  /// The kernel functions a thread is in, outermost first.
  std::string functions_of(ThreadId thread) const;
  const std::vector<TlbiRecord>& tlbis() const { return tlbis_; }
  const std::vector<NotifierRecord>& notifiers() const { return notifiers_; }
  const std::vector<CommandRecord>& commands() const { return commands_; }
  const std::vector<SyncRecord>& syncs() const { return syncs_; }
  const std::vector<ProtectionRecord>& removed_protections() const { return protections_; }
  const std::vector<InvalidationRecord>& invalidations(ActorId actor) const;
  bool atc_completed(std::uint64_t command_number) const {
    return atc_completed_.count(command_number) != 0;
  }
  /// The frame that contains `page`, if it was freed and not allocated again.
  Stamp freed(arch::PhysAddr page) const;
  /// When the frame was last freed, even if somebody owns it again.
  Stamp last_freed(arch::PhysAddr page) const;

 private:
  void on(const Event& event, const sw::FunctionEnter& e);
  void on(const Event& event, const sw::FunctionExit& e);
  void on(const Event& event, const sw::MmCreated& e);
  void on(const Event& event, const sw::SvaBound& e);
  void on(const Event& event, const sw::PteStore& e);
  void on(const Event& event, const sw::FlushBegin& e);
  void on(const Event& event, const sw::FlushEnd& e);
  void on(const Event& event, const sw::NotifierCalled& e);
  void on(const Event& event, const sw::CommandSubmitted& e);
  void on(const Event& event, const sw::PageAllocated& e);
  void on(const Event& event, const sw::PageFreed& e);
  void on(const Event& event, const sw::ProtectionRemoved& e);
  void on(const Event& event, const sw::IpiSent& e);
  void on(const Event& event, const sw::MmActive& e);
  void on(const Event& event, const sw::MmExiting& e);
  void on(const Event& event, const sw::FlushPending& e);
  void on(const Event& event, const hw::DescriptorUpdate& e);
  void on(const Event& event, const hw::TlbLookup& e);
  void on(const Event& event, const hw::WalkBegin& e);
  void on(const Event& event, const hw::WalkRead& e);
  void on(const Event& event, const hw::TlbFill& e);
  void on(const Event& event, const hw::TlbEvict& e);
  void on(const Event& event, const hw::TlbInvalidate& e);
  void on(const Event& event, const hw::AccessDone& e);
  void on(const Event& event, const hw::TranslationFault& e);
  void on(const Event& event, const hw::AtsAnswered& e);
  void on(const Event& event, const hw::AccessHeld& e);
  void on(const Event& event, const hw::CommandFetched& e);
  void on(const Event& event, const hw::CommandError& e);
  void on(const Event& event, const hw::SyncCompleted& e);
  void on(const Event& event, const hw::AtcInvalidationCompleted& e);
  void on(const Event& event, const hw::TlbiIssued& e);
  void on(const Event& event, const hw::DsbCompleted& e);
  template <class Other>
  void on(const Event&, const Other&) {}

  static Stamp stamp(const Event& event) {
    return {event.sequence, event.time_ps, event.actor, event.thread};
  }
  static void stamp(const Event& event, Stamp& result) {
    result.sequence = event.sequence;
    result.time_ps = event.time_ps;
    result.actor = event.actor;
    result.thread = event.thread;
  }
  void close(ActorId actor, std::uint64_t access_id);
  const DescriptorRead& read_of_hit(ActorId actor, const hw::TlbLookup& lookup);
  void retire(CachedEntry& entry, const Event& event);
  bool still_good(const CachedEntry& entry) const;

  /// What a walk comes from, and the last descriptor that it has read.
  struct Walk {
    arch::Asid asid{};
    arch::VirtAddr va{};
    DescriptorRead last;
  };
  using Walker = std::pair<ActorId, std::uint16_t>;  // with an ASID
  const StoreRecord* unlinked_by(ActorId actor, const DescriptorRead& read, arch::Asid asid,
                                 arch::VirtAddr va) const;
  /// The table that is linked no more, by which the walk came to read at `slot`; or 0.
  std::uint64_t unlinked_table_of(ActorId actor, const Walk& walk, arch::PhysAddr slot,
                                  std::uint64_t sequence) const;
  const EventLog& log_;
  std::set<ActorId> cpus_;
  ActorId smmu_{};
  std::map<std::uint32_t, ActorId> devices_;  // by stream
  std::map<ActorId, ActorId> atcs_;           // by device
  std::uint64_t generation_{1};
  std::map<std::uint16_t, unsigned> mm_by_asid_;       // of the CPUs
  std::map<std::uint16_t, unsigned> mm_by_smmu_asid_;  // as bound
  std::map<std::uint32_t, Binding> bindings_;
  PageTables tables_;
  std::map<ActorId, std::vector<CachedEntry>> live_;
  std::map<ActorId, std::vector<CachedEntry>> retired_;     // the last one per page and ASID
  std::map<ActorId, std::map<std::uint64_t, Walk>> walks_;  // by access
  /// Tables that a walker, or its walk cache, came to by way of one that was linked no more: that
  /// one, by walker and table.
  std::map<Walker, std::map<std::uint64_t, std::uint64_t>> strays_;
  std::map<ActorId, std::deque<CachedEntry>> recent_fills_;
  std::vector<std::vector<OpenAccess>> open_;  // by actor; few at a time
  OpenAccess just_ended_;
  std::map<std::uint64_t, DescriptorRead>
      ats_reads_;  // what an ATS answer was read from, by access
  /// The read stamp of the entry last hit, while nothing else happens.
  struct HitMemo {
    std::uint64_t generation{};
    std::uint64_t page{};
    ActorId actor{};
    std::uint16_t asid{};
    DescriptorRead read;
  };
  std::array<HitMemo, 64> hit_memo_{};
  std::vector<FlushRecord> flushes_;
  std::map<std::uint64_t, std::size_t> open_flushes_;
  std::vector<TlbiRecord> tlbis_;
  std::vector<NotifierRecord> notifiers_;
  std::vector<CommandRecord> commands_;
  std::size_t next_fetched_{};
  std::vector<SyncRecord> syncs_;
  std::vector<ProtectionRecord> protections_;
  std::map<ActorId, std::vector<InvalidationRecord>> invalidations_;
  std::set<std::uint64_t> atc_completed_;
  std::map<std::uint64_t, FrameState> frames_;
  std::map<std::uint64_t, Stamp> last_freed_;
  std::map<ThreadId, std::vector<const char*>> stacks_;
  std::map<ThreadId, Stamp> entered_kernel_;  // the outermost function of each
  std::vector<IpiRecord> ipis_;
  bool local_invalidation_{};
  std::map<ActorId, unsigned> active_mm_;  // of CPUs that tell
  std::set<unsigned> exiting_;             // address spaces no CPU loads again
  std::map<unsigned, int> pending_;        // tlb_flush_pending, by mm
  Dropped just_dropped_;
};

}  // namespace shootdown::cosim

#endif
