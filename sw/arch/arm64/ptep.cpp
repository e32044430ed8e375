#include "sw/arch/arm64/ptep.h"

#include "sw/arch/arm64/pgtable.h"

namespace shootdown::sw::arm64 {

namespace {

/// What ptep_set_access_flags() moves.
constexpr std::uint64_t kAccessFlags = PTE_RDONLY | PTE_AF | PTE_WRITE | PTE_DIRTY;

/// A block of contiguous entries.
struct Block {
  arch::PhysAddr entries{};
  arch::VirtAddr start{};
  unsigned count{};

  arch::VirtAddr end(std::uint64_t page_bytes) const { return start + count * page_bytes; }
};

Block block_of(const PteContext& context, arch::PhysAddr entry, arch::VirtAddr va) {
  const std::uint64_t page = context.page_bytes;
  // CONT_PTES: 16, 128 and 32 for 4, 16 and 64 KiB.
  const unsigned count = page == 4096 ? 16 : page == 16384 ? 128 : 32;
  return {.entries = {entry.value & ~(std::uint64_t{count} * 8 - 1)},
          .start = {va.value & ~(count * page - 1)},
          .count = count};
}

template <class Action>
void for_each_entry(const PteContext& context, const Block& block, Action&& action) {
  for (unsigned i = 0; i < block.count; ++i) {
    action(block.entries + std::uint64_t{i} * 8, block.start + i * context.page_bytes);
  }
}

/// Replaces the entry, last seen as `pte`, by change(entry), atomically. Returns what was there.
template <class Change>
Pte replace(PteContext& context, arch::PhysAddr entry, arch::VirtAddr va, Pte pte,
            Change&& change) {
  for (;;) {
    const Pte found{context.host.compare_exchange(entry, va, pte.value, change(pte.value))};
    if (found == pte) return pte;
    pte = found;
  }
}

Pte load(PteContext& context, arch::PhysAddr entry) { return {context.host.load(entry)}; }

bool in_block(const PteContext& context, Pte pte) {
  return context.contpte && (pte.value & PTE_VALID) != 0 && (pte.value & PTE_CONT) != 0;
}

/// __ptep_set_access_flags() of an entry last seen as `pte`, without the flush.
bool widen(PteContext& context, arch::PhysAddr entry, arch::VirtAddr va, Pte pte, Pte wanted) {
  if (pte == wanted) return false;
  // Only towards more permission. PTE_RDONLY is inverted so that the OR keeps the weaker of the
  // two.
  const std::uint64_t flags = (wanted.value & kAccessFlags) ^ PTE_RDONLY;
  replace(context, entry, va, pte,
          [&](std::uint64_t value) { return ((value ^ PTE_RDONLY) | flags) ^ PTE_RDONLY; });
  return true;
}

/// contpte_convert() to single entries: clear all, flush, and only then write again.
void unfold(PteContext& context, const Block& block) {
  bool dirty = false;
  bool young = false;
  std::uint64_t first = 0;
  for_each_entry(context, block, [&](arch::PhysAddr entry, arch::VirtAddr va) {
    const Pte old = replace(context, entry, va, load(context, entry),
                            [](std::uint64_t) { return std::uint64_t{0}; });
    if (va == block.start) first = old.value & ~PTE_CONT;
    dirty |= pte_dirty(old);
    young |= pte_young(old);
  });
  context.host.flush_tlb_range(block.start, block.end(context.page_bytes));
  Pte pte{first};
  if (dirty) pte = pte_mkdirty(pte);
  if (young) pte = {pte.value | PTE_AF};
  for_each_entry(context, block, [&](arch::PhysAddr entry, arch::VirtAddr va) {
    context.host.compare_exchange(entry, va, 0, pte.value + (va.value - block.start.value));
  });
}

/// Whether every entry of the block has just these flags: one that a walker may read is enough to
/// make it fault again.
bool all_have(PteContext& context, const Block& block, Pte wanted) {
  bool all = true;
  for_each_entry(context, block, [&](arch::PhysAddr entry, arch::VirtAddr) {
    const std::uint64_t value = context.host.load(entry);
    all &= (value & kAccessFlags) == (wanted.value & kAccessFlags);
  });
  return all;
}

/// contpte_ptep_set_access_flags()
bool contpte_set_access_flags(PteContext& context, arch::PhysAddr entry, arch::VirtAddr va,
                              Pte wanted, bool dirty) {
  const Block block = block_of(context, entry, va);
  wanted = {wanted.value & ~PTE_CONT};
  if (all_have(context, block, wanted)) return false;
  if (pte_write({context.host.load(entry)}) != pte_write(wanted)) {
    unfold(context, block);
    if (widen(context, entry, va, load(context, entry), wanted) && dirty)
      context.host.flush_tlb_page(va);
    return true;
  }
  for_each_entry(context, block, [&](arch::PhysAddr each, arch::VirtAddr each_va) {
    widen(context, each, each_va, load(context, each), wanted);
  });
  if (dirty) context.host.flush_tlb_range(block.start, block.end(context.page_bytes));
  return true;
}

bool clear_young(PteContext& context, arch::PhysAddr entry, arch::VirtAddr va, Pte pte) {
  return pte_young(
      replace(context, entry, va, pte, [](std::uint64_t value) { return value & ~PTE_AF; }));
}

}  // namespace

bool ptep_set_access_flags(PteContext& context, arch::PhysAddr entry, arch::VirtAddr va, Pte wanted,
                           bool dirty) {
  const Pte pte = load(context, entry);
  if (in_block(context, pte)) return contpte_set_access_flags(context, entry, va, wanted, dirty);
  if (!widen(context, entry, va, pte, wanted)) return false;
  // An access-flag update needs no flush: an entry without it is never cached.
  if (dirty) context.host.flush_tlb_page(va);
  return true;
}

namespace {

bool clear_young_of_block(PteContext& context, const Block& block) {
  bool young = false;
  for_each_entry(context, block, [&](arch::PhysAddr each, arch::VirtAddr each_va) {
    young |= clear_young(context, each, each_va, load(context, each));
  });
  return young;
}

}  // namespace

bool ptep_test_and_clear_young(PteContext& context, arch::PhysAddr entry, arch::VirtAddr va) {
  const Pte pte = load(context, entry);
  if (!in_block(context, pte)) return clear_young(context, entry, va, pte);
  return clear_young_of_block(context, block_of(context, entry, va));
}

bool ptep_clear_flush_young(PteContext& context, arch::PhysAddr entry, arch::VirtAddr va) {
  const Pte pte = load(context, entry);
  if (!in_block(context, pte)) {
    if (!clear_young(context, entry, va, pte)) return false;
    context.host.flush_tlb_page_nosync(va);
    return true;
  }
  const Block block = block_of(context, entry, va);
  if (!clear_young_of_block(context, block)) return false;
  context.host.flush_tlb_range_nosync(block.start, block.end(context.page_bytes));
  return true;
}

}  // namespace shootdown::sw::arm64
