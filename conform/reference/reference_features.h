// The identification registers, by name. Source: Arm IHI 0070, section 6.3.1 to 6.3.6 and 6.3.10.
#ifndef SHOOTDOWN_CONFORM_REFERENCE_REFERENCE_FEATURES_H
#define SHOOTDOWN_CONFORM_REFERENCE_REFERENCE_FEATURES_H

#include <cstdint>

#include "conform/reference/reference_smmu.h"

namespace shootdown::conform::reference {

struct Features {
  explicit Features(const Identification& id);

  // IDR0
  bool stage1, stage2;
  bool aarch32_tables, aarch64_tables;
  unsigned httu;  ///< 0 none, 1 access flag, 2 access flag and dirty state
  bool hyp;
  bool ats, ns1ats;
  bool asid16, vmid16;
  bool cd2l;
  unsigned ttendian;     ///< 0 both, 2 little only, 3 big only
  unsigned stall_model;  ///< kStallAndTerminate and so on
  bool term_model;       ///< terminates by abort only
  bool two_level_streams;

  // IDR1
  unsigned sid_size, ssid_size;
  bool attr_perms_ovr;

  // IDR3
  bool had, xnx, fwb, stt, e0pd;

  // IDR5
  unsigned oas_bits;
  bool granule_4k, granule_16k, granule_64k;
  bool va_52;

  bool v3_0;  ///< AIDR: SMMUv3.0, where some fields are narrower

  /// The largest intermediate address (section 3.4).
  unsigned ias_bits() const;
  /// Of an IPS or S2PS field: the effective size, capped to the OAS (section 5.4, CD.IPS).
  unsigned output_bits(unsigned encoded) const;
  bool granule(unsigned shift) const;
};

/// IDR0.STALL_MODEL.
inline constexpr unsigned kStallAndTerminate = 0;
inline constexpr unsigned kTerminateOnly = 1;
inline constexpr unsigned kStallOnly = 2;

}  // namespace shootdown::conform::reference

#endif
