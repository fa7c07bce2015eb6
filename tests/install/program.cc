// A program as a user writes it, built against the installed library.
#include <tricolor/prelude.hpp>

struct Node {
  gc::ptr<Node> next;
  int value = 0;
};

gc::root<Node> list;

int main() {
  for (int i = 1; i <= 1000; ++i) {
    Node* node = gc::make<Node>();
    node->value = i;
    node->next = list;
    list = node;
  }
  runtime::collect();
  int sum = 0;
  for (Node* node = list; node != nullptr; node = node->next) sum += node->value;
  return sum == 500500 ? 0 : 1;
}
