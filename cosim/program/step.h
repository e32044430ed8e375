// The table of steps: what a thread of a program can do beyond plain accesses, delays and signals.
// A step is one entry: its name, how it is read, what it does, and what its failure says.
#ifndef SHOOTDOWN_COSIM_PROGRAM_STEP_H
#define SHOOTDOWN_COSIM_PROGRAM_STEP_H

#include <map>
#include <span>
#include <string>
#include <string_view>

#include "cosim/config/config.h"
#include "cosim/config/strict_yaml.h"
#include "cosim/program/step_draw.h"
#include "sw/kernel/cpu.h"
#include "sw/mm/mm_types.h"

namespace shootdown::cosim {

/// Pages that a thread has pinned, by address.
using PinnedPages = std::map<std::uint64_t, sw::Page*>;

/// Where a step is read: in a thread of this process.
struct StepContext {
  const Config& config;
  std::size_t process{};
  const ProcessConfig& process_config() const { return config.processes[process]; }
};

/// Whoever runs programs, for one thread: what a step needs of the kernel and of the experiment.
class StepHost {
 public:
  virtual ~StepHost() = default;
  virtual sw::Cpu& cpu() = 0;
  virtual sw::KernelState& kernel() = 0;
  virtual sw::Mm& mm() = 0;
  virtual const RegionConfig& region(std::size_t region) = 0;
  /// The file of a region; null: anonymous.
  virtual sw::File* file(std::size_t region) = 0;
  /// The area that a region becomes.
  virtual sw::Vma vma_of(std::size_t region) = 0;
  virtual PinnedPages& pinned() = 0;
  /// Makes a child of the thread's process.
  virtual void fork(std::size_t child) = 0;
  /// Ends the process; the thread ends with it.
  virtual void exit() = 0;
};

enum class StepEnd : std::uint8_t {
  kDone,
  kFailed,  ///< the kernel refused: a remark says so, and the program goes on
  kExited,  ///< the thread ends here
};

/// What a step does to a process; each happens once in the life of one.
enum class Life : std::uint8_t { kNone, kBirth, kDeath };

/// "{at: heap + 0x1000, pages: 3}": what most steps are given.
std::string draw_pages(StepDraw& draw);

struct StepKind {
  std::string_view name;
  std::string_view what;  ///< in one line, for `shootdown list steps`
  /// From YAML; throws ConfigError. `kind` of the result is filled in by the caller.
  MemoryOperation (*read)(const YamlValue& value, const StepContext& context);
  StepEnd (*perform)(StepHost& host, const MemoryOperation& step);
  /// What a failure says: "{}" is the address.
  std::string_view failure{"the kernel refused to map at {}"};
  arch::VirtAddr MemoryOperation::*failure_at{&MemoryOperation::start};
  Life life{Life::kNone};
  /// Makes up a value for a generator of experiments; `read` may still refuse it.
  std::string (*draw)(StepDraw& draw){draw_pages};
  /// A step that, named right after this one with the same value, undoes what would make others
  /// wait for ever; empty: there is none.
  std::string_view undone_by{};
  /// How the step is called in what may be done to a region of kind hugetlb; empty: not for one.
  std::string_view for_hugetlb{};
};

/// What both CPUs and devices can do (read, write, ...): name and meaning.
struct PlainStep {
  std::string_view name;
  std::string_view what;
};
std::span<const PlainStep> plain_steps();

/// All of them, in the order in which they are listed.
std::span<const StepKind> step_kinds();
/// Null: there is none of this name.
const StepKind* find_step(std::string_view name);
/// "could not pin all from 0x7f80_0001_0000 on"
std::string failure_of(const MemoryOperation& step);

// The parts of the table.
std::span<const StepKind> mapping_steps();  ///< system calls that map, unmap and protect
std::span<const StepKind> page_steps();     ///< what is done to pages and files

}  // namespace shootdown::cosim

#endif
