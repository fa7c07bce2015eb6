// sync::defer: when, in which order, and how often.
#include "tests/pool/pool_support.hpp"

#include <memory>
#include <stdexcept>
#include <string>

namespace tricolor::tests {
namespace {

TEST_CASE("defer: runs at the end of the scope, not before") {
  int runs = 0;
  {
    auto d = sync::defer([&] { ++runs; });
    CHECK(runs == 0);
  }
  CHECK(runs == 1);
}

TEST_CASE("defer: several run last-in first-out") {
  std::string order;
  {
    auto a = sync::defer([&] { order += 'a'; });
    auto b = sync::defer([&] { order += 'b'; });
    auto c = sync::defer([&] { order += 'c'; });
  }
  CHECK(order == "cba");
}

TEST_CASE("defer: runs when an exception leaves the scope") {
  int runs = 0;
  try {
    auto d = sync::defer([&] { ++runs; });
    throw std::runtime_error("out");
  } catch (const std::runtime_error&) {
    CHECK(runs == 1);
  }
  CHECK(runs == 1);
}

TEST_CASE("defer: a cancelled one does not run") {
  int runs = 0;
  {
    auto d = sync::defer([&] { ++runs; });
    d.cancel();
  }
  CHECK(runs == 0);
}

TEST_CASE("defer: run_now runs it once") {
  int runs = 0;
  {
    auto d = sync::defer([&] { ++runs; });
    d.run_now();
    CHECK(runs == 1);
  }
  CHECK(runs == 1);
}

TEST_CASE("defer: one that was moved from does not run") {
  int runs = 0;
  {
    auto a = sync::defer([&] { ++runs; });
    auto b = std::move(a);
  }
  CHECK(runs == 1);
}

TEST_CASE("defer: takes a callable that can only be moved") {
  int seen = 0;
  {
    auto d = sync::defer([&seen, value = std::make_unique<int>(4)] { seen = *value; });
  }
  CHECK(seen == 4);
}

TEST_CASE("defer: what it holds by raw reference stays alive") {
  std::uint64_t key = 0;
  {
    Node* const node = gc::make<Node>(21);
    auto d = sync::defer([&key, node] { key = node->intact() ? node->key : 0; });
    shake();
  }
  CHECK(key == 21);
}

}  // namespace
}  // namespace tricolor::tests
