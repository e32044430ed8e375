#include "cosim/check/checkers.h"

#include "cosim/check/access_checker.h"
#include "cosim/check/accounting_checker.h"
#include "cosim/check/bbm_checker.h"
#include "cosim/check/cost_checker.h"
#include "cosim/check/dirty_checker.h"
#include "cosim/check/fault_loop_checker.h"
#include "cosim/check/misuse_checker.h"
#include "cosim/check/sync_order_checker.h"
#include "cosim/check/table_checker.h"

namespace shootdown::cosim {

const std::vector<CheckerInfo>& checker_infos() {
  static const std::vector<CheckerInfo> kInfos{
      {"fault-loop", "a requester faults again and again although the entry permits the access"},
      {"stale-access",
       "an access completes through a translation that a flush should have removed"},
      {"use-after-free",
       "a frame is freed while a TLB or ATC still leads to it, or is accessed then"},
      {"write-after-protect", "a write succeeds after write permission was removed"},
      {"table-use-after-free", "a walker reads a table page after it was freed or reused"},
      {"lost-dirty", "data written after the last clean is recorded as dirty nowhere"},
      {"break-before-make", "a live entry is replaced without the break, or before its flush"},
      {"isolation", "a process or device reads or writes a frame that belongs to another"},
      {"accounting", "map counts, tables, pending flushes or page types are wrong"},
      {"over-invalidation", "advice, never a failure: flushes that nothing made necessary"},
      {"sync-order", "a DSB or CMD_SYNC completed before the effect it promises"},
      {"driver-misuse", "software sent hardware something illegal or reserved"},
      {"lockstep-mismatch", "the RTL and the SystemC model of a TLB differ"},
      {"rtl-assertion", "an assertion bound to the RTL failed"}};
  return kInfos;
}

std::vector<std::unique_ptr<Checker>> make_checkers(const History& history, Findings& findings,
                                                    unsigned fault_loop_faults) {
  std::vector<std::unique_ptr<Checker>> checkers;
  checkers.push_back(std::make_unique<FaultLoopChecker>(history, findings, fault_loop_faults));
  checkers.push_back(std::make_unique<AccessChecker>(history, findings));
  checkers.push_back(std::make_unique<SyncOrderChecker>(history, findings));
  checkers.push_back(std::make_unique<MisuseChecker>(history, findings));
  checkers.push_back(std::make_unique<TableChecker>(history, findings));
  checkers.push_back(std::make_unique<DirtyChecker>(history, findings));
  checkers.push_back(std::make_unique<BbmChecker>(history, findings));
  checkers.push_back(std::make_unique<AccountingChecker>(history, findings));
  checkers.push_back(std::make_unique<CostChecker>(history, findings));
  return checkers;
}

}  // namespace shootdown::cosim
