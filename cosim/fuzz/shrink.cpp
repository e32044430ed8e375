// Leaves out pieces of an experiment for as long as it fails in the same way.
#include <algorithm>
#include <cstddef>
#include <functional>
#include <set>
#include <utility>

#include "cosim/config/strict_yaml.h"
#include "cosim/fuzz/fuzz.h"

namespace shootdown::cosim {

namespace {

constexpr unsigned kMostTries = 600;
constexpr std::uint64_t kSchedulesTried = 6;  // where the one at hand does not show it any more

class Shrinker {
 public:
  Shrinker(Draft draft, Failure& failure) : draft_(std::move(draft)), failure_(failure) {}

  Draft shrink() {
    bool smaller = true;
    while (smaller && tries_ < kMostTries) {
      smaller = false;
      smaller |= each(draft_.threads.size(), [](Draft& d, std::size_t i) { erase(d.threads, i); });
      smaller |= each(draft_.devices.size(), [](Draft& d, std::size_t i) { leave_device(d, i); });
      smaller |=
          each(draft_.processes.size(), [](Draft& d, std::size_t i) { leave_process(d, i); });
      for (std::size_t thread = 0; thread < draft_.threads.size(); ++thread) {
        smaller |= shrink_steps([thread](Draft & d) -> auto& { return d.threads[thread].steps; });
      }
      for (std::size_t process = 0; process < draft_.processes.size(); ++process) {
        smaller |=
            each(draft_.processes[process].regions.size(),
                 [process](Draft& d, std::size_t i) { erase(d.processes[process].regions, i); });
      }
      smaller |= leave_settings([](Draft & d) -> auto& { return d.hardware; });
      for (std::size_t device = 0; device < draft_.devices.size(); ++device) {
        smaller |=
            leave_settings([device](Draft & d) -> auto& { return d.devices[device].settings; });
      }
      if (!draft_.architecture.empty()) {
        smaller |= attempt([](Draft& d) { d.architecture.clear(); });
      }
    }
    return std::move(draft_);
  }

 private:
  using Steps = std::function<std::vector<Draft::Step>&(Draft&)>;
  using Settings = std::function<std::map<std::string, std::string>&(Draft&)>;

  template <class T>
  static void erase(std::vector<T>& list, std::size_t i) {
    list.erase(list.begin() + static_cast<std::ptrdiff_t>(i));
  }
  static void leave_device(Draft& draft, std::size_t i) {
    std::erase_if(draft.threads, [&](const auto& t) { return t.on == draft.devices[i].name; });
    erase(draft.devices, i);
  }
  static void leave_process(Draft& draft, std::size_t i) {
    const std::string name = draft.processes[i].name;
    std::erase_if(draft.threads, [&](const auto& thread) { return thread.process == name; });
    for (Draft::Thread& thread : draft.threads) {
      std::erase_if(thread.steps, [&](const auto& step) { return step.text == "fork: " + name; });
    }
    for (std::size_t d = draft.devices.size(); d-- > 0;) {
      if (draft.devices[d].settings["process"] == name) leave_device(draft, d);
    }
    erase(draft.processes, i);
  }

  /// The place of a violation moves as the experiment gets smaller; the reason of a limit does not.
  static bool alike(const FailureKind& a, const FailureKind& b) {
    return a.what == b.what && a.hop == b.hop && (!a.hop.empty() || a.place == b.place);
  }

  /// Keeps a change after which it still fails in the same way.
  bool attempt(const std::function<void(Draft&)>& change) {
    if (tries_ >= kMostTries) return false;
    Draft smaller = draft_;
    change(smaller);
    for (std::uint64_t order = 0; order <= kSchedulesTried; ++order) {
      ++tries_;
      // The order at hand first, then the undisturbed one, then others.
      const auto schedule = order == 0   ? failure_.schedule
                            : order == 1 ? std::nullopt
                                         : std::optional(order - 1);
      if (order != 0 && schedule == failure_.schedule) continue;
      try {
        auto found = try_draft(smaller, schedule);
        if (!found || !alike(found->kind, failure_.kind)) continue;
        found->seed = failure_.seed;
        failure_ = std::move(*found);
        draft_ = std::move(smaller);
        return true;
      } catch (const ConfigError&) {
        return false;  // something that is left needs the piece
      }
    }
    return false;
  }
  bool each(std::size_t count, const std::function<void(Draft&, std::size_t)>& leave) {
    bool any = false;
    for (std::size_t i = count; i-- > 0;) {
      any |= attempt([&](Draft& draft) { leave(draft, i); });
    }
    return any;
  }
  /// Half of them, a quarter, ..., one; then what loops hold.
  bool shrink_steps(const Steps& steps) {
    bool any = false;
    for (std::size_t part = std::max<std::size_t>(1, steps(draft_).size() / 2);; part /= 2) {
      for (std::size_t end = steps(draft_).size(); end >= part; end -= part) {
        if (steps(draft_).size() < end) continue;
        any |= attempt([&](Draft& draft) {
          auto& list = steps(draft);
          list.erase(list.begin() + static_cast<std::ptrdiff_t>(end - part),
                     list.begin() + static_cast<std::ptrdiff_t>(end));
        });
      }
      if (part == 1) break;
    }
    for (std::size_t i = 0; i < steps(draft_).size(); ++i) {
      if (steps(draft_)[i].steps.empty()) continue;
      // The loop's steps once, in its place.
      const bool opened = attempt([&](Draft& draft) {
        auto& list = steps(draft);
        const auto inner = std::exchange(list[i].steps, {});
        erase(list, i);
        list.insert(list.begin() + static_cast<std::ptrdiff_t>(i), inner.begin(), inner.end());
      });
      any |= opened;
      if (opened) continue;
      any |= shrink_steps([&steps, i ](Draft & d) -> auto& { return steps(d)[i].steps; });
      if (steps(draft_)[i].times > 2) {
        any |= attempt([&](Draft& draft) { steps(draft)[i].times = 2; });
      }
    }
    return any;
  }
  bool leave_settings(const Settings& settings) {
    std::vector<std::string> keys;
    for (const auto& [key, value] : settings(draft_)) keys.push_back(key);
    bool any = false;
    for (const std::string& key : keys) {
      if (kept_.contains(key)) continue;
      any |= attempt([&](Draft& draft) { settings(draft).erase(key); });
    }
    return any;
  }

  Draft draft_;
  Failure& failure_;
  unsigned tries_{};
  const std::set<std::string> kept_{"stream_id", "process"};
};

}  // namespace

Draft shrink(const Draft& draft, Failure& failure) { return Shrinker(draft, failure).shrink(); }

}  // namespace shootdown::cosim
