// Of unload_program: a shared library with a type that has a destructor.
#include <atomic>

#include <tricolor/prelude.hpp>

namespace {

struct Plugged {
  explicit Plugged(std::atomic<int>* c) : count(c) {}
  ~Plugged() { count->fetch_add(1); }
  std::atomic<int>* count;
  gc::ptr<Plugged> next;
};

}  // namespace

extern "C" {

// A chain, of which the last is given.
__attribute__((visibility("default"))) void* make_plugged(std::atomic<int>* count, int objects) {
  Plugged* last = nullptr;
  for (int i = 0; i < objects; ++i) {
    auto* const object = gc::make<Plugged>(count);
    object->next = last;
    last = object;
  }
  return last;
}
}
