// struct mm_struct and struct vm_area_struct, as far as this stack needs them.
#ifndef SHOOTDOWN_SW_MM_MM_TYPES_H
#define SHOOTDOWN_SW_MM_MM_TYPES_H

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "hw/arch/types.h"
#include "sw/kernel/injections.h"
#include "sw/kernel/lock.h"
#include "sw/kernel/rcu.h"
#include "sw/kernel/smp.h"
#include "sw/kernel/version.h"
#include "sw/mm/address_space.h"
#include "sw/mm/levels.h"
#include "sw/mm/page_alloc.h"
#include "sw/mm/swap.h"

namespace shootdown::sw {

class ArchMmu;
class MmuNotifier;

/// What one simulated kernel is made of, beside its threads. Outlives everything that refers to it.
struct KernelState {
  KernelState(const KernelBehaviour& kernel_behaviour, const SoftwareInjections& planted,
              PageAllocator page_allocator, unsigned cpus = 1)
      : behaviour(kernel_behaviour), inject(planted), pages(std::move(page_allocator)), smp(cpus) {}

  KernelBehaviour behaviour;
  SoftwareInjections inject;
  PageAllocator pages;
  Smp smp;
  Rcu rcu;
  SwapSpace swap;
  std::uint64_t nr_page_table{};  ///< NR_PAGETABLE: tables between constructor and destructor
  std::deque<AnonVma> anon_vmas;
  std::uint64_t migrations{};  ///< migrations ended so far
  WaitQueue migration_waiters;
  WaitQueue folio_waiters;  ///< for PG_locked, of any page
  Page* zero_page{};        ///< empty_zero_page
  Page* huge_zero_page{};   ///< allocated at first use
  std::uint64_t flushes{};  ///< numbers of FlushBegin

  /// The lock of one table (split page-table locks). Address spaces can share a table.
  SpinLock& ptl(arch::PhysAddr table) { return ptls_[table.value]; }

 private:
  std::unordered_map<std::uint64_t, SpinLock> ptls_;
};

/// Access that a mapping permits. Reading is always permitted.
struct Protection {
  bool read{true};
  bool write{};
  bool operator==(const Protection&) const = default;
};

struct Vma {
  arch::VirtAddr start{};
  arch::VirtAddr end{};                   ///< exclusive
  Protection protection;                  ///< VM_READ, VM_WRITE
  bool shared{};                          ///< VM_SHARED
  File* file{};                           ///< null: anonymous
  std::uint64_t file_offset{};            ///< of `start`, in the file; anonymous: in anon_vma
  AnonVma* anon_vma{};                    ///< of its own pages; null: shared, or a driver's frames
  unsigned page_shift{arch::kPageShift};  ///< 12, or 21 for a mapping of 2 MiB pages
  bool exec{};                            ///< VM_EXEC
  bool pfnmap{};                          ///< VM_PFNMAP: frames without a struct page of their own
  bool mixedmap{};                        ///< VM_MIXEDMAP
  std::uint64_t hugetlb_page_size{};      ///< VM_HUGETLB, bytes; 0: not one
  /// struct hugetlb_vma_lock: held for reading by faults, for writing by who unshares tables.
  std::shared_ptr<RwSemaphore> hugetlb_vma_lock;

  /// Shared writable file mappings map clean pages read-only, to learn of the first write
  /// (vma_wants_writenotify()).
  bool wants_writenotify() const { return shared && file != nullptr && protection.write; }
  bool overlaps(arch::VirtAddr from, arch::VirtAddr to) const { return start < to && from < end; }
  bool is_hugetlb() const { return hugetlb_page_size != 0; }
  int leaf_level() const { return page_shift == arch::kPageShift ? kPteLevel : kPmdLevel; }
};

class Mm {
 public:
  Mm(KernelState& kernel_state, ArchMmu& arch_mmu, arch::MmId number, arch::Asid context_asid)
      : kernel(kernel_state), arch(arch_mmu), id(number), asid(context_asid) {}
  Mm(const Mm&) = delete;
  Mm& operator=(const Mm&) = delete;

  /// The area that contains `address`, or null. mmap_lock held.
  Vma* find_vma(arch::VirtAddr address) {
    for (Vma& vma : vmas) {
      if (address >= vma.start && address < vma.end) return &vma;
    }
    return nullptr;
  }
  /// Whether userfaultfd protects the page that holds `address`.
  bool uffd_protects(arch::VirtAddr address) const {
    return uffd_wp.contains(arch::page_of(address).value);
  }
  KernelState& kernel;
  ArchMmu& arch;
  const arch::MmId id;
  const arch::Asid asid;
  arch::PhysAddr pgd{};
  RwSemaphore mmap_lock;
  std::vector<Vma> vmas;  ///< ascending, not overlapping
  std::vector<MmuNotifier*> notifiers;
  int tlb_flush_pending{};  ///< gathers and others that owe a flush
  // mm->tlb_flush_batched: deferred unmaps so far, and how many of them a full flush has covered.
  std::uint64_t tlb_flush_batched_pending{};
  std::uint64_t tlb_flush_batched_flushed{};
  CpuMask cpumask{};             ///< mm_cpumask(): CPUs that may hold its translations
  std::uint64_t tlb_gen{1};      ///< mm->context.tlb_gen of x86
  unsigned write_protect_seq{};  ///< odd while fork() write-protects
  bool s390_flush_mm{};          ///< mm->context.flush_mm of s390
  /// pmd_huge_pte: tables kept for the day a huge entry is split, by the address it maps.
  std::map<std::uint64_t, Page*> deposited_tables;
  std::set<std::uint64_t> uffd_wp;  ///< pages of 4 KiB that userfaultfd has write-protected
  WaitQueue uffd_waiters;           ///< threads that wrote to one
  bool uffd_registered{};           ///< userfaultfd has protected something in it
};

}  // namespace shootdown::sw

#endif
