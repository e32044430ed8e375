// What a device transaction carries beside address and data.
#ifndef SHOOTDOWN_HW_IOMMU_TRANSACTION_H
#define SHOOTDOWN_HW_IOMMU_TRANSACTION_H

#include <cstdint>
#include <functional>
#include <optional>
#include <tlm>

#include "hw/arch/tlbi.h"
#include "hw/arch/types.h"
#include "hw/arch/vmsa64.h"
#include "hw/events.h"

namespace shootdown::hw {

/// A page request of an endpoint (PCIe PRI).
struct PageRequest {
  arch::VirtAddr address{};  ///< of the page
  unsigned group{};          ///< PRG index, 0 to 511
  bool last{true};           ///< the group is complete
  bool read{};
  bool write{};
  bool execute{};
  bool privileged{};
};
/// CMD_PRI_RESP.Resp.
enum class PageResponse : std::uint8_t { kFailure, kInvalidRequest, kSuccess };

/// Set by the initiator and read-only after, except `answer` (written by the SMMU).
struct StreamExtension : tlm::tlm_extension<StreamExtension> {
  enum class Kind : std::uint8_t {
    kUntranslated,        ///< the address is an IOVA
    kTranslated,          ///< the address came from an ATS translation
    kTranslationRequest,  ///< ATS: no data, `answer` is filled in
    kPageFault,    ///< asks for access to a page, without data; may stall. For a device with an ATC
                   ///< whose driver does not serve page requests
    kPageRequest,  ///< PRI: `page_request` goes to the PRI queue
  };
  struct Answer {
    bool unsupported{};  ///< ATS is off for this stream (UR)
    bool read{};
    bool write{};
    bool execute{};
    arch::PhysAddr output{};  ///< of the whole page of 2^page_shift bytes
    std::uint8_t page_shift{arch::kPageShift};
    arch::Asid asid{};  ///< for observers; real devices do not see it
    /// Of a page request: the SMMU answers by itself.
    std::optional<PageResponse> page_response{};
  };

  Kind kind{Kind::kUntranslated};
  arch::StreamId stream_id{};
  std::optional<arch::SubstreamId> substream_id;
  bool privileged{};
  bool instruction{};  ///< a fetch; reads only
  /// Translation request: write access is not asked for (NW).
  bool no_write{};
  PageRequest page_request;
  std::uint64_t access_id{};  ///< unique within the device
  Answer answer;

  tlm::tlm_extension_base* clone() const override { return new StreamExtension(*this); }
  void copy_from(const tlm::tlm_extension_base& other) override {
    *this = static_cast<const StreamExtension&>(other);
  }
};

/// An endpoint with an ATC, as the SMMU's commands reach it.
class AtcPort {
 public:
  virtual ~AtcPort() = default;
  /// Starts an invalidation and returns at once. `completed` is called when the entries are gone
  /// and every access that used them is done.
  virtual void invalidate_atc(const arch::Invalidation& what,
                              std::optional<arch::SubstreamId> substream_id,
                              std::uint64_t command_number, std::function<void()> completed) = 0;
  /// The answer to a group of page requests.
  virtual void page_response(std::optional<arch::SubstreamId> substream_id, unsigned group,
                             PageResponse response) = 0;
};

}  // namespace shootdown::hw

#endif
