// Numbers of the signals of an experiment, as its programs name them.
#ifndef SHOOTDOWN_COSIM_PROGRAM_SIGNALS_H
#define SHOOTDOWN_COSIM_PROGRAM_SIGNALS_H

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "cosim/config/strict_yaml.h"

namespace shootdown::cosim {

/// Numbers of signals, and who raises them: a signal nobody raises is a mistake.
class Signals {
 public:
  explicit Signals(std::vector<std::string>& names) : names_(names) {}
  unsigned number(const YamlValue& value, bool raises) {
    const std::string name = value.identifier();
    auto found = std::find(names_.begin(), names_.end(), name);
    if (found == names_.end()) {
      names_.push_back(name);
      found = names_.end() - 1;
    }
    const auto number = static_cast<unsigned>(found - names_.begin());
    if (raises) {
      raised_[number] = true;
    } else {
      waits_.emplace_back(number, value);
    }
    return number;
  }
  void check() const {
    for (const auto& [number, value] : waits_) {
      if (raised_.count(number) != 0) continue;
      std::vector<std::string> raised;
      for (const auto& [n, _] : raised_) raised.push_back(names_[n]);
      value.fail("nobody raises signal '" + names_[number] + "'",
                 raised.empty() ? "some thread has to raise it" : "raised: " + join(raised, ", "));
    }
  }

 private:
  std::vector<std::string>& names_;
  std::map<unsigned, bool> raised_;
  std::vector<std::pair<unsigned, YamlValue>> waits_;
};

}  // namespace shootdown::cosim

#endif
