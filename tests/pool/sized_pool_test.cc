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
  CHECK(pool.get(64).size() == 64);
  CHECK(pool.get(65).size() == 128);
  CHECK(pool.get(1000).size() == 1024);
  CHECK(pool.get(4096).size() == 4096);
}

TEST_CASE("sized pool: bounds that are no powers of two hold as they are given") {
  sync::SizedPool pool({.min = 100, .max = 1000});
  CHECK(pool.min_size() == 100);
  CHECK(pool.max_size() == 1000);
  CHECK(pool.get(100).size() == 128);
  CHECK(pool.get(1000).size() == 1024);
  CHECK_THROWS_AS(static_cast<void>(pool.get(99)), std::out_of_range);
  CHECK_THROWS_AS(static_cast<void>(pool.get(1001)), std::out_of_range);
}

TEST_CASE("sized pool: sizes outside of the bounds are refused, and the message says which fit") {
  sync::SizedPool pool({.min = 16, .max = 4096});
  for (const std::size_t size : {0u, 8u, 15u, 4097u, 1000000u}) {
    CAPTURE(size);
    const std::string error =
        error_of<std::out_of_range>([&] { static_cast<void>(pool.get(size)); });
    CHECK(contains(error, std::to_string(size).c_str()));
    CHECK(contains(error, "from 16 to 4096"));
    CHECK_THROWS_AS(static_cast<void>(pool.lease(size)), std::out_of_range);
    CHECK_THROWS_AS(static_cast<void>(pool.bucket_size(size)), std::out_of_range);
  }
  CHECK(pool.get(16).size() == 16);
  CHECK(pool.get(4096).size() == 4096);
}

TEST_CASE("sized pool: a buffer takes its bucket's bytes and no more") {
  const GcPercent off(-1);
  sync::SizedPool pool({.min = 16, .max = std::size_t{1} << 20});
  static_cast<void>(pool.get(16));
  for (std::size_t size = 16; size <= pool.max_size(); size *= 2) {
    CAPTURE(size);
    const std::uint64_t first = mem_stats().total_alloc;
    gc::keep_alive(pool.get(size).data());
    const std::uint64_t with_pool = mem_stats().total_alloc;
    gc::keep_alive(pool.get(size).data());
    gc::keep_alive(pool.get(size).data());
    CHECK(mem_stats().total_alloc - with_pool == 2 * size);
    CHECK(with_pool - first >= size);
  }
}

TEST_CASE("sized pool: new_fn makes the buffers, whatever byte it calls them by") {
  const GcPercent off(-1);
  int made = 0;
  sync::SizedPool bytes({.min = 16, .max = 1024, .new_fn = [&made](std::size_t n) {
                           ++made;
                           auto* const buffer = gc::make_array<std::byte>(n);
                           buffer[0] = std::byte{7};
                           return buffer;
                         }});
  const Buffer buffer = bytes.get(100);
  CHECK(buffer.size() == 128);
  CHECK(buffer[0] == std::byte{7});
  bytes.put(buffer);
  CHECK(bytes.get(100).data() == buffer.data());
  CHECK(made == 1);
  sync::SizedPool chars({.new_fn = [](std::size_t n) { return gc::make_array<unsigned char>(n); }});
  CHECK(chars.get(3).size() == 4);
  sync::SizedPool spans(
      {.new_fn = [](std::size_t n) { return Buffer(gc::make_array<std::byte>(n), n); }});
  CHECK(spans.get(5).size() == 8);
}

TEST_CASE("sized pool: a buffer of another size from new_fn is refused") {
  sync::SizedPool small(
      {.min = 16, .max = 64, .new_fn = [](std::size_t) { return gc::make_array<std::byte>(16); }});
  CHECK(small.get(16).size() == 16);
  CHECK(contains(error_of<std::invalid_argument>([&] { static_cast<void>(small.get(64)); }),
                 "gave one of 16"));
  static std::byte fixed[64];
  sync::SizedPool foreign({.min = 16, .max = 64, .new_fn = [](std::size_t) { return fixed; }});
  CHECK_THROWS_AS(static_cast<void>(foreign.get(64)), std::invalid_argument);
  sync::SizedPool none({.new_fn = [](std::size_t) -> std::byte* { return nullptr; }});
  CHECK(none.get(64).empty());
  sync::SizedPool thrower(
      {.new_fn = [](std::size_t) -> std::byte* { throw std::runtime_error("no"); }});
  CHECK_THROWS_AS(static_cast<void>(thrower.get(64)), std::runtime_error);
}

TEST_CASE("sized pool: with clear nobody sees what an earlier user left") {
  const GcPercent off(-1);
  sync::SizedPool pool({.min = 16, .max = 4096, .clear = true});
  for (const std::size_t size : {16u, 100u, 4096u}) {
    const Buffer buffer = pool.get(size);
    std::memset(buffer.data(), 0xff, buffer.size());
    pool.put(buffer);
    const Buffer again = pool.get(size);
    CHECK(again.data() == buffer.data());
    bool zero = true;
    for (const std::byte b : again) zero = zero && b == std::byte{0};
    CHECK(zero);
  }
  std::size_t cleared = 0;
  sync::SizedPool own({.clear = [&cleared](Buffer b) { cleared += b.size(); }});
  own.put(own.get(64));
  CHECK(cleared == 64);
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
  const std::string error = error_of<std::out_of_range>([&] { static_cast<void>(pool.get(4097)); });
  CHECK(contains(error, "4097"));
  CHECK(contains(error, "from 64 to 4096"));
}

TEST_CASE("sized pool: bounds that make no sense are refused") {
  CHECK(contains(error_of<std::invalid_argument>([] { sync::SizedPool pool(0, 64); }), "1 <= min"));
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
  CHECK_THROWS_AS(pool.put(Buffer(buffer.data(), 8192)), std::out_of_range);
  CHECK_THROWS_AS(pool.put(Buffer(buffer.data(), 32)), std::out_of_range);
  CHECK_THROWS_AS(pool.put(buffer.first(0)), std::out_of_range);
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
      auto lease = pool.lease(64 + random.below(20'000));
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
