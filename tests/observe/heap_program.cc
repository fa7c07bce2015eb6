// A heap of known shape, for those who look at it from outside: snapshots, tools/heap, the
// debugger.
//
//   heap_program graph FILE [MORE]  a tree, a ring, an array and MORE extra leaves; writes a snapshot
//   heap_program queue FILE         a queue of which one thread has kept an old node; says why, writes a snapshot
//   heap_program stop ADDRESS-FILE  builds the graph, writes an object's address to the file, stops at a breakpoint
//   heap_program exit FILE          writes as statics are destroyed
//   heap_program memory FILE        without memory for the account: std::bad_alloc, and the program goes on

#include <sys/resource.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <system_error>
#include <thread>

#include <tricolor/containers.hpp>
#include <tricolor/debug.hpp>
#include <tricolor/prelude.hpp>

struct Tree {
  gc::ptr<Tree> left, right;
  long key = 0;
  ~Tree() { key = -1; }
};
struct Ring {
  gc::ptr<Ring> next;
  ~Ring() { next = nullptr; }
};
struct Leaf {
  gc::ptr<Leaf> next;
  long number = 0;
  ~Leaf() { number = -1; }
};
struct QueueNode {
  gc::atomic<QueueNode> next;
  long value = 0;
  ~QueueNode() { value = -1; }
};
struct Queue {
  gc::atomic<QueueNode> head, tail;
  Queue() {
    QueueNode* const first = gc::make<QueueNode>();
    head = first;
    tail = first;
  }
  void push(long value) {
    QueueNode* const node = gc::make<QueueNode>();
    node->value = value;
    tail.load()->next = node;
    tail = node;
  }
  bool pop(long& value) {
    QueueNode* const next = head.load()->next.load();
    if (next == nullptr) return false;
    head = next;
    value = next->value;
    return true;
  }
};

gc::root<Tree> tree;
gc::root<Ring> ring;
gc::root<Leaf> leaves;
gc::root<gc::ptr<Tree>> array;

[[gnu::noinline]] Tree* make_tree(int depth) {
  Tree* const node = gc::make<Tree>();
  node->key = depth;
  if (depth > 0) {
    node->left = make_tree(depth - 1);
    node->right = make_tree(depth - 1);
  }
  return node;
}

[[gnu::noinline]] void build(long more) {
  std::thread([more] {
    tree = make_tree(9);
    ring = gc::make<Ring>();
    Ring* last = ring;
    for (int i = 0; i < 99; ++i) {
      last->next = gc::make<Ring>();
      last = last->next;
    }
    last->next = ring.get();
    array = gc::make_array<gc::ptr<Tree>>(10);
    array[3] = tree->left;
    for (long i = 0; i < more; ++i) {
      Leaf* const leaf = gc::make<Leaf>();
      leaf->next = leaves.get();
      leaves = leaf;
    }
  }).join();
}

std::atomic<bool> waiting{false};
std::atomic<bool> stop{false};

// Keeps the node that was at the head, as a function does that has not written over its variable.
[[gnu::noinline]] long slow_request(Queue* queue) {
  QueueNode* volatile old = queue->head.load();
  long value = 0;
  while (!queue->pop(value)) std::this_thread::yield();
  waiting = true;
  while (!stop) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return value + (old == nullptr ? 1 : 0);
}

int explain_queue(const char* path) {
  const gc::root<Queue> queue = gc::make<Queue>();
  std::jthread slow([&] { slow_request(queue); });
  queue->push(1);
  while (!waiting) std::this_thread::yield();
  std::atomic<std::uintptr_t> stale{0};
  std::thread([&] {
    for (long i = 0; i < 20000; ++i) {
      queue->push(i);
      if (i == 10000) stale = ~reinterpret_cast<std::uintptr_t>(queue->tail.load());
      long value = 0;
      queue->pop(value);
    }
  }).join();
  std::fputs(debug::describe(debug::why_alive(reinterpret_cast<void*>(~stale.load()))).c_str(),
             stdout);
  std::fputs(debug::describe(debug::kept_by_stacks(1)).c_str(), stdout);
  debug::write_heap_snapshot(path);
  stop = true;
  return 0;
}

extern "C" [[gnu::noinline]] void stop_here() { asm volatile(""); }

struct AtExit {
  std::string path;
  ~AtExit() {
    if (path.empty()) return;
    try {
      debug::write_heap_snapshot(path);
      std::puts("written");
    } catch (const std::exception& error) {
      std::printf("refused: %s\n", error.what());
    }
  }
} at_exit;

int without_memory(const char* path) {
  build(1000);
  rlimit limit{};
  getrlimit(RLIMIT_AS, &limit);
  std::ifstream file("/proc/self/statm");
  std::size_t pages = 0;
  file >> pages;
  limit.rlim_cur = pages * 4096 + (std::size_t{4} << 20);
  setrlimit(RLIMIT_AS, &limit);
  try {
    debug::write_heap_snapshot(path);
    std::puts("written");
  } catch (const std::bad_alloc&) {
    std::puts("bad_alloc");
  }
  for (int i = 0; i < 1000; ++i) static_cast<void>(gc::make<Leaf>());
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_AS, &limit);
  debug::write_heap_snapshot(path);
  std::puts("written with memory");
  return 0;
}

int main(int argc, char** argv) {
  const std::string mode = argc > 2 ? argv[1] : "";
  const char* const path = argc > 2 ? argv[2] : "";
  if (mode == "queue") return explain_queue(path);
  if (mode == "memory") return without_memory(path);
  build(argc > 3 ? std::atol(argv[3]) : 0);
  if (mode == "graph") {
    debug::write_heap_snapshot(path);
  } else if (mode == "stop") {
    std::ofstream(path) << static_cast<const void*>(tree->left->right.get()) << '\n';
    stop_here();
  } else if (mode == "exit") {
    at_exit.path = path;
  } else {
    return 2;
  }
  return 0;
}
