// The program that the recorder for Boehm's collector is tried on.

#include <gc.h>

#include <cstdlib>

namespace {

struct Node {
  Node* next;
  void* data;
};

Node* root = nullptr;

}  // namespace

int main() {
  GC_INIT();
  root = static_cast<Node*>(GC_malloc(1001));
  root->next = static_cast<Node*>(GC_malloc(1002));
  root->next->data = GC_malloc_atomic(1003);
  // Enough for several snapshots.
  for (int i = 0; i < 1000; ++i) {
    if (GC_malloc(40) == nullptr) return 1;
  }
  root->next = static_cast<Node*>(GC_realloc(root->next, 2002));
  for (int i = 0; i < 1000; ++i) {
    if (GC_malloc(40) == nullptr) return 1;
  }
  return root->next->data == nullptr ? 1 : 0;
}
