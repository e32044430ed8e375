// Random operations on a TLB device under test and on the reference, compared field by field.
#ifndef SHOOTDOWN_TESTS_RTL_TLB_EQUIVALENCE_H
#define SHOOTDOWN_TESTS_RTL_TLB_EQUIVALENCE_H

#include <array>
#include <cstdint>
#include <string>

#include "cosim/rtl/tlb_dut.h"
#include "hw/mmu/tlb_array.h"

namespace shootdown::tests {

/// By the RTL's code for a page size.
inline constexpr std::array<std::uint8_t, 3> kPageShifts{12, 21, 30};

/// Runs `operations` drawn from `seed`. Returns the first difference, or an empty text.
inline std::string first_difference(cosim::TlbDut& dut, unsigned entries, unsigned ways,
                                    std::uint64_t seed, unsigned operations) {
  using cosim::TlbOperation;
  hw::TlbArray model({.entries = entries, .ways = ways});
  dut.reset();
  const auto draw = [&](std::uint64_t below) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (seed >> 8) % below;
  };
  // Few pages and ASIDs, so that hits, evictions, overlaps and globals are frequent; some pages in
  // the upper half of the address space.
  const auto draw_va = [&] {
    const std::uint64_t half = draw(4) == 0 ? 0xffff'0000'0000'0000 : 0;
    return half | draw(3) << 30 | draw(3) << 21 | draw(8) << 12;
  };
  const auto page = [](std::uint64_t va) { return (va >> 12) & ((std::uint64_t{1} << 37) - 1); };
  std::string difference;
  for (unsigned i = 0; i < operations && difference.empty(); ++i) {
    cosim::TlbRequest request;
    const std::uint64_t va = draw_va();
    const arch::Asid asid{static_cast<std::uint16_t>(draw(3))};
    request.asid = asid.value;
    request.va_page = page(va);
    const auto kind = draw(100);
    hw::TlbEntry entry;
    arch::Invalidation what;
    std::uint64_t epoch = model.epoch();
    if (kind < 50) {
      request.operation = TlbOperation::kLookup;
    } else if (kind < 94) {
      request.operation = TlbOperation::kFill;
      const auto size = static_cast<unsigned>(draw(3));
      entry.page_shift = kPageShifts[size];
      entry.page = arch::page_of(arch::VirtAddr{va}, entry.page_shift);
      entry.space.asid = asid;
      entry.global = draw(5) == 0;
      entry.output = arch::page_of(arch::PhysAddr{draw(1 << 20) << 12}, entry.page_shift);
      const auto permissions = static_cast<unsigned>(draw(16));
      entry.permissions = {static_cast<std::uint8_t>(permissions)};
      entry.attributes = static_cast<std::uint8_t>(draw(32));
      if (draw(10) == 0) {  // overtaken, by one invalidation or by so many that the counter wrapped
        epoch = epoch != 0 && draw(2) == 0 ? epoch - 1 : epoch ^ std::uint64_t{1} << draw(32);
      }
      request.va_page = page(entry.page.value);
      request.global = entry.global;
      request.size = static_cast<std::uint8_t>(size);
      request.pa_page = entry.output.value >> 12;
      request.permissions = static_cast<std::uint8_t>(permissions);
      request.attributes = static_cast<std::uint8_t>(entry.attributes);
      request.epoch = static_cast<std::uint32_t>(epoch);
    } else {
      request.operation = TlbOperation::kInvalidate;
      const auto scope = draw(20);
      what.scope = scope == 0   ? arch::Invalidation::Scope::kAll
                   : scope < 4  ? arch::Invalidation::Scope::kAsid
                   : scope < 14 ? arch::Invalidation::Scope::kVa
                                : arch::Invalidation::Scope::kVaAnyAsid;
      what.asid = asid;
      what.start = va;
      const std::uint64_t top = va >> 63 != 0 ? ~std::uint64_t{0} : (std::uint64_t{1} << 48) - 1;
      const std::uint64_t bytes = (draw(2) == 0 ? 1 : 1 + draw(1200)) * 4096;
      what.last = bytes - 1 > top - va ? top : va + bytes - 1;
      request.scope = static_cast<std::uint8_t>(what.scope);
      request.last_page = page(what.last);
    }

    // One operation at a time: offered until accepted, then clocked until it answers.
    bool offered = true;
    for (unsigned cycle = 0;; ++cycle) {
      dut.drive(offered ? &request : nullptr);
      const bool accepted = offered && dut.request_ready();
      dut.clock(true);
      const bool answered = dut.response_valid();
      dut.clock(false);
      if (accepted) offered = false;
      if (answered) break;
      if (cycle > 10) return "no answer to operation " + std::to_string(i);
    }
    const cosim::TlbResponse got = dut.response();
    const auto expect = [&](const char* field, std::uint64_t wanted, std::uint64_t found) {
      if (wanted == found || !difference.empty()) return;
      difference = std::string(field) + " of operation " + std::to_string(i) + ": reference " +
                   std::to_string(wanted) + ", RTL " + std::to_string(found);
    };
    if (request.operation == TlbOperation::kLookup) {
      const hw::TlbEntry* hit = model.lookup({va}, {.asid = asid});
      expect("hit", hit != nullptr, got.hit);
      if (hit != nullptr && got.hit) {
        expect("page", page(hit->page.value), got.va_page);
        expect("size", hit->page_shift, kPageShifts[got.size % 3]);
        expect("global", hit->global, got.global);
        expect("output", hit->output.value >> 12, got.pa_page);
        expect("permission", std::uint64_t{hit->permissions.bits} & 0xf, got.permissions);
        expect("attributes", hit->attributes, got.attributes);
      }
    } else if (request.operation == TlbOperation::kFill) {
      const hw::TlbFillResult filled = model.fill(entry, epoch);
      expect("dropped", filled.dropped, got.dropped);
      expect("evicted", filled.evicted != nullptr, got.evicted);
      if (filled.evicted != nullptr && got.evicted) {
        expect("evicted page", page(filled.evicted->page.value), got.evicted_va_page);
        expect("evicted ASID", filled.evicted->space.asid.value, got.evicted_asid);
        expect("evicted size", filled.evicted->page_shift, kPageShifts[got.evicted_size % 3]);
        expect("evicted global", filled.evicted->global, got.evicted_global);
      }
    } else {
      expect("removed", model.invalidate(what), got.removed);
    }
    expect("occupancy", model.occupancy(), dut.occupancy());
    expect("epoch", model.epoch(), dut.epoch());
  }
  return difference;
}

}  // namespace shootdown::tests

#endif
