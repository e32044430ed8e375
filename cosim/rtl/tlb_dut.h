// The RTL TLB (rtl/tlb.sv) as a plain object with pins and a clock. Hides Verilator: nothing here
// or above includes its headers.
#ifndef SHOOTDOWN_COSIM_RTL_TLB_DUT_H
#define SHOOTDOWN_COSIM_RTL_TLB_DUT_H

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace shootdown::cosim {

class RtlContext;
class VcdFile;

/// Operations and scopes as rtl/tlb_pkg.sv numbers them.
enum class TlbOperation : std::uint8_t { kLookup = 0, kFill = 1, kInvalidate = 2 };

/// The request pins. Pages are VA[48:12] and PA[47:12].
struct TlbRequest {
  TlbOperation operation{};
  std::uint8_t scope{};  ///< invalidate: 0 all, 1 ASID, 2 VA, 3 VA of any ASID
  std::uint64_t va_page{};
  std::uint64_t last_page{};  ///< invalidate: inclusive
  std::uint16_t asid{};
  bool global{};
  std::uint8_t size{};  ///< 0: 4 KiB, 1: 2 MiB, 2: 1 GiB
  std::uint64_t pa_page{};
  std::uint8_t permissions{};  ///< {priv_w, priv_r, user_w, user_r}
  std::uint8_t attributes{};
  std::uint32_t epoch{};
};

/// The response pins.
struct TlbResponse {
  bool hit{};
  std::uint64_t va_page{};
  std::uint8_t size{};
  bool global{};
  std::uint64_t pa_page{};
  std::uint8_t permissions{};
  std::uint8_t attributes{};
  bool dropped{};
  bool evicted{};
  std::uint64_t evicted_va_page{};
  std::uint16_t evicted_asid{};
  std::uint8_t evicted_size{};
  bool evicted_global{};
  unsigned removed{};
};

class TlbDut {
 public:
  virtual ~TlbDut() = default;
  /// Drives the request channel for the next rising edge; null: no request.
  virtual void drive(const TlbRequest* request) = 0;
  virtual void clock(bool level) = 0;
  virtual bool request_ready() const = 0;
  virtual bool response_valid() const = 0;
  virtual TlbResponse response() const = 0;
  virtual unsigned occupancy() const = 0;
  virtual std::uint32_t epoch() const = 0;
  /// An operation is in the pipeline: the clock is still needed.
  virtual bool busy() const = 0;
  /// Asserts reset and clocks once.
  virtual void reset() = 0;
  /// Puts every signal of the model into a wave file that is not open yet.
  virtual void trace(VcdFile& file) = 0;
};

/// (entries, ways) for which the RTL was built, smallest first.
const std::vector<std::pair<unsigned, unsigned>>& tlb_dut_geometries();
/// `name` is the model's scope in wave files. Null for a geometry that was not built. `context`
/// outlives the model.
std::unique_ptr<TlbDut> make_tlb_dut(RtlContext& context, unsigned entries, unsigned ways,
                                     const std::string& name);

}  // namespace shootdown::cosim

#endif
