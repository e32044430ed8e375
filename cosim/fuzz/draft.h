// An experiment as a generator makes it up and a shrinker takes it apart: pieces of text, each of
// which can be left out. What it means is the loader's to say.
#ifndef SHOOTDOWN_COSIM_FUZZ_DRAFT_H
#define SHOOTDOWN_COSIM_FUZZ_DRAFT_H

#include <map>
#include <string>
#include <vector>

namespace shootdown::cosim {

struct Draft {
  struct Step {
    std::string text;         ///< "write: {at: heap, count: 4}"; of a loop: empty
    unsigned times{};         ///< of a loop
    std::vector<Step> steps;  ///< of a loop
    bool operator==(const Step&) const = default;
  };
  struct Region {
    std::string name;
    std::string text;  ///< "{at: 0x7f8000000000, pages: 4}"
  };
  struct Process {
    std::string name;
    std::string fork_of;          ///< empty: none
    std::vector<Region> regions;  ///< of its own
  };
  struct Device {
    std::string name;
    std::map<std::string, std::string> settings;
  };
  struct Thread {
    std::string name;
    std::string on;
    std::string process;  ///< empty: on a device
    std::vector<Step> steps;
  };

  std::string description;
  std::string kernel;
  std::string architecture;
  std::map<std::string, std::string> hardware;  ///< by dotted key: "smmu.tlb.entries"
  std::vector<Process> processes;
  std::vector<Device> devices;
  std::vector<Thread> threads;
  std::string inject;  ///< "[skip_dsb]"; empty: nothing

  /// The configuration file.
  std::string yaml() const;
};

}  // namespace shootdown::cosim

#endif
