#include "cosim/cli/commands.h"

#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <optional>
#include <span>

#include "conform/conform.h"
#include "conform/conform_report.h"
#include "cosim/cli/config_files.h"
#include "cosim/cli/event_options.h"
#include "cosim/cli/fst.h"
#include "cosim/config/injections.h"
#include "cosim/config/rtl_support.h"
#include "cosim/experiment/bisect.h"
#include "cosim/experiment/experiment.h"
#include "cosim/experiment/matrix.h"
#include "cosim/experiment/seeds.h"
#include "cosim/observe/event_writer.h"
#include "cosim/program/load.h"
#include "cosim/program/step.h"
#include "cosim/report/json_report.h"
#include "cosim/report/output_file.h"
#include "cosim/report/text_report.h"
#include "cosim/rtl/tlb_dut.h"
#include "cosim/waves/waves.h"
#include "sw/kernel/functions.h"
#include "sw/kernel/version.h"

namespace shootdown::cosim {

namespace {

Config load(const Options& options) {
  return load_experiment(options.config, options.set, options.kernel, options.seed);
}

int exit_status(const RunResult& result) {
  if (result.verdict == Verdict::kLimit && !result.met) return kExitLimit;
  return result.met ? kExitMet : kExitNotMet;
}

}  // namespace

namespace {

int seeds_command(const Options& options, const Config& config) {
  if (options.waves || options.events) {
    throw ConfigError("--seeds:1:1: seeds: with --waves or --events (one run: --seed N)");
  }
  if (config.hardware.quantum_cycles != 0) {
    throw ConfigError(
        "--seeds:1:1: seeds: given with hardware.quantum_cycles, with which the order "
        "of things is not exact (quantum_cycles: 0)");
  }
  std::optional<OutputFile> json;
  if (options.json) json.emplace("--json", *options.json);
  const SeedsResult result = run_seeds(config, *options.seeds);
  if (json) {
    json->stream() << seeds_json(config, result);
    json->commit();
  }
  std::cout << seeds_text(config, result) << std::flush;
  if (!result.met && result.violating == 0 && result.limited != 0) return kExitLimit;
  return result.met ? kExitMet : kExitNotMet;
}

}  // namespace

int run_command(const Options& options) {
  const Config config = load(options);
  if (options.seeds) return seeds_command(options, config);
  const auto same = [](const auto& a, const auto& b) { return a && b && *a == *b; };
  if (same(options.json, options.events) || same(options.json, options.waves) ||
      same(options.events, options.waves)) {
    throw ConfigError(
        fmt::format("{}:1:1: --json, --events, --waves: the same file twice (a file each)",
                    options.json ? *options.json : *options.events));
  }
  // Outputs first: a name that cannot be written is found before the run.
  std::optional<OutputFile> json;
  std::optional<OutputFile> events;
  std::optional<OutputFile> waves_file;
  if (options.json) json.emplace("--json", *options.json);
  if (options.events) events.emplace("--events", *options.events);
  if (options.waves) {
    check_wave_format(*options.waves);
    waves_file.emplace("--waves", *options.waves);
    waves_file->close();
  }
  Experiment experiment(config);
  Platform& platform = experiment.platform();
  EventFilter filter = event_filter(options, platform.log());
  std::optional<EventWriter> writer;
  if (events) {
    writer.emplace(platform.log(), events->stream(), std::move(filter));
    platform.log().subscribe(*writer);
    experiment.on_violation([&](const Violation&) { writer->violation_found(); });
  }
  std::optional<Waves> waves;
  if (waves_file) {
    std::vector<RtlTlbEngine*> rtl;
    for (const auto& engine : platform.machine().rtl()) rtl.push_back(engine.get());
    waves.emplace(platform.log(), platform.simulation(), platform.machine().rtl_context(), rtl);
    waves->open(waves_file->temporary_path());
    platform.log().subscribe(*waves);
  }
  const RunResult result = experiment.run();
  if (waves) {
    if (!waves->close()) waves_file->fail_incomplete();
    finish_waves(*options.waves, waves_file->temporary_path());
    waves_file->commit();
  }
  if (events) events->commit();
  if (options.event_window && result.violations.empty()) {
    fmt::print(stderr, "shootdown: --event-window: no violation, so that {} is empty\n",
               *options.events);
  }
  if (json) {
    json->stream() << json_report(config, result, experiment.counters());
    json->commit();
  }
  std::cout << text_report(config, result) << std::flush;
  if (!std::cout) throw ConfigError("stdout:1:1: report: cannot be written (a place with room)");
  return exit_status(result);
}

int matrix_command(const Options& options) {
  std::vector<std::string> configs = options.configs;
  if (configs.empty()) configs = config_files("configs");
  if (configs.empty()) throw ConfigError("configs:1:1: matrix: no configuration (name one)");
  std::optional<OutputFile> json;
  std::optional<OutputFile> junit;
  if (options.json) json.emplace("--json", *options.json);
  if (options.junit) junit.emplace("--junit", *options.junit);
  // All are read before any is run.
  std::vector<std::optional<std::string>> obstacles;
  for (const std::string& config : configs) obstacles.push_back(rtl_obstacle_of(config));
  std::vector<MatrixCell> cells;
  for (std::size_t i = 0; i < configs.size(); ++i) {
    for (const std::string& model : matrix_models()) {
      run_cells(configs[i], model, obstacles[i], [&](MatrixCell cell) {
        cells.push_back(std::move(cell));
        std::cout << cell_text(cells.back()) << std::flush;
      });
    }
  }
  if (json) {
    json->stream() << matrix_json(cells);
    json->commit();
  }
  if (junit) {
    write_matrix_junit(junit->stream(), cells);
    junit->commit();
  }
  const auto missed =
      std::count_if(cells.begin(), cells.end(), [](const auto& cell) { return !cell.met; });
  const auto left_out = std::count_if(cells.begin(), cells.end(),
                                      [](const auto& cell) { return !cell.not_run.empty(); });
  std::cout << fmt::format("{} cells, {} not as expected{}\n",
                           cells.size() - static_cast<std::size_t>(left_out), missed,
                           left_out == 0 ? "" : fmt::format(", {} not run", left_out))
            << std::flush;
  return missed == 0 ? kExitMet : kExitNotMet;
}

int bisect_command(const Options& options) {
  const Bisection bisection = bisect(load(options));
  std::cout << bisection_text(bisection) << std::flush;
  if (!bisection.limit.empty()) return kExitLimit;
  return bisection.turns.empty() ? kExitNotMet : kExitMet;
}

int check_command(const Options& options) {
  const Config config = load(options);
  std::cout << describe_run(config);
  fmt::print("{}: ok, {} processes, {} devices, {} threads, {} expectations\n", config.path,
             config.processes.size(), config.devices.size(),
             config.cpu_threads.size() + config.device_threads.size(), config.expect.size());
  return kExitMet;
}

int conform_command(const Options& options) {
  std::optional<OutputFile> junit;
  if (options.junit) junit.emplace("--junit", *options.junit);
  std::vector<conform::ConformFile> files;
  for (const std::string& folder : options.folders) {
    try {
      for (conform::ConformFile& file : conform::conform_folder(folder))
        files.push_back(std::move(file));
    } catch (const std::exception& problem) {
      throw ConfigError(problem.what());
    }
  }
  if (junit) {
    conform::write_junit(junit->stream(), files);
    junit->commit();
  }
  std::cout << conform::conform_table(files) << std::flush;
  const bool agree =
      std::all_of(files.begin(), files.end(), [](const auto& file) { return file.failed() == 0; });
  return agree ? kExitMet : kExitNotMet;
}

namespace {

template <class Kind>
void list_words(std::span<const Word<Kind>> words) {
  for (const Word<Kind>& word : words) fmt::print("{:20} {}\n", word.name, word.meaning);
}

}  // namespace

int list_command(const Options& options) {
  if (options.list == "kernels") {
    for (const sw::Release& release : sw::kernel_releases()) {
      fmt::print("{}\n", to_string(release));
    }
  } else if (options.list == "changes") {
    for (const sw::KernelChange& change : sw::kernel_changes()) {
      fmt::print("{}  {}  {}\n              {}{}\n", change.hash, to_string(change.first_release),
                 change.title, change.switches,
                 change.needs.empty() ? "" : fmt::format(" (needs {})", change.needs));
    }
  } else if (options.list == "checkers") {
    list_words(violation_words());
    list_words(note_words());
  } else if (options.list == "hops") {
    list_words(hop_words());
  } else if (options.list == "costs") {
    list_words(cost_words());
  } else if (options.list == "steps") {
    for (const PlainStep& step : plain_steps()) {
      fmt::print("{:20} {}; devices have it too\n", step.name, step.what);
    }
    for (const StepKind& kind : step_kinds()) fmt::print("{:20} {}\n", kind.name, kind.what);
  } else if (options.list == "events") {
    for (const std::string_view name : Payload::names()) fmt::print("{}\n", name);
  } else if (options.list == "functions") {
    for (const std::string_view name : sw::traced_functions()) fmt::print("{}\n", name);
  } else if (options.list == "injections") {
    for (const Injection& injection : injections()) {
      fmt::print("{:26} {}\n", injection.name, injection.what);
    }
  } else {
    const std::vector<std::string> files = config_files("configs");
    for (const std::string& file : files) {
      const Config config = load_experiment(file);
      const bool rtl = !rtl_obstacle(config.hardware, tlb_dut_geometries());
      fmt::print("{:44} {:12} {}\n", file, rtl ? "systemc, rtl" : "systemc", config.description);
    }
    if (files.empty()) fmt::print("no folder configs/ here\n");
  }
  return kExitMet;
}

}  // namespace shootdown::cosim
