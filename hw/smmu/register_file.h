// The SMMU's registers as storage: widths, reset values, what software may write.
//
// One table describes them; side effects are the SMMU's business. A write that the architecture
// ignores or forbids is reported to the `illegal` callback with the rule that was broken.
#ifndef SHOOTDOWN_HW_SMMU_REGISTER_FILE_H
#define SHOOTDOWN_HW_SMMU_REGISTER_FILE_H

#include <array>
#include <cstdint>
#include <functional>
#include <string_view>

#include "hw/arch/smmuv3_registers.h"
#include "hw/smmu/smmu_config.h"

namespace shootdown::hw {

class RegisterFile {
 public:
  using Illegal = std::function<void(std::string_view rule, std::uint32_t offset)>;
  RegisterFile(const SmmuFeatures& features, const SmmuQueueSizes& sizes, Illegal illegal);

  /// Software's accesses: 4 or 8 bytes at `offset` below kRegisterBytes. Unknown offsets read as
  /// zero and ignore writes.
  std::uint64_t read(std::uint32_t offset, unsigned bytes) const;
  void write(std::uint32_t offset, std::uint64_t value, unsigned bytes);

  /// Hardware's own accesses.
  std::uint32_t get(std::uint32_t offset) const { return words_[index(offset)]; }
  std::uint64_t get64(std::uint32_t offset) const {
    return get(offset) | std::uint64_t{get(offset + 4)} << 32;
  }
  void set(std::uint32_t offset, std::uint32_t value) { words_[index(offset)] = value; }
  bool enabled(std::uint64_t cr0_mask) const {
    return (get(arch::smmuv3::reg::kCr0Ack) & cr0_mask) != 0;
  }
  void reset();

 private:
  static constexpr std::uint32_t kWordsPerPage = 0x100 / 4;
  static std::uint32_t index(std::uint32_t offset) {
    constexpr auto kPage = static_cast<std::uint32_t>(arch::smmuv3::kRegisterPageBytes);
    return (offset >= kPage ? kWordsPerPage : 0) + offset % kPage / 4;
  }
  static bool decoded(std::uint32_t offset) {
    return offset % arch::smmuv3::kRegisterPageBytes < 0x100;
  }
  void write_word(std::uint32_t offset, std::uint32_t value);

  SmmuFeatures features_;
  SmmuQueueSizes sizes_;
  Illegal illegal_;
  std::array<std::uint32_t, 2 * kWordsPerPage> words_{};
};

}  // namespace shootdown::hw

#endif
