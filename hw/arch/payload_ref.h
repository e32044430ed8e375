// A reference to one of several kinds of payload: what a publisher hands to its listeners without
// copying it.
//
// A std::variant would be copied two or three times on the way from a model to a checker, and each
// copy waits for the stores of the one before.
#ifndef SHOOTDOWN_HW_ARCH_PAYLOAD_REF_H
#define SHOOTDOWN_HW_ARCH_PAYLOAD_REF_H

#include <array>
#include <cstddef>
#include <string_view>
#include <type_traits>

namespace shootdown::arch {

template <class Kind, class... Kinds>
inline constexpr unsigned kOccurrences = (unsigned{std::is_same_v<Kind, Kinds>} + ...);

template <class... Kinds>
class PayloadRef {
 public:
  static constexpr std::size_t kKinds = sizeof...(Kinds);
  static_assert(((kOccurrences<Kinds, Kinds...> == 1) && ...), "each kind once");

  /// The place of a kind in the list; kKinds if it is not there.
  template <class Kind>
  static constexpr std::size_t index_of() {
    constexpr std::array<bool, kKinds> kSame{std::is_same_v<Kind, Kinds>...};
    std::size_t index = 0;
    while (index < kKinds && !kSame[index]) ++index;
    return index;
  }

  /// Refers to `payload`, which has to outlive the reference: pass it down a call, do not keep it.
  template <class Kind>
  requires(std::is_same_v<Kind, Kinds> || ...) PayloadRef(const Kind& payload)
      : payload_(&payload), index_(index_of<Kind>()) {}

  /// kName of each kind, in the order of the list.
  static constexpr std::array<std::string_view, kKinds> names() { return {Kinds::kName...}; }

  std::size_t index() const { return index_; }
  /// The payload if it is of this kind, else null.
  template <class Kind>
  const Kind* get() const {
    static_assert(index_of<Kind>() < kKinds);
    return index_ == index_of<Kind>() ? static_cast<const Kind*>(payload_) : nullptr;
  }
  /// Calls `visitor` with the payload, by its own type.
  template <class Visitor>
  void visit(Visitor&& visitor) const {
    // A chain of comparisons of one number with constants: the compiler makes a jump table of it.
    static_cast<void>(
        ((index_ == index_of<Kinds>() && (visitor(*static_cast<const Kinds*>(payload_)), true)) ||
         ...));
  }

 private:
  template <class... Others>
  friend class PayloadRef;
  template <class First, class Second>
  friend struct JoinedPayloads;
  PayloadRef(const void* payload, std::size_t index) : payload_(payload), index_(index) {}

  const void* payload_;
  std::size_t index_;
};

/// The kinds of `First`, then those of `Second`; made from a reference of either.
template <class First, class Second>
struct JoinedPayloads;
template <class... A, class... B>
struct JoinedPayloads<PayloadRef<A...>, PayloadRef<B...>> {
  using Joined = PayloadRef<A..., B...>;
  static Joined join(const PayloadRef<A...>& first) { return {first.payload_, first.index_}; }
  static Joined join(const PayloadRef<B...>& second) {
    return {second.payload_, sizeof...(A) + second.index_};
  }
};

}  // namespace shootdown::arch

#endif
