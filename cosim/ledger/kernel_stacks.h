// Where each thread is in the kernel: the functions it has entered and not left.
//
// A call path is a number: the same path has the same number, so that records can keep it for
// nothing. Memory: as many paths as the code has.
#ifndef SHOOTDOWN_COSIM_LEDGER_KERNEL_STACKS_H
#define SHOOTDOWN_COSIM_LEDGER_KERNEL_STACKS_H

#include <string>
#include <string_view>
#include <vector>

#include "cosim/ledger/stamp.h"

namespace shootdown::cosim {

/// A call path of one KernelStacks; 0: user code, or not known.
using CallPath = std::uint32_t;

class KernelStacks {
 public:
  /// `function` has static storage.
  void entered(const Stamp& at, const char* function);
  void left(ThreadId thread);

  CallPath path(ThreadId thread) const;
  /// Whether the thread is in the kernel.
  bool inside(ThreadId thread) const { return path(thread) != 0; }
  /// When the outermost function was entered that the thread is in; not set if it is in none.
  Stamp entered_kernel(ThreadId thread) const;

  /// "outermost > innermost"; empty for 0.
  std::string text(CallPath path) const;
  std::string_view innermost(CallPath path) const;
  /// The path without its innermost function.
  CallPath caller(CallPath path) const { return nodes_[path].caller; }
  /// Whether `path` is `ancestor`, or was entered from it.
  bool within(CallPath path, CallPath ancestor) const;

  void reset() { *this = {}; }

 private:
  /// A call: what the same function calls is a list. Calls are found by the address of the name,
  /// which is nearly always the same, and made by its text.
  struct Node {
    CallPath caller{};
    const char* function{""};
    CallPath callees{};  // the first; 0: none
    CallPath next{};     // of the same caller
  };
  CallPath call(CallPath caller, const char* function);
  struct Thread {
    CallPath path{};
    Stamp entered;
  };
  std::vector<Node> nodes_{1};
  std::vector<Thread> threads_;  // by ThreadId
};

}  // namespace shootdown::cosim

#endif
