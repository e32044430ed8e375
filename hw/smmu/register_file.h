// The SMMU's registers as storage: widths, reset values, what software may write and when.
//
// One table describes them; side effects are the SMMU's business. A write that the architecture
// ignores or forbids is reported to the `illegal` callback with the rule that was broken. The
// index registers of event and PRI queue answer in page 1, where they live, and at the same offset
// of page 0. Source: Arm IHI 0070, chapter 6.
#ifndef SHOOTDOWN_HW_SMMU_REGISTER_FILE_H
#define SHOOTDOWN_HW_SMMU_REGISTER_FILE_H

#include <array>
#include <cstdint>
#include <functional>
#include <string_view>

#include "hw/arch/smmuv3_registers.h"
#include "hw/smmu/smmu_features.h"

namespace shootdown::hw {

class RegisterFile {
 public:
  using Illegal = std::function<void(std::string_view rule, std::uint32_t offset)>;
  RegisterFile(const SmmuFeatures& features, Illegal illegal);

  /// Software's accesses: 4 or 8 bytes at `offset` below kRegisterBytes, aligned. Unknown offsets
  /// read as zero and ignore writes.
  std::uint64_t read(std::uint32_t offset, unsigned bytes) const;
  void write(std::uint32_t offset, std::uint64_t value, unsigned bytes);

  /// Hardware's own accesses.
  std::uint32_t get(std::uint32_t offset) const { return words_[index(offset)]; }
  std::uint64_t get64(std::uint32_t offset) const {
    return get(offset) | std::uint64_t{get(offset + 4)} << 32;
  }
  void set(std::uint32_t offset, std::uint32_t value) { words_[index(offset)] = value; }
  bool enabled(std::uint64_t cr0_mask) const {
    return (get(arch::smmuv3::reg::kCr0Ack) & ~closing_ & cr0_mask) != 0;
  }
  /// Bits of CR0 that are being switched off: they take nothing new, while CR0ACK still shows them,
  /// until what was taken before has ended.
  void close(std::uint32_t cr0_mask) { closing_ = cr0_mask; }
  bool interrupt_enabled(std::uint64_t irq_ctrl_mask) const {
    return (get(arch::smmuv3::reg::kIrqCtrlAck) & irq_ctrl_mask) != 0;
  }
  /// Bits of GERROR that software has not acknowledged.
  std::uint32_t active_errors() const {
    return get(arch::smmuv3::reg::kGerror) ^ get(arch::smmuv3::reg::kGerrorN);
  }
  void reset();

 private:
  static constexpr std::uint32_t kDecodedBytes = 0x100;
  static constexpr std::uint32_t kPageMask = arch::smmuv3::kRegisterPageBytes - 1;
  // Page 1 holds index registers only, and they have no neighbours of the same offset in page 0.
  static std::uint32_t index(std::uint32_t offset) { return (offset & kPageMask) / 4; }
  static bool decoded(std::uint32_t offset);
  void write_word(std::uint32_t offset, std::uint32_t value);
  void set_masks();

  SmmuFeatures features_;
  Illegal illegal_;
  std::uint32_t closing_{};
  std::array<std::uint32_t, kDecodedBytes / 4> words_{};
  std::array<std::uint32_t, kDecodedBytes / 4> writable_{};
};

}  // namespace shootdown::hw

#endif
