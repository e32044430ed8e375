#include "cosim/ledger/kernel_stacks.h"

namespace shootdown::cosim {

CallPath KernelStacks::call(CallPath caller, const char* function) {
  for (CallPath one = nodes_[caller].callees; one != 0; one = nodes_[one].next) {
    if (nodes_[one].function == function) return one;
  }
  for (CallPath one = nodes_[caller].callees; one != 0; one = nodes_[one].next) {
    if (std::string_view(nodes_[one].function) == function) return one;
  }
  const auto added = static_cast<CallPath>(nodes_.size());
  nodes_.push_back(
      {.caller = caller, .function = function, .callees = 0, .next = nodes_[caller].callees});
  nodes_[caller].callees = added;
  return added;
}

void KernelStacks::entered(const Stamp& at, const char* function) {
  if (at.thread == kNoThread) return;
  if (at.thread >= threads_.size()) threads_.resize(at.thread + std::size_t{1});
  Thread& thread = threads_[at.thread];
  if (thread.path == 0) thread.entered = at;
  thread.path = call(thread.path, function);
}

void KernelStacks::left(ThreadId thread) {
  if (thread >= threads_.size()) return;
  threads_[thread].path = nodes_[threads_[thread].path].caller;
}

CallPath KernelStacks::path(ThreadId thread) const {
  return thread < threads_.size() ? threads_[thread].path : 0;
}

Stamp KernelStacks::entered_kernel(ThreadId thread) const {
  return inside(thread) ? threads_[thread].entered : Stamp{};
}

std::string KernelStacks::text(CallPath path) const {
  if (path == 0) return {};
  const std::string callers = text(caller(path));
  const std::string function(nodes_[path].function);
  return callers.empty() ? function : callers + " > " + function;
}

std::string_view KernelStacks::innermost(CallPath path) const { return nodes_[path].function; }

bool KernelStacks::within(CallPath path, CallPath ancestor) const {
  while (path != ancestor && path != 0) path = caller(path);
  return path == ancestor;
}

}  // namespace shootdown::cosim
