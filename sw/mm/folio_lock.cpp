#include "sw/mm/folio_lock.h"

#include "hw/arch/check.h"

namespace shootdown::sw {

bool folio_trylock(Page& page) {
  if (page.locked) return false;
  page.locked = true;
  return true;
}

void folio_lock(Cpu& cpu, KernelState& kernel, Page& page) {
  while (!folio_trylock(page)) cpu.sleep_on(kernel.folio_waiters);
}

void folio_unlock(Cpu& cpu, KernelState& kernel, Page& page) {
  SHOOTDOWN_CHECK(page.locked, "a page is unlocked that nobody has locked");
  page.locked = false;
  cpu.wake_all(kernel.folio_waiters);
}

}  // namespace shootdown::sw
