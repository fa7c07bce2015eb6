// PoolOptions::clear: nobody sees another's state, and a pooled object keeps nothing alive.
#include "tests/pool/pool_support.hpp"

#include <stdexcept>
#include <string>

namespace tricolor::tests {
namespace {

struct Request {
  std::uint64_t user = 0;
  gc::ptr<Node> body;
  std::array<char, 40> name{};
};

TEST_CASE("pool clear: an object is T() as it is put") {
  const GcPercent off(-1);
  sync::Pool<Request> pool({.clear = true});
  Request* const request = gc::make<Request>();
  request->user = 7;
  request->body = gc::make<Node>(7);
  request->name.fill('x');
  pool.put(request);
  Request* const again = pool.get();
  CHECK(again == request);
  CHECK(again->user == 0);
  CHECK(again->body == nullptr);
  CHECK(again->name[39] == 0);
}

TEST_CASE("pool clear: what the object held goes while it lies in the pool") {
  sync::Pool<Request> pool({.clear = true});
  Census census;
  on_fresh_thread([&] {
    for (std::uint64_t i = 0; i < 100; ++i) {
      Request* const request = gc::make<Request>();
      request->body = gc::make<Node>(i);
      census.add(request->body.get());
      pool.put(request);
    }
  });
  collect_all();
  CHECK(census.reclaimed());
}

TEST_CASE("pool clear: types with destructors, functions, and what cannot be cleared") {
  const GcPercent off(-1);
  struct Parser {
    std::string text;
  };
  sync::Pool<Parser> pool({.clear = true});
  Parser* const parser = gc::make<Parser>();
  parser->text.assign(1000, 'x');
  pool.put(parser);
  CHECK(parser == pool.get());
  CHECK(parser->text.empty());
  sync::Pool<Parser> own({.clear = [](Parser& p) { p.text.clear(); }});
  parser->text.assign(1000, 'x');
  own.put(parser);
  CHECK(own.get()->text.capacity() >= 1000);
  struct NoDefault {
    explicit NoDefault(int) {}
  };
  CHECK_THROWS_AS(sync::Pool<NoDefault>({.clear = true}), std::invalid_argument);
  sync::Pool<NoDefault> with_function({.clear = [](NoDefault&) {}});
  with_function.put(gc::make<NoDefault>(1));
  CHECK(with_function.get() != nullptr);
}

TEST_CASE("pool clear: none of four threads ever sees another's state") {
  sync::Pool<Request> pool({.new_fn = [] { return gc::make<Request>(); }, .clear = true});
  const CollectingThread collecting;
  Findings findings;
  on_threads(4, [&](std::size_t t) {
    for (std::size_t i = 0; i < scaled(50'000); ++i) {
      auto request = pool.lease();
      findings.expect(request->user == 0 && request->body == nullptr && request->name[0] == 0,
                      "another's state was seen");
      request->user = t + 1;
      request->name.fill(static_cast<char>('a' + t));
      if (i % 64 == 0) request->body = gc::make<Node>(i);
      if (i % 16 == 0) std::this_thread::yield();
      findings.expect(request->user == t + 1 && request->name[39] == static_cast<char>('a' + t),
                      "another has written");
    }
  });
  CHECK(findings.first() == "");
}

}  // namespace
}  // namespace tricolor::tests
