// ASIDs and VMIDs: the lowest free number of a range (xa_alloc(), ida_alloc_range()).
#ifndef SHOOTDOWN_SW_SMMU_ID_ALLOCATOR_H
#define SHOOTDOWN_SW_SMMU_ID_ALLOCATOR_H

#include <cstdint>
#include <map>
#include <optional>

namespace shootdown::sw::smmu {

struct Domain;

class IdAllocator {
 public:
  explicit IdAllocator(std::uint32_t first) : first_(first) {}

  void set_bits(unsigned bits) { last_ = (std::uint32_t{1} << bits) - 1; }
  /// Numbers below `first` are not handed out any more.
  void set_first(std::uint32_t first) { first_ = first; }
  std::uint32_t first() const { return first_; }

  /// Nothing if none is left. `owner` is the domain that could
  /// be moved to another number; null: nobody.
  std::optional<std::uint16_t> allocate(Domain* owner) {
    std::uint32_t id = first_;
    while (used_.contains(static_cast<std::uint16_t>(id))) ++id;
    if (id > last_) return std::nullopt;
    used_[static_cast<std::uint16_t>(id)] = owner;
    return static_cast<std::uint16_t>(id);
  }
  /// Takes a number that is not in use (xa_insert()).
  void insert(std::uint16_t id, Domain* owner) { used_[id] = owner; }
  void free(std::uint16_t id) { used_.erase(id); }
  bool contains(std::uint16_t id) const { return used_.contains(id); }
  Domain* owner(std::uint16_t id) const {
    const auto found = used_.find(id);
    return found == used_.end() ? nullptr : found->second;
  }

 private:
  std::uint32_t first_;
  std::uint32_t last_{0xffff};
  std::map<std::uint16_t, Domain*> used_;
};

}  // namespace shootdown::sw::smmu

#endif
