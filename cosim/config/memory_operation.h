// A step that asks the kernel to change mappings: a system call, or work of a kernel thread.
#ifndef SHOOTDOWN_COSIM_CONFIG_MEMORY_OPERATION_H
#define SHOOTDOWN_COSIM_CONFIG_MEMORY_OPERATION_H

#include <cstdint>

#include "hw/arch/types.h"

namespace shootdown::cosim {

struct MemoryOperation {
  enum class Kind : std::uint8_t {
    kMmap,
    kMunmap,
    kMprotect,
    kMadviseDontneed,
    kMadviseFree,
    kMremap,
    kFork,
    kExit,
    kPageOut,
    kWriteback,
    kMigrate,
    kCollapse,
    kSplit,
    kPin,
    kUnpin,
    kRevoke,
    kUnmapMappingRange,
    kNumaHint,
    kUffdProtect,
    kUffdResolve,
    kClearSoftDirty,
    kAge,
    kPunchHole,
  };
  Kind kind{};
  std::size_t region{};  ///< of the thread's process: where `start` lies
  arch::VirtAddr start{};
  arch::VirtAddr end{};   ///< exclusive
  bool write{};           ///< kMprotect: the new protection; kPin: to write
  arch::VirtAddr to{};    ///< kMremap
  std::size_t process{};  ///< kFork: the child, index
};

}  // namespace shootdown::cosim

#endif
