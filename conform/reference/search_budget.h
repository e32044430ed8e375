// A bound for the searches, so that a test that changes too much without an invalidation is told
// so.
#ifndef SHOOTDOWN_CONFORM_REFERENCE_SEARCH_BUDGET_H
#define SHOOTDOWN_CONFORM_REFERENCE_SEARCH_BUDGET_H

#include <stdexcept>

namespace shootdown::conform::reference {

class SearchBudget {
 public:
  void spend() {
    if (++spent_ > kMostRuns)
      throw std::runtime_error(
          "permitted outcomes: more than 100000 combinations of old and new values; too much has "
          "changed since the last completed invalidation");
  }

 private:
  static constexpr int kMostRuns = 100'000;
  int spent_{0};
};

}  // namespace shootdown::conform::reference

#endif
