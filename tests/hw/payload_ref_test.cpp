// arch::PayloadRef: what every checker's filter rests on.
#include "hw/arch/payload_ref.h"

#include <gtest/gtest.h>

#include <string>

namespace shootdown::arch {
namespace {

struct A {
  int value{};
};
struct B {
  int value{};
};
struct C {
  int value{};
};
struct D {
  int value{};
};

using First = PayloadRef<A, B>;
using Second = PayloadRef<C, D>;
using Join = JoinedPayloads<First, Second>;

template <class Kind>
void expect_only(const Join::Joined& joined, const Kind& payload, std::size_t index) {
  EXPECT_EQ(joined.index(), index);
  EXPECT_EQ(joined.get<A>() != nullptr, index == 0);
  EXPECT_EQ(joined.get<B>() != nullptr, index == 1);
  EXPECT_EQ(joined.get<C>() != nullptr, index == 2);
  EXPECT_EQ(joined.get<D>() != nullptr, index == 3);
  EXPECT_EQ(joined.get<Kind>(), &payload) << "refers, does not copy";
  unsigned visited = 0;
  joined.visit([&](const auto& seen) {
    ++visited;
    EXPECT_EQ(static_cast<const void*>(&seen), &payload);
    EXPECT_TRUE((std::is_same_v<decltype(seen), const Kind&>));
  });
  EXPECT_EQ(visited, 1U);
}

TEST(PayloadRefTest, FirstLastAndJoinedKindsKeepTheirPlaceAndType) {
  const A a{1};
  const B b{2};
  const C c{3};
  const D d{4};
  expect_only(Join::join(First(a)), a, 0);
  expect_only(Join::join(First(b)), b, 1);
  expect_only(Join::join(Second(c)), c, 2);
  expect_only(Join::join(Second(d)), d, 3);
}

TEST(PayloadRefTest, TheIndexOfAKindIsItsPlaceInTheList) {
  static_assert(First::index_of<A>() == 0 && First::index_of<B>() == 1);
  static_assert(First::index_of<C>() == First::kKinds);
  static_assert(Join::Joined::kKinds == 4 && Join::Joined::index_of<D>() == 3);
}

}  // namespace
}  // namespace shootdown::arch
