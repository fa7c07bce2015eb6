// Coroutines whose frames are traced: a generator, and tasks that await each other by symmetric
// transfer. Locals, parameters and `this` of a suspended coroutine are roots because its promise
// type derives from gc::traced_frame.
#include <coroutine>
#include <cstdio>
#include <exception>
#include <utility>
#include <vector>

#include <tricolor/prelude.hpp>
#include <tricolor/traced.hpp>

namespace {

struct Node {
  explicit Node(int v) : value(v) {}
  int value;
  gc::ptr<Node> left, right;
};

template <class T>
class Generator {
 public:
  struct promise_type : gc::traced_frame {
    T current{};
    Generator get_return_object() { return Generator(Handle::from_promise(*this)); }
    std::suspend_always initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    std::suspend_always yield_value(T value) noexcept {
      current = value;
      return {};
    }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
  using Handle = std::coroutine_handle<promise_type>;

  explicit Generator(Handle handle) : handle_(handle) {}
  Generator(Generator&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  ~Generator() {
    if (handle_) handle_.destroy();
  }
  bool next() {
    handle_.resume();
    return !handle_.done();
  }
  T value() const { return handle_.promise().current; }

 private:
  Handle handle_;
};

// The frame's stack of nodes is a traced container: what it holds is found while the generator is
// suspended.
Generator<Node*> in_order(Node* node) {
  gc::traced::vector<Node*> above;
  while (node != nullptr || !above.empty()) {
    for (; node != nullptr; node = node->left) above.push_back(node);
    node = above.back();
    above.pop_back();
    co_yield node;
    node = node->right;
  }
}

template <class T>
class Task {
 public:
  struct promise_type : gc::traced_frame {
    T result{};
    std::coroutine_handle<> waiting = std::noop_coroutine();
    Task get_return_object() { return Task(Handle::from_promise(*this)); }
    std::suspend_always initial_suspend() noexcept { return {}; }
    auto final_suspend() noexcept {
      struct Back {
        bool await_ready() noexcept { return false; }
        std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> h) noexcept {
          return h.promise().waiting;
        }
        void await_resume() noexcept {}
      };
      return Back{};
    }
    void return_value(T value) { result = value; }
    void unhandled_exception() { std::terminate(); }
  };
  using Handle = std::coroutine_handle<promise_type>;

  explicit Task(Handle handle) : handle_(handle) {}
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  ~Task() {
    if (handle_) handle_.destroy();
  }
  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> waiting) noexcept {
    handle_.promise().waiting = waiting;
    return handle_;
  }
  T await_resume() { return handle_.promise().result; }
  T run() {
    handle_.resume();
    return handle_.promise().result;
  }

 private:
  Handle handle_;
};

Task<Node*> build(int depth, int& count) {
  Node* const node = gc::make<Node>(0);
  if (depth > 0) {
    node->left = co_await build(depth - 1, count);
    node->value = count++;
    node->right = co_await build(depth - 1, count);
  } else {
    node->value = count++;
  }
  co_return node;
}

}  // namespace

int main() {
  int count = 0;
  Node* tree = build(12, count).run();
  Generator<Node*> nodes = in_order(std::exchange(tree, nullptr));
  int seen = 0;
  bool sorted = true;
  while (nodes.next()) {
    sorted = sorted && nodes.value()->value == seen++;
    if (seen % 1000 == 0)
      runtime::collect();  // the suspended frame alone refers to the rest of the tree
  }
  std::printf("%d nodes of %d, %s\n", seen, count, sorted ? "in order" : "NOT in order");
  return seen == count && sorted ? 0 : 1;
}
