#include "cosim/rtl/rtl_tlb_engine.h"

#include <algorithm>
#include <array>

#include "hw/arch/check.h"

namespace shootdown::cosim {

namespace {

constexpr unsigned kOperationsBetweenReports = 64;
constexpr std::uint64_t kPageMask = (std::uint64_t{1} << 37) - 1;
constexpr std::uint64_t kLowTop = (std::uint64_t{1} << 48) - 1;  // last byte of the lower half
constexpr std::uint64_t kHighBase = ~kLowTop;                    // first byte of the upper half

/// By the RTL's code for a page size.
constexpr std::array<std::uint8_t, 3> kPageShifts{12, 21, 30};

std::uint64_t page_number(std::uint64_t va) { return (va >> arch::kPageShift) & kPageMask; }
/// Sign-extends VA[48].
std::uint64_t address_of(std::uint64_t page) {
  return static_cast<std::uint64_t>(static_cast<std::int64_t>(page << 27) >> 15);
}
/// Moves an address out of the gap between the halves, up or down.
std::uint64_t out_of_gap(std::uint64_t va, bool up) {
  if (va <= kLowTop || va >= kHighBase) return va;
  return up ? kHighBase : kLowTop;
}

/// The RTL has the same bits but for fetches.
constexpr std::uint8_t kDataPermissions = 0xf;
std::uint8_t pack(arch::vmsa64::Permissions p) { return p.bits & kDataPermissions; }
arch::vmsa64::Permissions unpack(std::uint8_t bits) { return {bits}; }

std::uint8_t size_code(unsigned page_shift) {
  return page_shift == 12 ? 0 : page_shift == 21 ? 1 : 2;
}

}  // namespace

RtlTlbEngine::RtlTlbEngine(hw::Simulation& simulation, RtlContext& context, const std::string& name,
                           const hw::TlbGeometry& geometry, bool lockstep)
    : events((name + "_events").c_str()),
      simulation_(simulation),
      context_(context),
      dut_(make_tlb_dut(context, geometry.entries, geometry.ways, name)),
      clock_(simulation, (name + "_clock").c_str(), [this] { clock_loop(); }) {
  SHOOTDOWN_CHECK(dut_ != nullptr, "the RTL was not built for this geometry");
  if (lockstep) model_.emplace(geometry);
}

// ---- Clock -----------------------------------------------------------------------------------

TlbResponse RtlTlbEngine::execute(const TlbRequest& request) {
  const bool idle = waiting_.empty() && accepted_.empty();
  return idle && simulation_.may_run_ahead() ? run_here(request) : queue_up(request);
}

TlbResponse RtlTlbEngine::queue_up(const TlbRequest& request) {
  Operation operation{
      .request = request, .caller = &simulation_.current(), .response = {}, .done = false};
  waiting_.push_back(&operation);
  clock_.wake();
  while (!operation.done) simulation_.block();
  report_assertions();
  return operation.response;
}

void RtlTlbEngine::report_assertions() {
  if (const unsigned failures = context_.take_failed_assertions(); failures != 0) {
    events.write(hw::RtlAssertionFailed{.failures = failures});
  }
}

TlbResponse RtlTlbEngine::run_here(const TlbRequest& request) {
  bool offered = true;
  std::uint64_t cycles = 0;
  dut_->drive(&request);
  for (;;) {
    const bool accepted = offered && dut_->request_ready();
    dut_->clock(true);
    ++cycles;
    const bool done = dut_->response_valid();
    dut_->clock(false);
    if (accepted) {
      offered = false;
      dut_->drive(nullptr);
    }
    if (done) break;
  }
  cycles_ += cycles;
  // Not giving way: the caller has to publish what the RTL has done before anyone else acts on it.
  simulation_.run_ahead_cycles(cycles);
  // Asking costs a lock: not for every operation of a run that wants to be fast.
  if (++unreported_ % kOperationsBetweenReports == 0) report_assertions();
  return dut_->response();
}

void RtlTlbEngine::rising_edge() {
  Operation* offered = waiting_.empty() ? nullptr : waiting_.front();
  dut_->drive(offered == nullptr ? nullptr : &offered->request);
  const bool accepted = offered != nullptr && dut_->request_ready();
  dut_->clock(true);
  ++cycles_;
  if (dut_->response_valid() && !accepted_.empty()) {
    Operation* finished = accepted_.front();
    accepted_.pop_front();
    finished->response = dut_->response();
    finished->done = true;
    if (finished->caller != &simulation_.current()) finished->caller->wake();
  }
  if (accepted) {
    waiting_.pop_front();
    accepted_.push_back(offered);
  }
}

void RtlTlbEngine::clock_loop() {
  const sc_core::sc_time period = simulation_.clock_period();
  const sc_core::sc_time high = sc_core::sc_time::from_value(period.value() / 2);
  for (;;) {
    while (waiting_.empty() && accepted_.empty() && !dut_->busy()) simulation_.block();
    if (before_edge_) before_edge_();
    rising_edge();
    simulation_.sleep(high);
    if (before_edge_) before_edge_();
    dut_->clock(false);
    simulation_.sleep(period - high);
  }
}

// ---- Operations ------------------------------------------------------------------------------

const hw::TlbEntry* RtlTlbEngine::lookup(arch::VirtAddr va, const arch::TranslationSpace& space) {
  TlbRequest request{.operation = TlbOperation::kLookup};
  request.va_page = page_number(va.value);
  request.asid = space.asid.value;
  // The model acts when the operation joins the queue: in the order in which the RTL accepts.
  std::optional<hw::TlbEntry> expected;
  if (model_) {
    if (const hw::TlbEntry* entry = model_->lookup(va, space)) expected = *entry;
  }
  const TlbResponse response = execute(request);
  if (model_) compare_entry(expected ? &*expected : nullptr, response, va);
  if (!response.hit) return nullptr;
  result_.page = {address_of(response.va_page)};
  result_.page_shift = kPageShifts[std::min<unsigned>(response.size, 2)];
  result_.space = {.asid = space.asid};
  result_.global = response.global;
  result_.output = {response.pa_page << arch::kPageShift};
  result_.permissions = unpack(response.permissions);
  result_.attributes = response.attributes;
  return &result_;
}

hw::TlbFillResult RtlTlbEngine::fill(const hw::TlbEntry& entry) {
  TlbRequest request{.operation = TlbOperation::kFill};
  request.va_page = page_number(entry.page.value);
  request.asid = entry.space.asid.value;
  request.global = entry.global;
  request.size = size_code(entry.page_shift);
  request.pa_page = entry.output.value >> arch::kPageShift;
  request.permissions = pack(entry.permissions);
  request.attributes = entry.attributes;
  request.epoch = epoch_;
  std::optional<hw::TlbFillResult> expected;
  hw::TlbEntry expected_evicted;
  if (model_) {
    expected = model_->fill(entry, model_->epoch());
    if (expected->evicted != nullptr) expected_evicted = *expected->evicted;
  }
  const TlbResponse response = execute(request);
  hw::TlbFillResult result{.dropped = response.dropped, .evicted = nullptr};
  if (response.evicted) {
    evicted_ = {.page = {address_of(response.evicted_va_page)},
                .space = {.asid = arch::Asid{response.evicted_asid}},
                .global = response.evicted_global,
                .page_shift = kPageShifts[std::min<unsigned>(response.evicted_size, 2)]};
    result.evicted = &evicted_;
  }
  if (expected) {
    const std::uint64_t va = entry.page.value;
    const bool evicted = expected->evicted != nullptr;
    compare("dropped", "fill", va, expected->dropped, response.dropped);
    compare("eviction", "fill", va, evicted, response.evicted);
    if (evicted && response.evicted) {
      compare("evicted page", "fill", va, page_number(expected_evicted.page.value),
              response.evicted_va_page);
      compare("evicted ASID", "fill", va, expected_evicted.space.asid.value, response.evicted_asid);
    }
    if (waiting_.empty() && accepted_.empty()) {
      compare("occupancy", "fill", va, model_->occupancy(), dut_->occupancy());
    }
  }
  return result;
}

unsigned RtlTlbEngine::invalidate(const arch::Invalidation& what) {
  TlbRequest request{.operation = TlbOperation::kInvalidate};
  request.scope = static_cast<std::uint8_t>(what.scope);
  request.va_page = page_number(out_of_gap(what.start, /*up=*/true));
  request.last_page = page_number(out_of_gap(what.last, /*up=*/false));
  request.asid = what.asid.value;
  ++epoch_;
  std::optional<unsigned> expected;
  if (model_) {
    expected = model_->invalidate(what);
  }
  const TlbResponse response = execute(request);
  if (expected) {
    compare("entries removed", "invalidation", what.start, *expected, response.removed);
    if (waiting_.empty() && accepted_.empty()) {
      compare("occupancy", "invalidation", what.start, model_->occupancy(), dut_->occupancy());
    }
  }
  return response.removed;
}

void RtlTlbEngine::compare(const char* field, const char* operation, std::uint64_t va,
                           std::uint64_t systemc, std::uint64_t rtl) {
  if (systemc == rtl) return;
  events.write(hw::LockstepMismatch{
      .field = field, .operation = operation, .va = {va}, .systemc = {systemc}, .rtl = {rtl}});
}

void RtlTlbEngine::compare_entry(const hw::TlbEntry* model, const TlbResponse& rtl,
                                 arch::VirtAddr va) {
  compare("hit", "look-up", va.value, model != nullptr, rtl.hit);
  if (model == nullptr || !rtl.hit) return;
  compare("page", "look-up", va.value, page_number(model->page.value), rtl.va_page);
  compare("page size", "look-up", va.value, size_code(model->page_shift), rtl.size);
  compare("global", "look-up", va.value, model->global, rtl.global);
  compare("output", "look-up", va.value, model->output.value, rtl.pa_page << arch::kPageShift);
  compare("permission", "look-up", va.value, pack(model->permissions), rtl.permissions);
  compare("attributes", "look-up", va.value, model->attributes, rtl.attributes);
}

void RtlTlbEngine::reset() {
  waiting_.clear();
  accepted_.clear();
  dut_->reset();
  epoch_ = 0;
  if (model_) model_->reset();
}

}  // namespace shootdown::cosim
