#include "cosim/ledger/kernel_stacks.h"

namespace shootdown::cosim {

void KernelStacks::entered(const Stamp& at, const char* function) {
  if (at.thread == kNoThread) return;
  if (at.thread >= threads_.size()) threads_.resize(at.thread + std::size_t{1});
  Thread& thread = threads_[at.thread];
  if (thread.path == 0) thread.entered = at;
  const auto [call, added] = calls_.try_emplace({thread.path, function}, CallPath{});
  if (added) {
    call->second = static_cast<CallPath>(nodes_.size());
    nodes_.push_back({.caller = thread.path, .function = function});
  }
  thread.path = call->second;
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
