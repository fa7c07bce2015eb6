// The program that the store recorder's tests run: it is compiled with hooks at its stores. Sizes
// are unlike any other's, so that a test finds the blocks again.

#include <atomic>
#include <cstdlib>
#include <cstring>

namespace {

struct Node {
  long number;
  Node* next;
  Node* other;
  char rest[1];
};

Node* volatile global_root = nullptr;

Node* make(size_t bytes) {
  auto* node = static_cast<Node*>(calloc(1, bytes));
  return node;
}

// The address of the local variable escapes, so it is written in memory.
__attribute__((noinline)) void fill(Node** where, size_t bytes) { *where = make(bytes); }
__attribute__((noinline)) void with_local_root() {
  Node* local = nullptr;
  fill(&local, 1007);
  asm volatile("" : : "r"(&local) : "memory");
}

}  // namespace

int main() {
  Node* a = make(1001);
  Node* b = make(1002);
  Node* c = make(1003);
  a->next = b;
  a->other = b;
  asm volatile("" : : : "memory");
  a->other = nullptr;
  a->number = 7;
  global_root = a;
  with_local_root();

  Node* copy = make(1004);
  memcpy(static_cast<void*>(copy), a, sizeof(Node));
  std::atomic_ref<Node*>(c->next).store(copy);
  c->other = reinterpret_cast<Node*>(reinterpret_cast<char*>(b) + 100);
  a = static_cast<Node*>(realloc(static_cast<void*>(a), 2001));
  global_root = nullptr;
  free(b);
  return a->number == 7 ? 0 : 1;
}
