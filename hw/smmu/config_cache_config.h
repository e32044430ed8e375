// Parameters of the configuration caches.
#ifndef SHOOTDOWN_HW_SMMU_CONFIG_CACHE_CONFIG_H
#define SHOOTDOWN_HW_SMMU_CONFIG_CACHE_CONFIG_H

namespace shootdown::hw {

struct CacheGeometry {
  unsigned entries{16};
  unsigned ways{};  ///< divides the entries; 0: fully associative
};

struct ConfigCacheConfig {
  CacheGeometry ste{.entries = 16};
  CacheGeometry cd{.entries = 16};
  CacheGeometry l1{.entries = 4};  ///< first-level descriptors, of each kind
  /// Structures that turned out to be illegal are cached too, as the architecture permits.
  bool cache_illegal{true};
};

}  // namespace shootdown::hw

#endif
