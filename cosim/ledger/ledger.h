// What has happened in a run, by subject, built only from the event log. One instance serves all
// checkers; it has to subscribe to the log before them. What nothing live can ask for is forgotten.
#ifndef SHOOTDOWN_COSIM_LEDGER_LEDGER_H
#define SHOOTDOWN_COSIM_LEDGER_LEDGER_H

#include <cstdint>

#include "cosim/ledger/address_spaces.h"
#include "cosim/ledger/cached_translations.h"
#include "cosim/ledger/frames.h"
#include "cosim/ledger/kernel_stacks.h"
#include "cosim/ledger/maintenance.h"
#include "cosim/ledger/page_tables.h"
#include "cosim/observe/event_log.h"

namespace shootdown::cosim {

class Ledger : public EventSubscriber {
 public:
  explicit Ledger(const EventLog& log);
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;

  void on_event(const Event& event) override;
  void reset();
  /// CPUs invalidate by themselves, when told by an IPI: no broadcast. A fact of the machine, which
  /// stays over reset().
  void set_local_invalidation(bool local) { local_invalidation_ = local; }
  bool local_invalidation() const { return local_invalidation_; }

  const EventLog& log() const { return log_; }
  /// Changes with every event except look-ups and accesses.
  std::uint64_t generation() const { return generation_; }

  const AddressSpaces& spaces() const { return spaces_; }
  const PageTables& tables() const { return tables_; }
  const Frames& frames() const { return frames_; }
  const CachedTranslations& cached() const { return cached_; }
  const Maintenance& maintenance() const { return maintenance_; }
  const KernelStacks& stacks() const { return stacks_; }

  // Questions to more than one of them.
  /// Whether the frame's owner by now is someone else than `mm`: mapped only by others, or not a
  /// page for users at all.
  bool belongs_to_another(arch::PhysAddr page, arch::MmId mm) const;
  /// As above, for memory that cannot be shared (no file page).
  bool private_to_another(arch::PhysAddr page, arch::MmId mm) const;
  /// Whether a flush that covers `va` has begun and not ended.
  bool flush_in_progress(arch::MmId mm, arch::VirtAddr va) const;
  /// What the TlbInvalidate that is being reported dropped: valid during that event.
  const Dropped& just_dropped() const { return just_dropped_; }
  /// Who stands behind an access that `actor` reports: the device of its stream, or `actor`.
  ActorId requester(ActorId actor, const hw::Requester& requester) const;

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

  const EventLog& log_;
  bool local_invalidation_{};
  std::uint64_t generation_{1};  // goes on over reset(): no memo of an earlier run is good
  AddressSpaces spaces_;
  PageTables tables_;
  Frames frames_;
  KernelStacks stacks_;
  CachedTranslations cached_;
  Maintenance maintenance_;
  Dropped just_dropped_;
};

}  // namespace shootdown::cosim

#endif
