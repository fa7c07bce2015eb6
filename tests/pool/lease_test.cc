// lease(): the object goes back on every way out of the scope.
#include "tests/pool/pool_support.hpp"

#include <stdexcept>
#include <type_traits>

namespace tricolor::tests {
namespace {

using Lease = sync::Pool<Item>::Lease;
static_assert(!std::is_copy_constructible_v<Lease>);
static_assert(std::is_nothrow_move_constructible_v<Lease>);

TEST_CASE("lease: the object goes back at the end of the scope") {
  const GcPercent off(-1);
  sync::Pool<Item> pool([] { return gc::make<Item>(1); });
  Item* leased = nullptr;
  {
    auto lease = pool.lease();
    leased = lease.get();
    CHECK(lease->key == 1);
    CHECK((*lease).key == 1);
    CHECK(static_cast<bool>(lease));
  }
  CHECK(pool.get() == leased);
}

TEST_CASE("lease: the object goes back when an exception leaves the scope") {
  const GcPercent off(-1);
  sync::Pool<Item> pool([] { return gc::make<Item>(1); });
  Item* leased = nullptr;
  try {
    auto lease = pool.lease();
    leased = lease.get();
    throw std::runtime_error("out");
  } catch (const std::runtime_error&) {
  }
  CHECK(pool.get() == leased);
}

TEST_CASE("lease: an empty pool without new_fn gives an empty lease") {
  sync::Pool<Item> pool;
  {
    auto lease = pool.lease();
    CHECK_FALSE(static_cast<bool>(lease));
    CHECK(lease.get() == nullptr);
  }
  CHECK(pool.stats().puts == 0);
}

TEST_CASE("lease: one that was moved from does nothing") {
  const GcPercent off(-1);
  sync::Pool<Item> pool([] { return gc::make<Item>(1); });
  {
    auto first = pool.lease();
    Item* const leased = first.get();
    auto second = std::move(first);
    CHECK(second.get() == leased);
    CHECK(first.get() == nullptr);  // NOLINT(bugprone-use-after-move)
  }
  CHECK(pool.stats().puts == 1);
}

TEST_CASE("lease: assignment puts back what was held before") {
  const GcPercent off(-1);
  sync::Pool<Item> pool([] { return gc::make<Item>(1); });
  auto first = pool.lease();
  auto second = pool.lease();
  Item* const held = second.get();
  first = std::move(second);
  CHECK(pool.stats().puts == 1);
  CHECK(first.get() == held);
}

TEST_CASE("lease: reset puts back at once, and only once") {
  const GcPercent off(-1);
  sync::Pool<Item> pool([] { return gc::make<Item>(1); });
  {
    auto lease = pool.lease();
    lease.reset();
    CHECK(pool.stats().puts == 1);
    CHECK(lease.get() == nullptr);
  }
  CHECK(pool.stats().puts == 1);
}

TEST_CASE("lease: what is released does not go back") {
  sync::Pool<Item> pool([] { return gc::make<Item>(1); });
  {
    auto lease = pool.lease();
    CHECK(lease.release()->key == 1);
  }
  CHECK(pool.stats().puts == 0);
}

TEST_CASE("lease: the object stays alive while it is leased") {
  sync::Pool<Node> pool([] { return gc::make<Node>(5); });
  auto lease = pool.lease();
  lease->left = gc::make<Node>(6);
  shake();
  CHECK(lease->intact());
  CHECK(lease->left->intact());
}

TEST_CASE("lease: a StaticPool leases as well") {
  sync::StaticPool<Item, 2> pool;
  {
    auto a = pool.lease();
    auto b = pool.lease();
    auto none = pool.lease();
    CHECK(a.get() != b.get());
    CHECK_FALSE(static_cast<bool>(none));
  }
  CHECK(pool.available() == 2);
}

}  // namespace
}  // namespace tricolor::tests
