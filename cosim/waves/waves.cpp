#include "cosim/waves/waves.h"

#include <fmt/format.h>

#include <stdexcept>
#include <string_view>

namespace shootdown::cosim {

namespace {
constexpr unsigned kTextCharacters = 48;
constexpr unsigned kNoLevel = 7;  // walk_level while no walk is on
constexpr unsigned kVaBits = 64;
constexpr unsigned kCountBits = 32;
}  // namespace

Waves::Waves(const EventLog& log, const hw::Simulation& simulation, RtlContext& context,
             const std::vector<RtlTlbEngine*>& rtl)
    : log_(log), simulation_(simulation), rtl_(rtl), file_(context) {
  declare();
}

Waves::~Waves() { close(); }

Waves::Translation Waves::make_translation(const std::string& scope) {
  Translation t;
  t.lookups = file_.add_bits(scope, "tlb_lookups", kCountBits);
  t.lookup_va = file_.add_bits(scope, "tlb_lookup_va", kVaBits);
  t.lookup_outcome = file_.add_text(scope, "tlb_lookup_outcome", 16);
  t.walk = file_.add_bits(scope, "walk_active", 1);
  t.walk_level = file_.add_bits(scope, "walk_level", 3);
  t.walk_va = file_.add_bits(scope, "walk_va", kVaBits);
  t.fills = file_.add_bits(scope, "tlb_fills", kCountBits);
  t.fill_va = file_.add_bits(scope, "tlb_fill_va", kVaBits);
  t.invalidations = file_.add_bits(scope, "tlb_invalidations", kCountBits);
  t.invalidate = file_.add_text(scope, "tlb_invalidate", kTextCharacters);
  t.faults = file_.add_bits(scope, "faults", kCountBits);
  t.fault = file_.add_text(scope, "fault", 24);
  t.fault_va = file_.add_bits(scope, "fault_va", kVaBits);
  file_.set(t.walk_level, kNoLevel);
  return t;
}

void Waves::declare() {
  for (std::size_t i = 0; i < log_.actors().size(); ++i) {
    const auto actor = static_cast<ActorId>(i);
    const Actor& declared = log_.actor(actor);
    if (declared.role == ActorRole::kThread) continue;
    // "nic0.atc" becomes a scope below systemc.nic0.
    const std::string scope = "systemc." + declared.name;
    const bool cpu = declared.role == ActorRole::kCpu;
    const bool mmu = declared.role == ActorRole::kSecondaryMmu;
    if (cpu) {
      const std::string kernel = "software." + declared.name;
      Software s;
      s.thread = file_.add_text(kernel, "thread", 16);
      s.function = file_.add_text(kernel, "function", kTextCharacters);
      s.flush = file_.add_bits(kernel, "flush", 1);
      s.notifier = file_.add_bits(kernel, "mmu_notifier", 1);
      s.fault = file_.add_bits(kernel, "handle_mm_fault", 1);
      s.tlbi = file_.add_text(kernel, "tlbi", 16);
      s.pte = file_.add_bits(kernel, "pte_stored", kVaBits);
      s.pte_va = file_.add_bits(kernel, "pte_va", kVaBits);
      software_[actor] = s;
    }
    if (cpu || mmu || declared.role == ActorRole::kAtc)
      translation_[actor] = make_translation(scope);
    if (mmu) {
      Queues q;
      q.command = file_.add_text(scope, "cmdq_command", 24);
      q.commands = file_.add_bits(scope, "cmdq_commands", kCountBits);
      q.syncs = file_.add_bits(scope, "cmdq_syncs", kCountBits);
      q.event = file_.add_text(scope, "evtq_event", 24);
      q.events = file_.add_bits(scope, "evtq_events", kCountBits);
      q.stalled = file_.add_bits(scope, "stalled_transactions", kCountBits);
      queues_[actor] = q;
    }
    if (declared.role == ActorRole::kDevice) {
      Device d;
      d.access_va = file_.add_bits(scope, "access_va", kVaBits);
      d.writes = file_.add_bits(scope, "access_is_write", 1);
      d.accesses = file_.add_bits(scope, "accesses_done", kCountBits);
      d.retries = file_.add_bits(scope, "retries", kCountBits);
      devices_[actor] = d;
    }
  }
}

void Waves::open(const std::string& path) {
  for (RtlTlbEngine* engine : rtl_) {
    engine->dut().trace(file_);
    engine->on_clock([this] { advance(); });
  }
  if (!file_.open(path)) throw std::runtime_error("cannot write " + path);
}

void Waves::advance() {
  const std::uint64_t now = simulation_.now_ps();
  if (now <= now_ps_) return;
  file_.dump(now_ps_);
  now_ps_ = now;
}

bool Waves::close() {
  if (file_.is_open()) {
    file_.dump(now_ps_);
    for (RtlTlbEngine* engine : rtl_) engine->on_clock({});
  }
  return file_.close();
}

void Waves::on_event(const Event& event) {
  advance();
  event.payload.visit([&](const auto& payload) { on(event, payload); });
}

// ---- Software --------------------------------------------------------------------------------

void Waves::show_function(const Event& event) {
  const auto cpu = software_.find(event.actor);
  if (cpu == software_.end()) return;
  const auto& stack = stacks_[event.thread];
  bool notifier = false;
  bool fault = false;
  for (const char* function : stack) {
    const std::string_view name(function);
    notifier |= name.find("invalidate_secondary_tlbs") != std::string_view::npos ||
                name.find("invalidate_range") != std::string_view::npos;
    fault |= name == "handle_mm_fault";
  }
  file_.set_text(cpu->second.thread, stack.empty() ? "" : log_.name(event.thread));
  file_.set_text(cpu->second.function, stack.empty() ? "" : stack.back());
  file_.set(cpu->second.notifier, notifier);
  file_.set(cpu->second.fault, fault);
}

void Waves::on(const Event& event, const sw::FunctionEnter& e) {
  stacks_[event.thread].push_back(e.function);
  show_function(event);
}
void Waves::on(const Event& event, const sw::FunctionExit&) {
  auto& stack = stacks_[event.thread];
  if (!stack.empty()) stack.pop_back();
  show_function(event);
}
void Waves::on(const Event& event, const sw::FlushBegin&) {
  file_.set(software_[event.actor].flush, 1);
}
void Waves::on(const Event& event, const sw::FlushEnd&) {
  file_.set(software_[event.actor].flush, 0);
}
void Waves::on(const Event& event, const sw::PteStore& e) {
  file_.set(software_[event.actor].pte, e.after.value);
  file_.set(software_[event.actor].pte_va, e.va.value);
}
void Waves::on(const Event& event, const sw::FaultHandled&) {
  file_.set(software_[event.actor].fault, 0);
}

// ---- Hardware --------------------------------------------------------------------------------

void Waves::on(const Event& event, const hw::TlbiIssued& e) {
  file_.set_text(software_[event.actor].tlbi, std::string(e.op));
}
void Waves::on(const Event& event, const hw::DsbCompleted&) {
  file_.set_text(software_[event.actor].tlbi, "");
}
void Waves::on(const Event& event, const hw::TlbLookup& e) {
  Translation& t = translation_[event.actor];
  file_.set(t.lookups, ++t.lookup_count);
  file_.set(t.lookup_va, e.va.value);
  file_.set_text(t.lookup_outcome, std::string(name_of(e.outcome)));
}
void Waves::on(const Event& event, const hw::WalkBegin& e) {
  Translation& t = translation_[event.actor];
  file_.set(t.walk, 1);
  file_.set(t.walk_va, e.va.value);
}
void Waves::on(const Event& event, const hw::WalkRead& e) {
  file_.set(translation_[event.actor].walk_level, static_cast<std::uint64_t>(e.level));
}
void Waves::on(const Event& event, const hw::WalkEnd&) {
  Translation& t = translation_[event.actor];
  file_.set(t.walk, 0);
  file_.set(t.walk_level, kNoLevel);
}
void Waves::on(const Event& event, const hw::TlbFill& e) {
  if (e.dropped) return;
  Translation& t = translation_[event.actor];
  file_.set(t.fills, ++t.fill_count);
  file_.set(t.fill_va, e.page.value);
}
void Waves::on(const Event& event, const hw::TlbInvalidate& e) {
  Translation& t = translation_[event.actor];
  file_.set(t.invalidations, ++t.invalidation_count);
  file_.set_text(t.invalidate, fmt::format("{} asid {} {:x}", name_of(e.what.scope),
                                           e.what.asid.value, e.what.start));
}
void Waves::on(const Event& event, const hw::TranslationFault& e) {
  Translation& t = translation_[event.actor];
  file_.set(t.faults, ++t.fault_count);
  file_.set_text(t.fault, std::string(e.text));
  file_.set(t.fault_va, e.va.value);
  if (e.stalled) {
    Queues& q = queues_[event.actor];
    file_.set(q.stalled, ++q.stall_count);
  }
}
void Waves::on(const Event& event, const hw::StallResumed&) {
  Queues& q = queues_[event.actor];
  file_.set(q.stalled, --q.stall_count);
}
void Waves::on(const Event& event, const hw::CommandFetched& e) {
  Queues& q = queues_[event.actor];
  file_.set(q.commands, ++q.command_count);
  file_.set_text(q.command, std::string(e.command.command));
}
void Waves::on(const Event& event, const hw::SyncCompleted&) {
  Queues& q = queues_[event.actor];
  file_.set(q.syncs, ++q.sync_count);
}
void Waves::on(const Event& event, const hw::EventRecorded& e) {
  Queues& q = queues_[event.actor];
  file_.set(q.events, ++q.event_count);
  file_.set_text(q.event, std::string(e.type));
}
ActorId Waves::device_behind(ActorId mmu, const hw::Requester& requester) const {
  for (const auto& [actor, device] : devices_) {
    const Actor& declared = log_.actor(actor);
    if (declared.parent == mmu && declared.stream_id == requester.stream_id.value) return actor;
  }
  return kNoActor;
}

void Waves::on(const Event& event, const hw::AccessDone& e) {
  // For devices without an ATC their MMU reports.
  const bool mmu = log_.actor(event.actor).role == ActorRole::kSecondaryMmu;
  const auto device = devices_.find(mmu ? device_behind(event.actor, e.requester) : event.actor);
  if (device == devices_.end()) return;
  Device& d = device->second;
  file_.set(d.access_va, e.va.value);
  file_.set(d.writes, e.access == arch::Access::kWrite);
  file_.set(d.accesses, ++d.access_count);
}
void Waves::on(const Event& event, const hw::DeviceRetry& e) {
  Device& d = devices_[event.actor];
  file_.set(d.access_va, e.va.value);
  file_.set(d.retries, ++d.retry_count);
}

}  // namespace shootdown::cosim
