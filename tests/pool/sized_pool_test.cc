// sync::SizedPool: buckets, and what put refuses.
#include "tests/pool/pool_support.hpp"

#include <cstring>
#include <stdexcept>
#include <string>

namespace tricolor::tests {
namespace {

using Buffer = sync::SizedPool::Buffer;

// What the error of `f` says; empty if there is none.
template <class Error, class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

bool contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("sized pool: get rounds up to the bucket") {
  sync::SizedPool pool(64, 4096);
  CHECK(pool.get(0).size() == 64);
  CHECK(pool.get(1).size() == 64);
  CHECK(pool.get(64).size() == 64);
  CHECK(pool.get(65).size() == 128);
  CHECK(pool.get(1000).size() == 1024);
  CHECK(pool.get(4096).size() == 4096);
}

TEST_CASE("sized pool: the bounds are rounded up to powers of two") {
  sync::SizedPool pool(100, 1000);
  CHECK(pool.min_size() == 128);
  CHECK(pool.max_size() == 1024);
  CHECK(pool.get(1024).size() == 1024);
}

TEST_CASE("sized pool: a fresh buffer is zero, and writable to its last byte") {
  sync::SizedPool pool;
  const Buffer buffer = pool.get(3000);
  bool zero = true;
  for (const std::byte b : buffer) zero = zero && b == std::byte{0};
  CHECK(zero);
  std::memset(buffer.data(), 0xff, buffer.size());
  runtime::collect();
  CHECK(buffer.back() == std::byte{0xff});
}

TEST_CASE("sized pool: a buffer comes back from its own bucket, and from no other") {
  const GcPercent off(-1);
  sync::SizedPool pool;
  const Buffer buffer = pool.get(1000);
  pool.put(buffer);
  CHECK(pool.get(2000).data() != buffer.data());
  CHECK(pool.get(100).data() != buffer.data());
  CHECK(pool.get(600).data() == buffer.data());
}

TEST_CASE("sized pool: above the largest bucket get throws, and says what is possible") {
  sync::SizedPool pool(64, 4096);
  const std::string error = error_of<std::length_error>([&] { static_cast<void>(pool.get(4097)); });
  CHECK(contains(error, "4097"));
  CHECK(contains(error, "from 64 to 4096"));
}

TEST_CASE("sized pool: bounds that make no sense are refused") {
  CHECK(contains(error_of<std::invalid_argument>([] { sync::SizedPool pool(0, 64); }),
                 "1 <= smallest"));
  CHECK(contains(error_of<std::invalid_argument>([] { sync::SizedPool pool(128, 64); }),
                 "from 128 to 64"));
  CHECK_THROWS_AS(sync::SizedPool(64, std::size_t{1} << 41), std::invalid_argument);
}

TEST_CASE("sized pool: put refuses a part of a buffer") {
  sync::SizedPool pool(64, 4096);
  const Buffer buffer = pool.get(1024);
  CHECK(contains(error_of<std::invalid_argument>([&] { pool.put(buffer.first(512)); }), "1024"));
  CHECK(contains(error_of<std::invalid_argument>([&] { pool.put(buffer.subspan(64, 64)); }),
                 "beginning"));
}

TEST_CASE("sized pool: put refuses a size that is no bucket's") {
  sync::SizedPool pool(64, 4096);
  const Buffer buffer = pool.get(1024);
  CHECK(contains(error_of<std::invalid_argument>([&] { pool.put(buffer.first(1000)); }), "1000"));
  CHECK_THROWS_AS(pool.put(Buffer(buffer.data(), 8192)), std::invalid_argument);
  CHECK_THROWS_AS(pool.put(Buffer(buffer.data(), 32)), std::invalid_argument);
  CHECK_THROWS_AS(pool.put(buffer.first(0)), std::invalid_argument);
}

TEST_CASE("sized pool: put refuses memory that is not a buffer's") {
  sync::SizedPool pool(64, 4096);
  std::array<std::byte, 64> local{};
  CHECK(contains(error_of<std::invalid_argument>([&] { pool.put(Buffer(local)); }), "collected"));
  auto* const other = gc::make<std::array<gc::ptr<Item>, 8>>();
  CHECK_THROWS_AS(pool.put(reinterpret_cast<std::byte*>(other), 64), std::invalid_argument);
}

TEST_CASE("sized pool: putting an empty buffer does nothing") {
  sync::SizedPool pool;
  pool.put(Buffer{});
  CHECK(pool.stats().puts == 0);
}

TEST_CASE("sized pool: a lease goes back at the end of its scope, exceptions included") {
  const GcPercent off(-1);
  sync::SizedPool pool;
  const std::byte* data = nullptr;
  try {
    auto lease = pool.lease(500);
    CHECK(lease.size() == 512);
    data = lease.data();
    throw std::runtime_error("out");
  } catch (const std::runtime_error&) {
  }
  CHECK(pool.get(500).data() == data);
}

TEST_CASE("sized pool: the counters are those of all buckets") {
  const GcPercent off(-1);
  sync::SizedPool pool;
  for (const std::size_t size : {100u, 1000u, 10000u}) pool.put(pool.get(size));
  for (const std::size_t size : {100u, 1000u, 10000u}) pool.put(pool.get(size));
  CHECK(pool.stats().misses == 3);
  CHECK(pool.stats().gets() == 6);
  CHECK(pool.stats().puts == 6);
}

TEST_CASE("sized pool: drain leaves nothing in any bucket") {
  const GcPercent off(-1);
  sync::SizedPool pool;
  pool.put(pool.get(100));
  pool.put(pool.get(1000));
  pool.drain();
  static_cast<void>(pool.get(100));
  static_cast<void>(pool.get(1000));
  CHECK(pool.stats().misses == 4);
}

TEST_CASE("sized pool: threads share the buffers, and no two have the same") {
  sync::SizedPool pool(64, 65536);
  Findings findings;
  on_threads(4, [&](std::size_t t) {
    Random random(t);
    for (std::size_t i = 0; i < scaled(50'000); ++i) {
      auto lease = pool.lease(random.below(20'000));
      const auto mark = static_cast<std::byte>(t + 1);
      lease.get().front() = mark;
      lease.get().back() = mark;
      if (i % 16 == 0) std::this_thread::yield();
      findings.expect(lease.get().front() == mark && lease.get().back() == mark,
                      "a buffer was used by two");
    }
  });
  CHECK(findings.count() == 0);
}

}  // namespace
}  // namespace tricolor::tests
