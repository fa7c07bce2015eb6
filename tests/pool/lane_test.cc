// sync::Lane: what it owns ends with it, in order; outside of it there is an error.
#include "tests/pool/pool_support.hpp"

#include <stdexcept>
#include <string>

#include <tricolor/sync.hpp>

namespace tricolor::tests {
namespace {

struct Counted {
  explicit Counted(std::string& log, char name) : log_(&log), name_(name) {}
  ~Counted() { *log_ += name_; }
  std::string* log_;
  char name_;
};

TEST_CASE("lane: all ends with it, the latest first") {
  std::string log;
  {
    sync::Lane lane;
    lane.make<Counted>(log, 'a');
    lane.on_destroy([&log] { log += 'b'; });
    sync::Lane::current().make<Counted>(log, 'c');
    Item* const item = lane.make<Item>(7u);
    lane.on_destroy(item, [&log](Item* i) { log += i->key == 7 ? 'd' : '?'; });
    CHECK(log.empty());
  }
  CHECK(log == "dcba");
  CHECK_FALSE(sync::Lane::has_current());
}

TEST_CASE("lane: outside of a lane there is an error that says so") {
  CHECK_THROWS_AS(sync::Lane::current(), sync::MissingLane);
  sync::Lane lane;
  std::thread([&lane] {
    CHECK_THROWS_AS(sync::Lane::current(), sync::MissingLane);
    CHECK_THROWS_AS(lane.make<Item>(), sync::MissingLane);
    CHECK_THROWS_AS(lane.on_destroy([] {}), sync::MissingLane);
    CHECK_THROWS_AS(lane.pool<Item>(), sync::MissingLane);
    const sync::Lane::Guest guest(lane);
    CHECK(&sync::Lane::current() == &lane);
    CHECK(lane.make<Item>(3u)->key == 3);
  }).join();
  lane.end();
  CHECK(lane.has_ended());
  CHECK_THROWS_WITH_AS(lane.make<Item>(), "sync::Lane: the lane has ended", sync::MissingLane);
}

TEST_CASE("lane: lanes nest") {
  std::string log;
  sync::Lane outer;
  {
    sync::Lane inner;
    CHECK(&sync::Lane::current() == &inner);
    outer.make<Counted>(log, 'o');
    inner.make<Counted>(log, 'i');
  }
  CHECK(log == "i");
  CHECK(&sync::Lane::current() == &outer);
  outer.end();
  CHECK(log == "io");
}

TEST_CASE("lane: what throws at the end does not stop the rest") {
  std::string log;
  try {
    sync::Lane lane;
    lane.on_destroy([&log] { log += '1'; });
    lane.on_destroy([] { throw std::runtime_error("two"); });
    lane.on_destroy([&log] { log += '3'; });
  } catch (const std::runtime_error& error) {
    log += error.what();
  }
  CHECK(log == "31two");
  log.clear();
  try {
    sync::Lane lane;
    lane.make<Counted>(log, 'x');
    lane.on_destroy([] { throw std::runtime_error("lost behind the first"); });
    throw std::runtime_error("first");
  } catch (const std::runtime_error& error) {
    log += error.what();
  }
  CHECK(log == "xfirst");
}

TEST_CASE("lane: a pool of its own, emptied at the end") {
  Census census;
  on_fresh_thread([&] {
    sync::Lane lane;
    auto& pool = lane.pool<Node>();
    CHECK(&lane.pool<Node>() == &pool);
    CHECK(static_cast<void*>(&lane.pool<Item>()) != static_cast<void*>(&pool));
    Node* const node = gc::make<Node>(1);
    pool.put(node);
    census.add(node);
    shake(1);
    CHECK(pool.size() == 1);
    CHECK(lane.pool<Node>().get() == node);
    pool.put(node);
  });
  collect_all();
  CHECK(census.alive() == 0);
}

TEST_CASE("lane: what it owns and what its functions hold stays alive until its end") {
  std::size_t whole = 0;
  const std::size_t count = scaled(5'000);
  {
    const CollectingThread collecting;
    sync::Lane lane;
    for (std::size_t i = 0; i < count; ++i) {
      Node* const node = lane.make<Node>(i);
      node->left = gc::make<Node>(i);
      lane.on_destroy([raw = gc::make<Node>(i), node, &whole] {
        whole += raw->intact() && node->intact() && node->left->intact();
      });
      if (i % 256 == 0) churn(500);
    }
    churn(scaled(20'000));
  }
  CHECK(whole == count);
}

TEST_CASE("lane: threads take part as guests") {
  std::atomic<int> ended{0};
  {
    sync::Lane lane;
    on_threads(4, [&](std::size_t) {
      const sync::Lane::Guest guest(lane);
      for (int i = 0; i < 1000; ++i) sync::Lane::current().on_destroy([&ended] { ++ended; });
    });
  }
  CHECK(ended == 4000);
}

}  // namespace
}  // namespace tricolor::tests
