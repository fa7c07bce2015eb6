// fork: the child goes on alone, with the whole heap and a collector of its own; the parent does
// not notice.
#include <fstream>

#include "tests/subprocess.hpp"

namespace tricolor::tests {
namespace {

struct Graph {
  explicit Graph(std::size_t size) {
    nodes = gc::make_array<gc::ptr<Node>>(size);
    for (std::size_t i = 0; i < size; ++i) {
      nodes[i] = gc::make<Node>(i);
      nodes[i]->left = nodes[mix(i) % (i + 1)];
      nodes[i]->right = gc::make<Node>(i + size);
    }
  }
  bool intact() const {
    const std::size_t size = gc::array_size(nodes.get());
    for (std::size_t i = 0; i < size; ++i) {
      const Node* const node = nodes[i];
      if (!node->intact() || node->key != i || node->left->key != mix(i) % (i + 1) ||
          !node->right->intact() || node->right->key != i + size) {
        return false;
      }
    }
    return true;
  }
  gc::root<gc::ptr<Node>> nodes;
};

// What a child does; each failure has an exit code of its own.
int live_on(const Graph& graph, Node* local) {
  if (!graph.intact()) return 1;
  shake(3);
  if (!graph.intact()) return 2;
  if (!local->intact() || !local->left->intact()) return 3;
  gc::weak<Node> weak;
  on_fresh_thread([&] {
    weak = gc::make<Node>(1);
    churn(2000);
  });
  collect_all();
  if (!weak.expired()) return 4;
  std::atomic<int> events{0};
  on_fresh_thread([&] {
    for (int i = 0; i < 10; ++i) gc::set_finalizer(gc::make<Node>(), [&](Node*) { ++events; });
  });
  collect_all();
  collect_all();
  if (events < 9) return 5;
  Findings findings;
  on_threads(3, [&](std::size_t t) {
    Node* const node = gc::make<Node>(t);
    runtime::collect();
    churn(2000);
    findings.expect(node->intact(), "");
  });
  if (findings.count() != 0) return 6;
  return graph.intact() ? 0 : 7;
}

void check_child(const ProcessResult& child) {
  CAPTURE(child.signal);
  CAPTURE(child.err);
  CHECK(!child.timed_out);
  CHECK(child.exit_code == 0);
}

TEST_CASE("stress fork: a child of a quiet program") {
  const Graph graph(scaled(20'000));
  Node* const local = gc::make<Node>(1);
  local->left = gc::make<Node>(2);
  for (int i = 0; i < 3; ++i) check_child(run_forked([&] { return live_on(graph, local); }));
  shake(1);
  CHECK(graph.intact());
  CHECK(local->left->intact());
}

TEST_CASE("stress fork: children while mutators, sleepers and cycles are at work") {
  if (kThreadSanitizer) return;  // it gives up on a child whose threads get the ids of the parent's
  const Graph graph(scaled(20'000));
  Findings findings;
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      gc::root<Node> list;
      for (std::size_t i = 0; !stop; ++i) {
        Node* const node = gc::make<Node>(t + i);
        node->left = i % 100 == 0 ? nullptr : list.get();
        list = node;
        findings.expect(node->left == nullptr || node->left->intact(),
                        "the parent's heap was damaged");
      }
    });
  }
  threads.emplace_back([&] {
    Node* const held = gc::make<Node>(8);
    while (!stop) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    findings.expect(held->intact(), "a sleeper's local was lost");
  });
  {
    CollectingThread collector;
    Node* const local = gc::make<Node>(1);
    local->left = gc::make<Node>(2);
    for (std::size_t i = 0; i < stress_rounds(8) + 1; ++i) {
      check_child(run_forked([&] { return live_on(graph, local); }));
    }
    CHECK(local->left->intact());
  }
  stop = true;
  for (auto& thread : threads) thread.join();
  CHECK_MESSAGE(findings.count() == 0, findings.first());
  shake(1);
  CHECK(graph.intact());
}

// [handshake.single]
// [thread.closed]
TEST_CASE("stress fork: several threads fork at once") {
  if (kThreadSanitizer) return;
  const Graph graph(1000);
  Findings findings;
  CollectingThread collector;
  on_threads(3, [&](std::size_t t) {
    Node* const local = gc::make<Node>(t);
    local->left = gc::make<Node>(t);
    for (std::size_t i = 0; i < stress_rounds(60) + 1; ++i) {
      const pid_t child = fork();
      if (child == 0) {
        runtime::collect();
        churn(2000);
        _exit(graph.intact() && local->intact() && local->left->intact() ? 0 : 1);
      }
      int status = -1;
      while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
      }
      findings.expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a child failed");
    }
  });
  collector.stop();
  CHECK_MESSAGE(findings.count() == 0, findings.first());
}

TEST_CASE("stress fork: a child that forks again") {
  const Graph graph(1000);
  check_child(run_forked([&] {
    runtime::collect();
    const pid_t grandchild = fork();
    if (grandchild == 0) {
      shake(2);
      _exit(graph.intact() ? 0 : 1);
    }
    shake(2);
    int status = -1;
    while (waitpid(grandchild, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 && graph.intact() ? 0 : 1;
  }));
}

TEST_CASE("stress fork: what the parent's other threads held is still there in the child") {
  // Their stacks are in the child's memory, but they do not run: nothing may crash on them, and the
  // roots that they own stay.
  std::atomic<bool> stop{false};
  std::atomic<bool> ready{false};
  gc::root<Node> owned_by_other;
  std::thread other([&] {
    owned_by_other = gc::make<Node>(44);
    ready = true;
    while (!stop) std::this_thread::yield();
  });
  while (!ready) std::this_thread::yield();
  check_child(run_forked([&] {
    shake(3);
    return owned_by_other->intact() && owned_by_other->key == 44 ? 0 : 1;
  }));
  stop = true;
  other.join();
}

std::uint64_t writable_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmData:", 0) == 0) return std::strtoull(line.c_str() + 7, nullptr, 10) << 10;
  }
  return 0;
}

// The parent's finalizer thread stands in the first of many destructors that it has taken.
TEST_CASE("stress fork: destructors that waited for the finalizer thread run in the child too") {
  if (kThreadSanitizer) return;
  static std::atomic<int> destroyed{0};
  static std::atomic<bool> begun{false};
  static std::atomic<bool> hold{true};
  struct Slow {
    ~Slow() {
      begun = true;
      while (hold) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      ++destroyed;
    }
    std::uint64_t content = 0;
  };
  on_fresh_thread([] {
    for (int i = 0; i < 100; ++i) static_cast<void>(gc::make<Slow>());
  });
  runtime::collect();
  REQUIRE(eventually([] { return begun.load(); }));
  check_child(run_forked([] {
    hold = false;
    collect_all();
    return destroyed >= 90 && destroyed < 100 ? 0 : 1;
  }));
  CHECK(destroyed == 0);
  hold = false;
  collect_all();
  CHECK(destroyed >= 90);
}

// [finalizer.exactly-once] Begun before fork() by a thread that the child does not have, a
// destructor counts as run; what was to follow it, the child does.
TEST_CASE("stress fork: during gc::destroy on another thread") {
  if (kThreadSanitizer) return;
  static std::atomic<int> begun{0};
  static std::atomic<int> cleaned{0};
  static std::atomic<bool> hold{true};
  struct Slow {
    ~Slow() {
      ++begun;
      while (hold) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    std::uint64_t content = 0;
  };
  std::thread destroyer([] {
    Slow* const slow = gc::make<Slow>();
    gc::add_cleanup(
        slow, [](int n) { cleaned += n; }, 1);
    gc::destroy(slow);
  });
  REQUIRE(eventually([] { return begun.load() == 1; }));
  check_child(run_forked([] {
    hold = false;
    collect_all();
    collect_all();
    if (begun != 1) return 1;
    return cleaned == 1 ? 0 : 2;
  }));
  CHECK(begun == 1);
  CHECK(cleaned == 0);
  hold = false;
  destroyer.join();
  collect_all();
  CHECK(begun == 1);
  CHECK(cleaned == 1);
}

TEST_CASE(
    "stress fork: the cell of a destructor that the finalizer thread had begun is free again") {
  if (kThreadSanitizer) return;
  static std::atomic<int> begun{0};
  static std::atomic<bool> hold{true};
  struct Large {
    ~Large() {
      ++begun;
      while (hold) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    std::array<std::uint64_t, 1 << 17> content{};
  };
  const auto in_use = [] {
    runtime::MemStats stats;
    runtime::read_mem_stats(stats);
    return stats.heap_alloc;
  };
  on_fresh_thread([] { static_cast<void>(gc::make<Large>()); });
  runtime::collect();
  REQUIRE(eventually([] { return begun.load() == 1; }));
  check_child(run_forked([&] {
    const std::uint64_t before = in_use();
    collect_all();
    collect_all();
    if (begun != 1) return 1;
    return in_use() + sizeof(Large) / 2 < before ? 0 : 2;
  }));
  hold = false;
  collect_all();
  CHECK(begun == 1);
}

// [worklist.overflow]
TEST_CASE("stress fork: the system refuses a child more memory: bad_alloc, then recovery") {
  if (kSanitized) return;
  const Graph graph(1000);
  check_child(run_forked([&] {
    runtime::collect();
    // What the heap holds free already is not under the limit.
    runtime::MemStats stats;
    runtime::read_mem_stats(stats);
    const std::uint64_t inherited = stats.heap_idle;
    const rlim_t bytes = writable_bytes() + (32u << 20);
    const rlimit limit{bytes, bytes};
    if (setrlimit(RLIMIT_DATA, &limit) != 0) return 10;
    debug::set_max_heap(
        512u << 20);  // where the limit is not kept, the test fails before the machine suffers
    for (int round = 0; round < 2; ++round) {
      bool thrown = false, whole = true;
      std::size_t length = 0;
      on_fresh_thread([&] {
        gc::root<Node> list;
        try {
          for (;; ++length) {
            Node* const node = gc::make<Node>(length);
            node->left = list.get();
            list = node;
          }
        } catch (const std::bad_alloc&) {
          thrown = true;
        }
        for (const Node* node = list; node != nullptr; node = node->left)
          whole = whole && node->intact();
      });
      if (!thrown) return 11;
      if (!whole) return 12;
      const std::uint64_t got = length * sizeof(Node);
      if (got < (8u << 20) || got > inherited + (96u << 20)) {
        std::fprintf(stderr, "the child got %zu KiB beside %zu KiB\n", std::size_t{got >> 10},
                     std::size_t{inherited >> 10});
        return 13;
      }
      runtime::collect();
      churn(20'000);
    }
    return graph.intact() ? 0 : 14;
  }));
}

}  // namespace
}  // namespace tricolor::tests
