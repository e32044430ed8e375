// A second SMMUv3, to judge the first one by: what the architecture says of one transaction, given
// registers and memory. Slow and obvious: no caches, no time, nothing shared with hw/smmu and
// hw/mmu. Whoever answers its reads may answer with older contents, as a cache would.
//
// Source: Arm IHI 0070 (sections named at each rule) and Arm ARM chapter D8 (VMSAv8-64).
// Not modelled, as in hw/smmu: Secure state, AArch32 and big-endian tables, memory attributes
// (but STE.S2PTW looks at those of stage 2). Neither: ATS, DPT, MPAM, LPA2 (DS), HAFT, permission
// indirection, EPAN.
#ifndef SHOOTDOWN_CONFORM_REFERENCE_REFERENCE_SMMU_H
#define SHOOTDOWN_CONFORM_REFERENCE_REFERENCE_SMMU_H

#include <array>
#include <cstdint>
#include <optional>

namespace shootdown::conform::reference {

/// SMMU_IDR0 and so on, as the registers read.
struct Identification {
  std::uint32_t idr0{}, idr1{}, idr3{}, idr5{}, aidr{};
};

/// The registers that decide what becomes of a transaction. `cr0` as acknowledged.
struct Registers {
  std::uint32_t cr0{}, cr2{}, gbpa{};
  std::uint64_t strtab_base{};
  std::uint32_t strtab_base_cfg{};
};

/// Untranslated, Non-secure.
struct Transaction {
  std::uint32_t stream_id{};
  std::optional<std::uint32_t> substream_id;
  std::uint64_t address{};
  bool write{};
  bool privileged{};
  bool instruction{};
};

/// One read of a structure or descriptor, and what for. Members that do not apply are zero.
struct Fetch {
  enum class Kind : std::uint8_t { kL1std, kSte, kL1cd, kCd, kStage1, kStage2 };
  Kind kind{};
  std::uint64_t address{};  ///< physical
  unsigned words{1};        ///< 1, or 8 for an STE or CD
  std::uint32_t stream_id{};
  /// kCd, kL1cd: which CD is wanted.
  std::uint32_t substream_id{};

  // kStage1 and kStage2: how a cache would tag what it makes of this descriptor.
  enum class World : std::uint8_t { kEl1, kEl2, kEl2E2h };
  World world{};
  std::uint16_t asid{};  ///< of the CD; 0 where it is not known (kCd, no stage 1) or no tag (kEl2)
  std::uint16_t vmid{};  ///< 0 where it is no tag: outside kEl1, and without IDR0.S2P
  bool aset{};
  bool has_stage1{};      ///< the translation that this walk is part of has a stage 1
  std::uint64_t input{};  ///< VA of a stage 1 walk (tag bits removed), IPA of a stage 2 walk
  /// The VA of the whole translation, tag bits removed: [63:56] then are as bit 55. kCd and no
  /// stage 1: the address as it came, for no CD says what a tag is.
  std::uint64_t transaction_va{};
  int level{};
  unsigned granule_shift{};  ///< 12, 14 or 16
  /// How many bits of the input address the levels from the first to this one resolve: the input
  /// size (64 - TxSZ) less the lowest bit that indexes this level's table.
  unsigned start_level_bits{};
  /// kStage2: what is translated.
  enum class For : std::uint8_t { kInput, kStage1Table, kCd };
  For what_for{};
};

class Memory {
 public:
  virtual ~Memory() = default;
  /// Fills `words` (fetch.words of them, little-endian). False: external abort.
  virtual bool read(const Fetch& fetch, std::uint64_t* words) = 0;
  /// Hardware update of a descriptor: writes `desired` if the word at fetch.address in memory still
  /// is `expected`. False: it is not; everything starts again from the top, so the next read has to
  /// answer with what is in memory (translate() throws std::runtime_error if that never ends).
  virtual bool compare_exchange(const Fetch& fetch, std::uint64_t expected,
                                std::uint64_t desired) = 0;
};

struct Outcome {
  enum class Kind : std::uint8_t {
    kTranslated,
    kBypass,  ///< not translated, by GBPA or the STE; `output` is the input
    kAbort,
    kRazWi,  ///< terminated: reads zero, a write vanishes
    kStall,  ///< 0x10 to 0x13, waits for CMD_RESUME
  };
  Kind kind{};
  std::uint64_t output{};
  /// The event, if the fault is recorded. STAG is 0. Whether the queue takes it (CR0.EVENTQEN,
  /// full) is for the caller to know.
  std::optional<std::array<std::uint64_t, 4>> event;
  bool operator==(const Outcome&) const = default;
};

Outcome translate(const Identification& id, const Registers& registers,
                  const Transaction& transaction, Memory& memory);

}  // namespace shootdown::conform::reference

#endif
