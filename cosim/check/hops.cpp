#include "cosim/check/hops.h"

#include <fmt/format.h>

#include <algorithm>

#include "cosim/observe/format.h"
#include "hw/arch/smmuv3_commands.h"

namespace shootdown::cosim {

namespace smmuv3 = arch::smmuv3;
using smmuv3::Opcode;

namespace {

/// Works through the hops in order and stops at the first that is missing.
class HopFinder {
 public:
  HopFinder(const History& history, const StaleEntry& stale) : history_(history), stale_(stale) {
    page_ = arch::page_of(stale.va);
    first_ = page_.value;
    last_ = first_ + arch::kPageSize - 1;
    if (stale.entry != nullptr) {
      // Any address of a block stands for the whole of it.
      first_ = stale.entry->fill.page.value;
      last_ = stale.entry->last();
    }
    since_ = stale.store != nullptr ? stale.store->at.sequence : 0;
    find_flush();
  }

  MissingHop run() {
    if (stale_.store == nullptr) {
      missing("unknown", "the checker cannot tell which store made the translation stale",
              "the store that made it stale", history_.log().actor_name(stale_.tlb));
      return std::move(result_);
    }
    const bool flushed = flush_ != nullptr && flush_->end;
    if (const FlushRecord* part = flush_of_a_part(); part != nullptr && !flushed) {
      happened(part->begin, fmt::format("flush {} to {}", hex(part->start), hex(part->limit)),
               "a part of what the table maps");
      missing("range", "the flush covers a part of what was unmapped with the table",
              "flush that covers " + hex(page_), actor(part->begin));
    } else if (stale_.freed && (!flushed || flush_->end.sequence > stale_.freed.sequence)) {
      missing("flush", "the frame was freed before its translations were flushed",
              "flush before the frame was freed", store_actor());
    } else if (stale_.where == StaleEntry::Where::kCpu) {
      follow_cpu();
    } else {
      follow_secondary();
    }
    return std::move(result_);
  }

 private:
  void happened(const Stamp& at, std::string text, std::string note = {}) {
    result_.items.push_back({.time_ps = at.time_ps,
                             .happened = true,
                             .actor = history_.log().actor_name(at.actor),
                             .text = std::move(text),
                             .note = std::move(note)});
  }
  void missing(std::string hop, std::string text, std::string what, const std::string& actor) {
    result_.hop = std::move(hop);
    result_.text = std::move(text);
    result_.items.push_back({.time_ps = 0,
                             .happened = false,
                             .actor = actor,
                             .text = std::move(what),
                             .note = "MISSING"});
  }
  std::string actor(const Stamp& at) const { return history_.log().actor_name(at.actor); }
  std::string store_actor() const {
    return stale_.store != nullptr ? actor(stale_.store->at) : "kernel";
  }

  /// The first flush function entered after the store that covers the address. Flushes by the same
  /// thread come first: it is the one that owes it.
  void find_flush() {
    for (const FlushRecord& flush : history_.flushes()) {
      if (flush.begin.sequence < since_ || flush.mm != stale_.mm) continue;
      if (!covers(flush.start, flush.limit)) continue;
      if (flush_ == nullptr) flush_ = &flush;
      if (stale_.store != nullptr && flush.begin.thread == stale_.store->at.thread) {
        flush_ = &flush;
        return;
      }
    }
  }
  /// The flush, by the function that took a table out, of another part of what it maps.
  const FlushRecord* flush_of_a_part() const {
    if (stale_.store == nullptr || !stale_.store->with_table) return nullptr;
    const StoreRecord& store = *stale_.store;
    const std::string caller = store.functions.substr(0, store.functions.rfind('>'));
    const std::uint64_t bytes = arch::page_bytes(arch::vmsa64::level_shift(store.level - 1));
    const std::uint64_t table = store.va.value & ~(bytes - 1);
    const auto& flushes = history_.flushes();
    const auto flush = std::find_if(flushes.begin(), flushes.end(), [&](const FlushRecord& one) {
      return one.begin.sequence > since_ && one.begin.thread == store.at.thread &&
             one.functions.starts_with(caller) && one.start.value < table + bytes &&
             table < one.limit.value;
    });
    return flush != flushes.end() && !covers(flush->start, flush->limit) ? &*flush : nullptr;
  }
  bool covers(arch::VirtAddr start, arch::VirtAddr limit) const {
    return start.value <= last_ && (first_ < limit.value || limit.value == ~std::uint64_t{0});
  }
  bool covers(const arch::Invalidation& what) const {
    return what.covers(first_, last_, stale_.requester.asid, false);
  }
  bool matches(const arch::Invalidation& what) const {
    return covers(what) && !(what.leaf_only && stale_.from_unlinked_table);
  }
  /// The same of the CPUs' translations; the SMMU may know the process by another ASID.
  bool tells_cpus(const arch::Invalidation& what) const {
    return what.covers(first_, last_, history_.cpu_asid(stale_.mm), false) &&
           !(what.leaf_only && stale_.from_unlinked_table);
  }
  bool matches_any_asid(arch::Invalidation what) const {
    what.asid = stale_.requester.asid;
    return matches(what);
  }

  /// The same where each CPU invalidates by itself: IPI and instruction.
  bool follow_ipi() {
    for (const InvalidationRecord& record : history_.invalidations(stale_.tlb)) {
      if (record.at.sequence < since_ || !matches(record.event.what)) continue;
      happened(record.at, fmt::format("invalidates ({} entries removed)", record.event.removed));
      missing("hardware", "every hop was made; the TLB kept the entry or took it back",
              "effect in this TLB", history_.log().actor_name(stale_.tlb));
      return false;
    }
    if (flush_ == nullptr) {
      missing("flush", "nobody flushed after the entry changed",
              "no flush function was called for " + hex(page_), store_actor());
      return false;
    }
    const std::string& name = history_.log().actor_name(stale_.tlb);
    for (const IpiRecord& ipi : history_.ipis()) {
      const bool ours = ipi.at.thread == flush_->begin.thread &&
                        ipi.at.sequence > flush_->begin.sequence &&
                        (!flush_->end || ipi.at.sequence < flush_->end.sequence);
      // cpu0 is the actor of number 0, and so on.
      const bool told = (ipi.mask >> std::stoul(name.substr(3)) & 1) != 0;
      if (!ours || !told) continue;
      happened(ipi.at, "IPI to " + name);
      missing("cpu-tlbi", "the interrupted CPU did not invalidate the address",
              "invalidation of " + hex(page_), name);
      return false;
    }
    if (flush_->begin.actor == stale_.tlb) {
      missing("cpu-tlbi", "the CPU that flushed did not invalidate the address",
              "invalidation of " + hex(page_), name);
    } else {
      missing("ipi", "this CPU was not told", "IPI to " + name + ": not sent",
              actor(flush_->begin));
    }
    return false;
  }

  /// TLBI, DSB and the effect in this TLB. Returns true if nothing is missing.
  bool follow_cpu() {
    if (history_.local_invalidation()) return follow_ipi();
    const TlbiRecord* covering = nullptr;
    const TlbiRecord* wrong_asid = nullptr;
    const TlbiRecord* any = nullptr;
    const TlbiRecord* leaf_only = nullptr;
    for (const TlbiRecord& tlbi : history_.tlbis()) {
      if (tlbi.at.sequence < since_) continue;
      const bool ours = flush_ != nullptr && tlbi.at.actor == flush_->begin.actor &&
                        tlbi.at.sequence > flush_->begin.sequence &&
                        (!flush_->end || tlbi.at.sequence < flush_->end.sequence);
      // The flush that owes it decides. Others may be under way when the walk goes astray.
      if (stale_.from_unlinked_table && flush_ != nullptr && !ours) continue;
      if (leaf_only == nullptr && covers(tlbi.what) && tlbi.what.leaf_only) leaf_only = &tlbi;
      if (matches(tlbi.what)) {
        if (covering == nullptr) covering = &tlbi;
      } else if (ours) {
        any = &tlbi;
        if (matches_any_asid(tlbi.what)) wrong_asid = &tlbi;
      }
    }
    if (covering == nullptr) {
      if (leaf_only != nullptr && stale_.from_unlinked_table) {
        happened(leaf_only->at, tlbi_text(*leaf_only), "last level only");
        missing("walk-cache",
                "the invalidation was of last-level entries: walk caches keep the table",
                "invalidation of table entries too", actor(leaf_only->at));
      } else if (flush_ == nullptr) {
        missing("flush", "nobody flushed after the entry changed",
                "no flush function was called for " + hex(page_), store_actor());
      } else if (wrong_asid != nullptr) {
        happened(wrong_asid->at, tlbi_text(*wrong_asid), "another ASID");
        missing("asid",
                fmt::format("the TLBI names ASID {}, the entry has ASID {}",
                            wrong_asid->what.asid.value, stale_.requester.asid.value),
                fmt::format("TLBI for ASID {}", stale_.requester.asid.value), store_actor());
      } else if (any != nullptr) {
        happened(any->at, tlbi_text(*any), "another range");
        missing("range", "the TLBI covers another address", "TLBI that covers " + hex(page_),
                store_actor());
      } else {
        missing("cpu-tlbi", "the flush issued no TLBI", "TLBI: not issued", actor(flush_->begin));
      }
      return false;
    }
    happened(covering->at, tlbi_text(*covering),
             covering->completed ? "complete at " + microseconds(covering->completed.time_ps)
                                 : std::string());
    if (!covering->completed) {
      missing("dsb", "nobody waited for the TLBI", "DSB ISH: not executed", actor(covering->at));
      return false;
    }
    for (const InvalidationRecord& record : history_.invalidations(stale_.tlb)) {
      if (record.event.cause != hw::InvalidationCause::kDvm ||
          record.event.cause_id != covering->dvm_id) {
        continue;
      }
      if (record.at.sequence > covering->completed.sequence) break;
      if (stale_.where != StaleEntry::Where::kAtc) {
        missing("hardware", "every hop was made; the TLB kept the entry or took it back",
                fmt::format("effect in this TLB ({} entries removed)", record.event.removed),
                history_.log().actor_name(stale_.tlb));
      }
      return true;
    }
    missing("hardware", "the DSB completed without this TLB",
            "invalidation before the DSB completed", history_.log().actor_name(stale_.tlb));
    return false;
  }

  static std::string tlbi_text(const TlbiRecord& tlbi) {
    return fmt::format("TLBI {}", name_of(tlbi.op));
  }

  void follow_secondary() {
    const Binding* binding = history_.binding(stale_.requester.stream_id);
    const bool atc = stale_.where == StaleEntry::Where::kAtc;
    if (binding != nullptr && binding->broadcast && !atc) {
      follow_cpu();
      return;
    }
    // What the CPUs did is part of the story, whatever the missing hop turns out to be.
    for (const TlbiRecord& tlbi : history_.tlbis()) {
      if (tlbi.at.sequence < since_ || !tells_cpus(tlbi.what)) continue;
      happened(tlbi.at, (flush_ != nullptr ? flush_name() + ": " : std::string()) + tlbi_text(tlbi),
               tlbi.completed ? "complete on the CPUs at " + microseconds(tlbi.completed.time_ps)
                              : std::string());
      break;
    }
    const NotifierRecord* notifier = follow_notifier();
    if (notifier == nullptr) return;
    const CommandRecord* tlbi = nullptr;
    if (binding == nullptr || !binding->broadcast) {
      tlbi = follow_command(*notifier);
      if (tlbi == nullptr) return;
    }
    if (atc) {
      follow_atc(*notifier, tlbi);
      return;
    }
    follow_sync(*tlbi, [&](const hw::TlbInvalidate& event) {
      return event.cause == hw::InvalidationCause::kCommand && event.cause_id == tlbi->number;
    });
  }

  std::string flush_name() const {
    const auto last = flush_->functions.rfind(" > ");
    return last == std::string::npos ? flush_->functions : flush_->functions.substr(last + 3);
  }

  const NotifierRecord* follow_notifier() {
    const NotifierRecord* other = nullptr;
    for (const NotifierRecord& notifier : history_.notifiers()) {
      if (notifier.at.sequence < since_ || notifier.mm != stale_.mm) continue;
      // start == end means "everything" to the driver.
      if (notifier.start == notifier.limit || covers(notifier.start, notifier.limit)) {
        happened(notifier.at, fmt::format("mmu_notifier {}({}, {})", notifier.callback,
                                          hex(notifier.start), hex(notifier.limit)));
        return &notifier;
      }
      if (flush_ != nullptr && notifier.at.thread == flush_->begin.thread &&
          notifier.at.sequence > flush_->begin.sequence &&
          (!flush_->end || notifier.at.sequence < flush_->end.sequence)) {
        other = &notifier;
      }
    }
    if (other != nullptr) {
      happened(other->at,
               fmt::format("mmu_notifier {}({}, {})", other->callback, hex(other->start),
                           hex(other->limit)),
               "another range");
      missing("range", "the notifier was given a range without the address",
              "notifier for " + hex(page_), actor(other->at));
    } else if (flush_ == nullptr) {
      missing("flush", "nobody flushed after the entry changed",
              "no flush function was called for " + hex(page_), store_actor());
    } else {
      missing("notifier", "the CPUs were told, the SMMU was not",
              "mmu_notifier_arch_invalidate_secondary_tlbs: not called", actor(flush_->begin));
    }
    return nullptr;
  }

  /// The end of what one notifier call did: the next one, by whichever thread.
  std::uint64_t end_of(const NotifierRecord& notifier) const {
    for (const NotifierRecord& next : history_.notifiers()) {
      if (next.at.sequence > notifier.at.sequence && next.at.thread == notifier.at.thread) {
        return next.at.sequence;
      }
    }
    return ~std::uint64_t{0};
  }

  bool belongs(const CommandRecord& command, const NotifierRecord& notifier) const {
    return command.submitted.sequence > notifier.at.sequence &&
           command.submitted.sequence < end_of(notifier) &&
           command.submitted.thread == notifier.at.thread;
  }

  static std::string command_text(const CommandRecord& record) {
    const arch::Invalidation what = smmuv3::decode_invalidation(record.command, {});
    const Opcode opcode = smmuv3::opcode_of(record.command);
    std::string text{name_of(opcode)};
    if (smmuv3::is_tlbi_by_address(opcode)) {
      text += fmt::format(" ASID {} {} to {}", what.asid.value, hex(what.start), hex(what.last));
    }
    return text;
  }

  const CommandRecord* follow_command(const NotifierRecord& notifier) {
    const CommandRecord* wrong_asid = nullptr;
    const CommandRecord* any = nullptr;
    const CommandRecord* refused = nullptr;
    for (const CommandRecord& command : history_.commands()) {
      if (!belongs(command, notifier)) continue;
      if (!smmuv3::is_tlbi(smmuv3::opcode_of(command.command))) continue;
      if (command.refused) {
        refused = &command;
        continue;
      }
      const arch::Invalidation what = smmuv3::decode_invalidation(command.command, {});
      if (matches(what)) {
        happened(command.submitted, command_text(command));
        return &command;
      }
      any = &command;
      if (matches_any_asid(what)) wrong_asid = &command;
    }
    if (refused != nullptr) {
      happened(refused->submitted, command_text(*refused),
               "refused by the SMMU at " + microseconds(refused->refused.time_ps));
      missing("command", "the SMMU refused the invalidation", "a legal CMD_TLBI_NH_VA",
              actor(notifier.at));
    } else if (wrong_asid != nullptr) {
      const auto what = smmuv3::decode_invalidation(wrong_asid->command, {});
      happened(wrong_asid->submitted, command_text(*wrong_asid), "another ASID");
      missing("asid",
              fmt::format("the command names ASID {}, the entry has ASID {}", what.asid.value,
                          stale_.requester.asid.value),
              fmt::format("CMD_TLBI for ASID {}", stale_.requester.asid.value), actor(notifier.at));
    } else if (any != nullptr) {
      happened(any->submitted, command_text(*any), "another range");
      missing("range", "the command covers another address", "CMD_TLBI for " + hex(page_),
              actor(notifier.at));
    } else {
      missing("command", "the driver's callback sent no invalidation", "CMD_TLBI_NH_VA: not sent",
              actor(notifier.at));
    }
    return nullptr;
  }

  void follow_atc(const NotifierRecord& notifier, const CommandRecord* tlbi) {
    const CommandRecord* atc = nullptr;
    for (const CommandRecord& command : history_.commands()) {
      if (!belongs(command, notifier) || smmuv3::opcode_of(command.command) != Opcode::kAtcInv) {
        continue;
      }
      const auto sid = smmuv3::cmd0::Sid::get(command.command.dw0);
      if (sid != stale_.requester.stream_id.value) continue;
      if (!smmuv3::decode_atc_inv(command.command).covers(first_, last_, {}, false)) {
        continue;
      }
      atc = &command;
      break;
    }
    if (atc == nullptr) {
      missing("atc", "the SMMU's TLB was emptied, the device's ATC was not",
              "CMD_ATC_INV: not sent", actor(notifier.at));
      return;
    }
    happened(atc->submitted, std::string(name_of(Opcode::kAtcInv)));
    if (tlbi == nullptr && !broadcast_done_before(*atc)) {
      missing("atc-order",
              "the ATC was emptied before the broadcast TLBI had reached the SMMU's TLB",
              "CMD_ATC_INV after the DSB", actor(notifier.at));
      return;
    }
    if (tlbi != nullptr && atc->submitted.sequence < tlbi->submitted.sequence) {
      missing("atc-order", "the ATC was emptied before the SMMU's TLB and filled again from it",
              "CMD_ATC_INV after the CMD_TLBI has completed", actor(notifier.at));
      return;
    }
    follow_sync(*atc, [&](const hw::TlbInvalidate& event) {
      return event.cause == hw::InvalidationCause::kAtcInvalidation &&
             event.cause_id == atc->number;
    });
  }

  /// Under broadcast maintenance: whether a covering TLBI had taken effect in the SMMU before the
  /// ATC was told.
  bool broadcast_done_before(const CommandRecord& atc) const {
    for (const TlbiRecord& tlbi : history_.tlbis()) {
      if (tlbi.at.sequence < since_ || !matches(tlbi.what)) continue;
      for (const InvalidationRecord& record : history_.invalidations(history_.smmu())) {
        if (record.event.cause == hw::InvalidationCause::kDvm &&
            record.event.cause_id == tlbi.dvm_id && record.at.sequence < atc.submitted.sequence) {
          return true;
        }
      }
    }
    return false;
  }

  template <class Match>
  void follow_sync(const CommandRecord& invalidation, Match&& match) {
    const CommandRecord* sync = nullptr;
    for (const CommandRecord& command : history_.commands()) {
      if (command.submitted.sequence < invalidation.submitted.sequence) continue;
      if (command.submitted.thread != invalidation.submitted.thread) continue;
      if (flush_ != nullptr && flush_->end && command.submitted.sequence > flush_->end.sequence) {
        break;
      }
      if (smmuv3::opcode_of(command.command) == Opcode::kSync) {
        sync = &command;
        break;
      }
    }
    if (sync == nullptr) {
      missing("sync", "nobody waited for the invalidation", "CMD_SYNC: not sent",
              actor(invalidation.submitted));
      return;
    }
    Stamp completed;
    for (const SyncRecord& record : history_.syncs()) {
      if (record.number == sync->number) completed = record.completed;
    }
    happened(sync->submitted, "CMD_SYNC",
             completed ? "complete at " + microseconds(completed.time_ps) : std::string());
    Stamp effect;
    unsigned removed = 0;
    for (const InvalidationRecord& record : history_.invalidations(stale_.tlb)) {
      if (!match(record.event)) continue;
      effect = record.at;
      removed = record.event.removed;
    }
    if (completed && (!effect || effect.sequence > completed.sequence)) {
      missing("sync", "CMD_SYNC completed before the invalidation took effect",
              "effect before CMD_SYNC completed", history_.log().actor_name(stale_.tlb));
      return;
    }
    if (!completed) {
      missing("unknown", "the invalidation is still on its way", "CMD_SYNC has not completed",
              history_.log().actor_name(stale_.tlb));
      return;
    }
    missing("hardware", "every hop was made; the TLB kept the entry or took it back",
            fmt::format("effect in this TLB ({} entries removed)", removed),
            history_.log().actor_name(stale_.tlb));
  }

  const History& history_;
  const StaleEntry& stale_;
  arch::VirtAddr page_{};
  std::uint64_t first_{};  // of what the stale entry maps
  std::uint64_t last_{};
  std::uint64_t since_{};
  const FlushRecord* flush_{};
  MissingHop result_;
};

}  // namespace

MissingHop find_missing_hop(const History& history, const StaleEntry& stale) {
  return HopFinder(history, stale).run();
}

StaleEntry stale_entry(const History& history, ActorId tlb, const CachedEntry& entry, unsigned mm) {
  StaleEntry stale{.where = where_of(history, tlb),
                   .tlb = tlb,
                   .requester = entry.fill.requester,
                   .mm = mm,
                   .va = entry.fill.page,
                   .entry = &entry,
                   .store = history.unlinked_table(entry),
                   .freed = {}};
  stale.from_unlinked_table = stale.store != nullptr;
  if (stale.from_unlinked_table) return stale;
  for (const StoreRecord* store : history.tables().stores(mm, entry.fill.page)) {
    if (store->at.sequence <= entry.read.at.sequence) continue;
    stale.store = store;
    break;
  }
  return stale;
}

StaleEntry::Where where_of(const History& history, ActorId actor) {
  if (history.is_cpu(actor)) return StaleEntry::Where::kCpu;
  return history.is_atc(actor) ? StaleEntry::Where::kAtc : StaleEntry::Where::kSmmu;
}

namespace {

std::string store_text(const StoreRecord& store) {
  const std::string before = describe_entry(store.before, store.level);
  const std::string after = describe_entry(store.after, store.level);
  if (store.with_table) {
    return store.raw_after == 0
               ? fmt::format("PTE {} goes with its table: {}", hex(store.raw_before), before)
               : fmt::format("PTE {} comes with its table: {}", hex(store.raw_after), after);
  }
  return fmt::format("PTE {} -> {}: {} -> {}", hex(store.raw_before), hex(store.raw_after), before,
                     after);
}

}  // namespace

std::vector<ChainItem> build_chain(const History& history, const StaleEntry& stale,
                                   const MissingHop& missing) {
  std::vector<ChainItem> chain;
  const auto actor = [&](const Stamp& at) { return history.log().actor_name(at.actor); };
  const auto fill_item = [&](std::string note) {
    const hw::TlbFill& fill = stale.entry->fill;
    return ChainItem{
        .time_ps = stale.entry->filled.time_ps,
        .happened = true,
        .actor = actor(stale.entry->filled),
        .text = fmt::format("TLB fill  ASID {}, {} -> {}, {}, {}", fill.requester.asid.value,
                            hex(fill.page), hex(fill.output), page_size_name(fill.page_shift),
                            fill.permissions.user_write() ? "writable" : "read-only"),
        .note = std::move(note)};
  };
  const bool born_stale = stale.entry != nullptr && stale.from_unlinked_table;
  if (stale.entry != nullptr && !born_stale) {
    chain.push_back(fill_item(stale.store != nullptr ? "becomes stale" : ""));
  }
  if (stale.store != nullptr) {
    const StoreRecord& store = *stale.store;
    if (!store.functions.empty()) {
      chain.push_back({.time_ps = store.at.time_ps,
                       .happened = true,
                       .actor = actor(store.at),
                       .text = store.functions,
                       .note = ""});
    }
    chain.push_back({.time_ps = store.at.time_ps,
                     .happened = true,
                     .actor = actor(store.at),
                     .text = store_text(store),
                     .note = ""});
  }
  chain.insert(chain.end(), missing.items.begin(), missing.items.end());
  if (born_stale) chain.push_back(fill_item("from a table that is not linked any more"));
  return chain;
}

}  // namespace shootdown::cosim
