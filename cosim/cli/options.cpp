#include "cosim/cli/options.h"

#include <CLI/CLI.hpp>
#include <iostream>

namespace shootdown::cosim {

std::optional<Options> parse_options(int argc, const char* const* argv, int& exit_code) {
  Options options;
  CLI::App app{"Shootdown: co-simulates page-table changes with the TLBs that cache them"};
  app.name("shootdown");
  app.set_version_flag("--version", std::string("shootdown ") + kVersion);
  app.require_subcommand(1);
  app.footer(
      "Exit status: 0 the run did what the configuration expects, or every recorded case agrees;\n"
      "1 it did not; 2 bad usage or input; 3 a limit of simulated or wall time was reached.");

  const auto add_common = [&](CLI::App* command) {
    command->add_option("CONFIG", options.config, "configuration file (YAML)")->required();
    command
        ->add_option("--set", options.set,
                     "key.key=value: replaces a value of the file; may be repeated")
        ->expected(1)
        ->take_all();
    command->add_option("--seed", options.seed, "draw a random schedule from this seed")
        ->check([](const std::string& text) {  // the library takes -1 for 2^64 - 1
          return text.starts_with('-') ? "a seed is 0 or more" : "";
        });
  };
  const auto add_kernel = [&](CLI::App* command) {
    command->add_option("--kernel", options.kernel,
                        "kernel release instead of the file's: v5.18 to v6.7 (later changes: docs/"
                        "configuration.md, apply)");
  };
  CLI::App* run = app.add_subcommand("run", "run a configuration and say what happened");
  add_common(run);
  add_kernel(run);
  run->add_option("--seeds", options.seeds,
                  "run the random schedules of seeds 1 to N on all processors")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1'000'000'000}))
      ->excludes("--seed");
  run->add_option("--waves", options.waves, "write waves: F.vcd, or F.fst if vcd2fst is installed");
  run->add_option("--json", options.json, "write the result as JSON");
  run->add_option("--events", options.events, "write the event log as JSON lines");
  run->add_option("--event-kinds", options.event_kinds,
                  "only events of these kinds: KIND,KIND (shootdown list events)")
      ->delimiter(',')
      ->allow_extra_args(false);
  run->add_option("--event-actors", options.event_actors,
                  "only events of these: cpu0,smmu0,nic0, or threads")
      ->delimiter(',')
      ->allow_extra_args(false);
  run->add_option("--event-addresses", options.event_addresses,
                  "only events that name an address from FIRST to LAST: FIRST:LAST");
  run->add_option("--event-window", options.event_window,
                  "only so many events before the first violation, and as many after it")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{10'000'000}));
  CLI::App* matrix =
      app.add_subcommand("matrix", "run configurations on every kernel release and hardware model");
  matrix->add_option("CONFIG", options.configs, "configuration files; all below configs/ if none");
  matrix->add_option("--json", options.json, "write the cells as JSON");
  matrix->add_option("--junit", options.junit, "write the cells as JUnit XML");
  CLI::App* bisect =
      app.add_subcommand("bisect", "name the kernel change at which the verdict turns");
  add_common(bisect);
  CLI::App* check = app.add_subcommand("check", "validate a configuration");
  add_common(check);
  add_kernel(check);
  CLI::App* list = app.add_subcommand("list", "list what there is");
  list->add_option("WHAT", options.list,
                   "configs, kernels, changes, checkers, hops, costs, steps, events, functions or "
                   "injections")
      ->check(CLI::IsMember({"configs", "kernels", "changes", "checkers", "hops", "costs", "steps",
                             "events", "functions", "injections"}))
      ->capture_default_str();
  CLI::App* conform =
      app.add_subcommand("conform", "replay recorded behaviour and say where it differs");
  conform
      ->add_option("DIR", options.folders,
                   "folders of recorded cases (mmu_gather, arm64_tlbi, smmuv3, smmu_driver)")
      ->required();
  conform->add_option("--junit", options.junit, "write the results as JUnit XML");

  CLI::App* fuzz =
      app.add_subcommand("fuzz", "run random legal experiments and take apart what goes wrong");
  fuzz->add_option("--experiments", options.experiments, "how many")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1'000'000'000}));
  fuzz->add_option("--seconds", options.seconds, "for how long (60 if nothing is said)")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1'000'000}));
  fuzz->add_option("--first", options.first_experiment, "number of the first experiment, its seed")
      ->capture_default_str();
  fuzz->add_option("--schedules", options.schedules,
                   "random schedules for each, beside the undisturbed order")
      ->check(CLI::Range(0U, 1000U))
      ->capture_default_str();
  fuzz->add_option("--kernel", options.kernel,
                   "kernel release (with every known change if not given)");
  fuzz->add_option("--inject", options.inject, "plant defects: NAME,NAME")->delimiter(',');
  fuzz->add_flag("--no-shrink", options.no_shrink, "take nothing apart, only count");
  fuzz->add_option("--out", options.out, "write a configuration of each kind of failure to DIR");
  fuzz->add_option("--print", options.print, "print this experiment and run nothing")
      ->excludes("--experiments")
      ->excludes("--seconds");

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    exit_code = app.exit(error, std::cout, std::cerr) == 0 ? kExitMet : kExitUsage;
    return std::nullopt;
  }
  options.command = run->parsed()      ? Options::Command::kRun
                    : matrix->parsed() ? Options::Command::kMatrix
                    : bisect->parsed() ? Options::Command::kBisect
                    : check->parsed()  ? Options::Command::kCheck
                    : list->parsed()   ? Options::Command::kList
                    : fuzz->parsed()   ? Options::Command::kFuzz
                                       : Options::Command::kConform;
  return options;
}

}  // namespace shootdown::cosim
