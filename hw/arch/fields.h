// Structs that know their fields: each member is named once, and whoever prints or compares an
// event sees all of them.
//
//   struct WalkEnd {
//     SHOOTDOWN_FIELDS((std::uint64_t, access_id), (FaultKind, fault));
//   };
//
// declares the members, zero unless initialised, and fields(visitor), which calls
// visitor("access_id", access_id) and so on, in that order. Members keep their own comments: put
// them above their pair. A macro, because C++20 has no other way to say a name once; the struct
// stays an aggregate.
#ifndef SHOOTDOWN_HW_ARCH_FIELDS_H
#define SHOOTDOWN_HW_ARCH_FIELDS_H

#define SHOOTDOWN_FIELDS(...)                                       \
  SHOOTDOWN_FIELDS_EACH(SHOOTDOWN_FIELDS_MEMBER, __VA_ARGS__)       \
  template <class Visitor>                                          \
  constexpr void fields([[maybe_unused]] Visitor&& visitor) const { \
    SHOOTDOWN_FIELDS_EACH(SHOOTDOWN_FIELDS_VISIT, __VA_ARGS__)      \
  }                                                                 \
  static_assert(true, "takes the semicolon")

#define SHOOTDOWN_FIELDS_MEMBER(type, name) type name{};
#define SHOOTDOWN_FIELDS_VISIT(type, name) visitor(#name, name);

// Applies `macro` to each pair of a list of up to 64.
#define SHOOTDOWN_FIELDS_PARENTHESES ()
#define SHOOTDOWN_FIELDS_EXPAND(...) \
  SHOOTDOWN_FIELDS_EXPAND2(SHOOTDOWN_FIELDS_EXPAND2(SHOOTDOWN_FIELDS_EXPAND2(__VA_ARGS__)))
#define SHOOTDOWN_FIELDS_EXPAND2(...) \
  SHOOTDOWN_FIELDS_EXPAND1(SHOOTDOWN_FIELDS_EXPAND1(SHOOTDOWN_FIELDS_EXPAND1(__VA_ARGS__)))
#define SHOOTDOWN_FIELDS_EXPAND1(...) __VA_ARGS__
#define SHOOTDOWN_FIELDS_EACH(macro, ...) \
  __VA_OPT__(SHOOTDOWN_FIELDS_EXPAND(SHOOTDOWN_FIELDS_STEP(macro, __VA_ARGS__)))
#define SHOOTDOWN_FIELDS_STEP(macro, pair, ...) \
  macro pair __VA_OPT__(SHOOTDOWN_FIELDS_AGAIN SHOOTDOWN_FIELDS_PARENTHESES(macro, __VA_ARGS__))
#define SHOOTDOWN_FIELDS_AGAIN() SHOOTDOWN_FIELDS_STEP

#endif
