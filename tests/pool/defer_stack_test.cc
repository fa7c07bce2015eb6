// sync::DeferStack and sync::with_defer: the table of docs/defer.md, a test case a line.
#include "tests/pool/pool_support.hpp"

#include <memory>
#include <stdexcept>
#include <string>

#include <tricolor/sync.hpp>

namespace tricolor::tests {
namespace {

std::string message_of(const std::exception_ptr& e) {
  try {
    if (e) std::rethrow_exception(e);
  } catch (const std::exception& error) {
    return error.what();
  }
  return "none";
}

template <class F>
std::string thrown_by(F&& f) {
  try {
    f();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "none";
}

TEST_CASE("defer stack 1: arguments are kept as they are at the push") {
  std::string seen;
  {
    sync::DeferStack d;
    std::string name = "before";
    int number = 1;
    d.push([&seen](const std::string& s, int n) { seen = s + std::to_string(n); }, name, number);
    name = "after";
    number = 2;
  }
  CHECK(seen == "before1");
  int counted = 0;
  {
    int counter = 1;
    sync::DeferStack d;
    d.push([&counted](int& c) { counted = ++c; }, std::ref(counter));
    counter = 10;
  }
  CHECK(counted == 11);
}

TEST_CASE("defer stack 2: a capture by reference sees what is there when it runs") {
  int seen = 0;
  {
    int value = 1;
    sync::DeferStack d;
    d.push([&] { seen = value; });
    value = 2;
  }
  CHECK(seen == 2);
}

TEST_CASE("defer stack 3: last in, first out") {
  std::string order;
  {
    sync::DeferStack d;
    for (char c = 'a'; c <= 'e'; ++c) d.push([&order](char x) { order += x; }, c);
    CHECK(d.size() == 5);
  }
  CHECK(order == "edcba");
}

TEST_CASE("defer stack 4: in a loop, one an iteration, all at the end of the scope") {
  constexpr std::size_t kMany = 10'000;
  std::vector<std::size_t> order;
  {
    sync::DeferStack d;
    for (std::size_t i = 0; i < kMany; ++i)
      d.push([&order](std::size_t x) { order.push_back(x); }, i);
    CHECK(order.empty());
  }
  REQUIRE(order.size() == kMany);
  for (std::size_t i = 0; i < kMany; ++i) REQUIRE(order[i] == kMany - 1 - i);
}

int leaves_early(int way, int& runs) {
  sync::DeferStack d;
  d.push([&runs] { ++runs; });
  if (way == 0) return 0;
  for (;;) {
    if (way == 1) return 1;
  }
}

TEST_CASE("defer stack 5: runs on every way out") {
  int runs = 0;
  CHECK(leaves_early(0, runs) == 0);
  CHECK(leaves_early(1, runs) == 1);
  CHECK(runs == 2);
}

TEST_CASE("defer stack 6: runs while an exception leaves the scope") {
  std::string order;
  const std::string error = thrown_by([&] {
    sync::DeferStack d;
    d.push([&] { order += "1"; });
    d.push([&] { order += "2"; });
    throw std::runtime_error("out");
  });
  CHECK(order == "21");
  CHECK(error == "out");
}

TEST_CASE("defer stack 7: a deferred call changes the result") {
  const int doubled = sync::with_defer([](sync::DeferStack& d) -> int {
    d.push([&d] { d.result<int>() *= 2; });
    return 21;
  });
  CHECK(doubled == 42);
  const auto owned = sync::with_defer([](sync::DeferStack& d) -> std::unique_ptr<int> {
    d.push([&d] { *d.result<std::unique_ptr<int>>() += 1; });
    return std::make_unique<int>(1);
  });
  CHECK(*owned == 2);
}

TEST_CASE("defer stack 7: the result of another type is refused") {
  CHECK_THROWS_AS(sync::with_defer([](sync::DeferStack& d) -> int {
                    static_cast<void>(d.result<long>());
                    return 1;
                  }),
                  std::logic_error);
  sync::DeferStack plain;
  CHECK_THROWS_AS(static_cast<void>(plain.result<int>()), std::logic_error);
}

TEST_CASE("defer stack 8: recover takes the exception; the function returns R{} or what was set") {
  std::string caught;
  const int plain = sync::with_defer([&](sync::DeferStack& d) -> int {
    d.push([&] { caught = message_of(d.recover()); });
    throw std::runtime_error("broken");
  });
  CHECK(plain == 0);
  CHECK(caught == "broken");
  const int changed = sync::with_defer([](sync::DeferStack& d) -> int {
    d.push([&d] {
      if (d.recover()) d.result<int>() = -1;
    });
    throw 5;
  });
  CHECK(changed == -1);
  const int set_before = sync::with_defer([](sync::DeferStack& d) -> int {
    d.push([&d] { d.recover(); });
    d.result<int>() = 7;
    throw 5;
  });
  CHECK(set_before == 7);
  bool ran = false;
  sync::with_defer([&](sync::DeferStack& d) {
    d.push([&] { ran = d.recover() != nullptr; });
    throw std::runtime_error("void");
  });
  CHECK(ran);
}

TEST_CASE("defer stack 8: an exception that nobody recovers leaves with_defer") {
  int runs = 0;
  CHECK(thrown_by([&] {
          sync::with_defer([&](sync::DeferStack& d) -> int {
            d.push([&] { ++runs; });
            throw std::runtime_error("kept");
          });
        }) == "kept");
  CHECK(runs == 1);
}

TEST_CASE(
    "defer stack 9: recover without an exception, or outside of a deferred call, gives null") {
  bool in_body = true, in_call = true;
  sync::with_defer([&](sync::DeferStack& d) {
    in_body = d.recover() != nullptr;
    d.push([&] { in_call = d.recover() != nullptr; });
  });
  CHECK_FALSE(in_body);
  CHECK_FALSE(in_call);
}

TEST_CASE("defer stack 9: recover on a stack that cannot is an error that says so") {
  sync::DeferStack d;
  CHECK_THROWS_AS(d.recover(), std::logic_error);
  CHECK(thrown_by([] {
          sync::DeferStack inner;
          inner.push([&inner] { inner.recover(); });
        }).find("with_defer") != std::string::npos);
}

TEST_CASE("defer stack 10: after a recovery the other calls run") {
  std::string order;
  sync::with_defer([&](sync::DeferStack& d) {
    d.push([&] { order += "a"; });
    d.push([&] {
      order += "r";
      d.recover();
    });
    d.push([&] { order += "b"; });
    throw std::runtime_error("x");
  });
  CHECK(order == "bra");
}

TEST_CASE("defer stack 11: an exception in a deferred call replaces the one before") {
  std::string order;
  const std::string error = thrown_by([&] {
    sync::with_defer([&](sync::DeferStack& d) {
      d.push([&] { order += "1"; });
      d.push([] { throw std::runtime_error("second"); });
      d.push([&] { order += "2"; });
      throw std::runtime_error("first");
    });
  });
  CHECK(error == "second");
  CHECK(order == "21");
  CHECK(thrown_by([&] {
          sync::DeferStack d;  // without with_defer too, while no exception is on its way
          d.push([&] { order += "3"; });
          d.push([] { throw std::runtime_error("alone"); });
        }) == "alone");
  CHECK(order == "213");
}

TEST_CASE("defer stack 12: the second recover gives null") {
  std::string seen;
  sync::with_defer([&](sync::DeferStack& d) {
    d.push([&] { seen += message_of(d.recover()); });
    d.push([&] { seen += message_of(d.recover()) + "-"; });
    throw std::runtime_error("once");
  });
  CHECK(seen == "once-none");
}

TEST_CASE("defer stack 13: a deferred call has deferred calls of its own") {
  std::string order;
  const int result = sync::with_defer([&](sync::DeferStack& outer) -> int {
    outer.push([&] {
      sync::with_defer([&](sync::DeferStack& inner) {
        inner.push([&] { order += message_of(inner.recover()); });
        throw std::runtime_error("inner");
      });
    });
    return 3;
  });
  CHECK(result == 3);
  CHECK(order == "inner");
}

TEST_CASE("defer stack 13: a deferred call may push, and that runs next") {
  std::string order;
  {
    sync::DeferStack d;
    d.push([&] { order += "1"; });
    d.push([&] {
      order += "2";
      d.push([&] { order += "3"; });
      d.push([&](std::string s) { order += s; }, std::string(100, 'x'));
    });
  }
  CHECK(order == "2" + std::string(100, 'x') + "31");
}

TEST_CASE("defer stack 14: recover takes only the exception of its own function") {
  bool inner_found = true;
  const std::string error = thrown_by([&] {
    sync::with_defer([&](sync::DeferStack& outer) {
      outer.push([&] {
        sync::with_defer([&](sync::DeferStack& inner) {
          inner.push([&] { inner_found = inner.recover() != nullptr; });
        });
      });
      throw std::runtime_error("outer");
    });
  });
  CHECK_FALSE(inner_found);
  CHECK(error == "outer");
}

TEST_CASE("defer stack 15: what was recovered may be thrown again") {
  CHECK(thrown_by([] {
          sync::with_defer([](sync::DeferStack& d) {
            d.push([&d] {
              if (auto e = d.recover()) std::rethrow_exception(e);
            });
            throw std::runtime_error("again");
          });
        }) == "again");
}

TEST_CASE("defer stack 16: cancel drops the calls and destroys what they hold; run does them now") {
  auto held = std::make_shared<int>(1);
  int runs = 0;
  {
    sync::DeferStack d;
    d.push([held, &runs] { ++runs; });
    CHECK(held.use_count() == 2);
    d.cancel();
    CHECK(held.use_count() == 1);
    CHECK(d.empty());
    d.push([&runs] { runs += 10; });
    d.run();
    CHECK(runs == 10);
    CHECK(d.empty());
  }
  CHECK(runs == 10);
}

TEST_CASE("defer stack 16: run within a deferred call does what is left") {
  std::string order;
  {
    sync::DeferStack d;
    d.push([&] { order += "1"; });
    d.push([&] {
      d.run();
      d.push([&] { order += "3"; });
      order += "2";
    });
  }
  CHECK(order == "123");
}

TEST_CASE("defer stack: a copy that throws is not pushed") {
  struct Copied {
    Copied() = default;
    Copied(const Copied&) { throw std::runtime_error("copy"); }
    void operator()() const {}
  };
  int runs = 0;
  {
    sync::DeferStack d;
    d.push([&] { ++runs; });
    const Copied bad;
    CHECK_THROWS_AS(d.push(bad), std::runtime_error);
    CHECK(d.size() == 1);
  }
  CHECK(runs == 1);
}

TEST_CASE("defer stack: takes what can only be moved, and methods") {
  struct Counter {
    int count = 0;
    void add(int n) { count += n; }
  } counter;
  int moved = 0;
  {
    sync::DeferStack d;
    d.push([&moved](std::unique_ptr<int> p) { moved = *p; }, std::make_unique<int>(8));
    d.push([p = std::make_unique<int>(4), &counter] { counter.add(*p); });
    d.push(&Counter::add, &counter, 3);
  }
  CHECK(moved == 8);
  CHECK(counter.count == 7);
}

TEST_CASE("defer stack: the collected objects of pending calls stay alive") {
  const std::size_t count = scaled(20'000);
  std::size_t whole = 0;
  {
    const CollectingThread collecting;
    sync::DeferStack d;
    for (std::size_t i = 0; i < count; ++i) {
      d.push([&whole](Node* node, std::size_t key) { whole += node->intact() && node->key == key; },
             gc::make<Node>(i), i);
      if (i % 512 == 0) churn(200);
    }
    churn(scaled(20'000));
  }
  CHECK(whole == count);
}

TEST_CASE("defer stack: what has run keeps nothing alive") {
  Census census;
  on_fresh_thread([&] {
    {
      sync::DeferStack d;
      for (std::size_t i = 0; i < 1000; ++i) {
        Node* const node = gc::make<Node>(i);
        census.add(node);
        d.push([](Node*) {}, node);
      }
    }
  });
  collect_all();
  CHECK(census.reclaimed());
}

}  // namespace
}  // namespace tricolor::tests
