// gc::add_cleanup: work after an object is gone.
#include "tests/support.hpp"

#include <memory>
#include <stdexcept>
#include <string>

namespace tricolor::tests {
namespace {

TEST_CASE("cleanup: runs once, after the object has gone, not before") {
  std::atomic<int> ran{0}, alive_at_run{0};
  gc::root<Node> kept;
  std::uintptr_t hidden = 0;
  on_fresh_thread([&] {
    kept = gc::make<Node>(1);
    hidden = hide(kept.get());
    gc::add_cleanup(
        kept.get(),
        [&](std::uintptr_t h) {
          ++ran;
          if (gc::is_managed(reveal<void>(h))) ++alive_at_run;
        },
        hidden);
  });
  collect_all();
  collect_all();
  CHECK(ran == 0);
  on_fresh_thread([&] { kept = nullptr; });
  collect_all();
  collect_all();
  CHECK(ran == 1);
}

TEST_CASE("cleanup: many for one object, all run, with their arguments") {
  std::atomic<long> sum{0};
  std::atomic<int> ran{0};
  on_fresh_thread([&] {
    Node* const node = gc::make<Node>(1);
    for (long i = 1; i <= 1000; ++i) {
      gc::add_cleanup(
          node,
          [&](long value) {
            sum += value;
            ++ran;
          },
          i);
    }
  });
  collect_all();
  CHECK(ran == 1000);
  CHECK(sum == 500500);
}

TEST_CASE("cleanup: for many objects") {
  constexpr int kCount = 5000;
  std::atomic<int> ran{0};
  on_fresh_thread([&] {
    for (int i = 0; i < kCount; ++i)
      gc::add_cleanup(
          gc::make<Node>(), [&](int) { ++ran; }, i);
  });
  collect_all();
  CHECK(ran >= kCount * 95 / 100);
  collect_all();
  CHECK(ran <= kCount);
}

TEST_CASE("cleanup: the argument may be moved in and is released afterwards") {
  auto token = std::make_shared<int>(7);
  std::atomic<int> seen{0};
  on_fresh_thread([&] {
    gc::add_cleanup(
        gc::make<Node>(), [&](std::shared_ptr<int>& arg) { seen += *arg; }, token);
    gc::add_cleanup(
        gc::make<Node>(), [&](std::unique_ptr<int>& arg) { seen += *arg; },
        std::make_unique<int>(10));
    gc::add_cleanup(
        gc::make<Node>(), [&](const std::string& arg) { seen += static_cast<int>(arg.size()); },
        "four");
  });
  CHECK(token.use_count() == 2);
  collect_all();
  CHECK(seen == 21);
  CHECK(token.use_count() == 1);
}

TEST_CASE("cleanup: a root in the argument keeps that object until the cleanup has run") {
  std::atomic<bool> intact{false};
  Census argument;
  on_fresh_thread([&] {
    Node* const other = gc::make<Node>(55);
    argument.add(other);
    gc::add_cleanup(
        gc::make<Node>(1), [&](gc::root<Node>& arg) { intact = arg->intact() && arg->key == 55; },
        gc::root<Node>(other));
  });
  collect_all();
  CHECK(intact);
  collect_all();
  CHECK(argument.alive() == 0);
}

TEST_CASE("cleanup: cancelled in time it does not run") {
  std::atomic<int> ran{0}, cancelled_ran{0};
  gc::cleanup_handle late;
  on_fresh_thread([&] {
    for (int i = 0; i < 200; ++i) {
      Node* const node = gc::make<Node>();
      gc::add_cleanup(
          node, [&](int) { ++ran; }, 1);
      gc::cleanup_handle handle = gc::add_cleanup(
          node, [&](int) { ++cancelled_ran; }, 1);
      CHECK(handle.cancel());
      CHECK(!handle.cancel());
    }
    late = gc::add_cleanup(
        gc::make<Node>(), [&](int) { ++ran; }, 1);
  });
  collect_all();
  CHECK(ran >= 190);
  CHECK(cancelled_ran == 0);
  CHECK(!late.cancel());
  gc::cleanup_handle none;
  CHECK(!none.cancel());
  gc::cleanup_handle again;
  on_fresh_thread([&] {
    again = gc::add_cleanup(
        gc::make<Node>(), [&](int) {}, 1);
  });
  CHECK(gc::cancel(again));
}

TEST_CASE("cleanup: cancelling releases the argument") {
  auto token = std::make_shared<int>(7);
  gc::root<Node> node = gc::make<Node>();
  gc::cleanup_handle handle = gc::add_cleanup(
      node.get(), [](std::shared_ptr<int>&) {}, token);
  CHECK(token.use_count() == 2);
  CHECK(handle.cancel());
  CHECK(token.use_count() == 1);
}

TEST_CASE("cleanup: on an interior pointer belongs to the whole object") {
  std::atomic<int> ran{0};
  gc::root<Node> array;
  on_fresh_thread([&] {
    array = gc::make_array<Node>(10);
    gc::add_cleanup(
        array.get() + 5, [&](int) { ++ran; }, 0);
    gc::add_cleanup(
        &array[7].seal, [&](int) { ++ran; }, 0);
  });
  collect_all();
  CHECK(ran == 0);
  on_fresh_thread([&] { array = nullptr; });
  collect_all();
  CHECK(ran == 2);
}

TEST_CASE("cleanup: comes after the finalizer, and not at all while that resurrects") {
  std::atomic<int> cleaned{0};
  gc::root<Node> saved;
  on_fresh_thread([&] {
    Node* const node = gc::make<Node>(1);
    gc::set_finalizer(node, [&](Node* n) { saved = n; });
    gc::add_cleanup(
        node, [&](int) { ++cleaned; }, 0);
  });
  for (int i = 0; i < 3; ++i) collect_all();
  REQUIRE(saved != nullptr);
  CHECK(cleaned == 0);
  on_fresh_thread([&] { saved = nullptr; });
  for (int i = 0; i < 2; ++i) collect_all();
  CHECK(cleaned == 1);
}

thread_local bool program_thread = false;

// [finalizer.own-thread]
TEST_CASE("cleanup: runs on a thread that is none of the program's, where it may allocate") {
  std::atomic<int> ran{0}, on_program_thread{0};
  program_thread = true;
  on_fresh_thread([&] {
    program_thread = true;
    for (int i = 0; i < 100; ++i) {
      gc::add_cleanup(
          gc::make<Node>(),
          [&](int) {
            churn(100);
            ++ran;
            if (program_thread) ++on_program_thread;
          },
          0);
    }
    runtime::collect();
    churn();
  });
  collect_all();
  CHECK(ran >= 95);
  CHECK(on_program_thread == 0);
}

TEST_CASE("cleanup: on what is no object is refused") {
  int local = 0;
  CHECK_THROWS_AS(gc::add_cleanup(
                      &local, [](int) {}, 0),
                  std::invalid_argument);
  CHECK_THROWS_AS(gc::add_cleanup(
                      static_cast<int*>(nullptr), [](int) {}, 0),
                  std::invalid_argument);
}

TEST_CASE("cleanup: the object itself as the argument is refused") {
  Node* const node = gc::make<Node>();
  CHECK_THROWS_AS(gc::add_cleanup(
                      node, [](Node*) {}, node),
                  std::invalid_argument);
}

}  // namespace
}  // namespace tricolor::tests
