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

std::vector<std::unique_ptr<Checker>> make_checkers(const Ledger& ledger, Findings& findings,
                                                    unsigned fault_loop_faults) {
  std::vector<std::unique_ptr<Checker>> checkers;
  checkers.push_back(std::make_unique<FaultLoopChecker>(ledger, findings, fault_loop_faults));
  checkers.push_back(std::make_unique<AccessChecker>(ledger, findings));
  checkers.push_back(std::make_unique<SyncOrderChecker>(ledger, findings));
  checkers.push_back(std::make_unique<MisuseChecker>(ledger, findings));
  checkers.push_back(std::make_unique<TableChecker>(ledger, findings));
  checkers.push_back(std::make_unique<DirtyChecker>(ledger, findings));
  checkers.push_back(std::make_unique<BbmChecker>(ledger, findings));
  checkers.push_back(std::make_unique<AccountingChecker>(ledger, findings));
  checkers.push_back(std::make_unique<CostChecker>(ledger, findings));
  return checkers;
}

}  // namespace shootdown::cosim
