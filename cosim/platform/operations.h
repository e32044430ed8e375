// Steps that change mappings, done by the software stack.
#ifndef SHOOTDOWN_COSIM_PLATFORM_OPERATIONS_H
#define SHOOTDOWN_COSIM_PLATFORM_OPERATIONS_H

#include <map>

#include "cosim/config/memory_operation.h"
#include "cosim/platform/software_stack.h"
#include "sw/kernel/cpu.h"

namespace shootdown::cosim {

/// Pages that a thread has pinned, by address.
using PinnedPages = std::map<std::uint64_t, sw::Page*>;

/// Does one step of a thread of process `process`. kFork and kExit are the platform's. False if the
/// kernel refused.
bool perform(sw::Cpu& cpu, SoftwareStack& software, std::size_t process,
             const MemoryOperation& operation, PinnedPages& pinned);

}  // namespace shootdown::cosim

#endif
