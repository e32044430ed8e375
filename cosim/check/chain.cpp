#include "cosim/check/chain.h"

#include <algorithm>

namespace shootdown::cosim {

void Chain::sort_by_time() {
  // A missing item travels with the one before it.
  std::vector<std::vector<ChainItem>> groups;
  for (ChainItem& item : items_) {
    if (item.happened || groups.empty()) {
      groups.push_back({std::move(item)});
    } else {
      groups.back().push_back(std::move(item));
    }
  }
  std::stable_sort(groups.begin(), groups.end(), [](const auto& a, const auto& b) {
    return a.front().sequence < b.front().sequence;
  });
  items_.clear();
  for (auto& group : groups) {
    for (ChainItem& item : group) items_.push_back(std::move(item));
  }
}

}  // namespace shootdown::cosim
