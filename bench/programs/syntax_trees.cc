// Documents of syntax trees on a server: a request parses one function anew, folds its constants
// into a second tree, resolves its names through a list of scopes, and puts it in the place of the
// old function; every 64th request replaces a whole document. Some things live for microseconds,
// some for seconds, and the young are stored into the old.
// Arguments: --requests=N, --live-mb=N, --interval=NS (0: the next when the last is done).

#include "bench/programs/program.h"
#include "bench/programs/requests.h"
#include BENCH_BACKEND

namespace {

namespace backend = bench::backend;
using namespace bench::programs;

enum Kind : std::uint32_t { kNumber, kName, kAdd, kMultiply, kAssign, kSequence };

struct Node {
  backend::Field<Node> first{};
  backend::Field<Node> second{};
  backend::ArrayField<std::uint8_t> name{};
  std::uint64_t value = 0;
  std::uint32_t kind = kNumber;
  std::uint32_t length = 0;  // of the name
};
using Tree = backend::Ref<Node>;

struct Scope {
  backend::Field<Scope> outer{};
  backend::Link<Node> assignment{};
};

constexpr std::size_t kFunctions = 16;
constexpr std::uint32_t kStatements = 24;
constexpr std::uint64_t kDocumentsPerMb = 4;

struct Document {
  backend::Field<Node> functions[kFunctions];
};

Requests* requests = nullptr;

Tree make_node(Kind kind, std::uint64_t value) {
  Tree node = backend::make<Node>();
  node->kind = kind;
  node->value = value;
  return node;
}

Tree make_name(std::uint64_t value) {
  Tree node = make_node(kName, value);
  node->length = 4 + value % 29;
  node->name = backend::make_array<std::uint8_t>(node->length);
  for (std::uint32_t i = 0; i < node->length; ++i)
    node->name[i] = static_cast<std::uint8_t>('a' + (value + i) % 26);
  return node;
}

Tree parse_expression(Random& random, unsigned depth) {
  const std::uint32_t choice = random.below(8);
  if (depth == 0 || choice < 2)
    return choice % 2 == 0 ? make_node(kNumber, random.below(1000)) : make_name(random.below(64));
  Tree left = parse_expression(random, depth - 1);
  Tree right = parse_expression(random, depth - 1);
  Tree node = make_node(choice < 5 ? kAdd : kMultiply, 0);
  node->first = left;
  node->second = right;
  return node;
}

// A list of statements, the last one first.
Tree parse_function(Random& random) {
  Tree function{};
  for (std::uint32_t i = 0; i < kStatements; ++i) {
    Tree assign = make_node(kAssign, i);
    assign->first = make_name(random.below(64));
    assign->second = parse_expression(random, 4);
    Tree sequence = make_node(kSequence, i);
    sequence->first = assign;
    sequence->second = function;
    function = sequence;
    requests->tick();
  }
  return function;
}

void drop(const Tree& tree) {
  if constexpr (backend::kByHand) {
    if (tree == nullptr) return;
    drop(tree->first);
    drop(tree->second);
    backend::release_array(tree->name);
    backend::release(tree);
  }
}

// A copy in which operations on two numbers are their result.
Tree fold(const Node* node) {
  if (node->kind == kNumber) return make_node(kNumber, node->value);
  if (node->kind == kName) return make_name(node->value);
  Tree first = fold(backend::raw(node->first));
  const Node* const rest = backend::raw(node->second);
  Tree second = rest == nullptr ? Tree{} : fold(rest);
  if ((node->kind == kAdd || node->kind == kMultiply) && first->kind == kNumber &&
      second->kind == kNumber) {
    first->value = node->kind == kAdd ? first->value + second->value : first->value * second->value;
    drop(second);
    return first;
  }
  Tree folded = make_node(static_cast<Kind>(node->kind), node->value);
  folded->first = first;
  folded->second = second;
  return folded;
}

// What the tree stands for; names read the latest assignment in scope.
std::uint64_t resolve(const Node* node, const Scope* scope) {
  if (node->kind == kNumber) return node->value;
  if (node->kind == kName) {
    for (const Scope* s = scope; s != nullptr; s = backend::raw(s->outer))
      if (s->assignment->first->value == node->value) return s->assignment->value + node->length;
    return node->name[0];
  }
  const std::uint64_t first = resolve(backend::raw(node->first), scope);
  return node->kind == kAdd ? mixed(first, resolve(backend::raw(node->second), scope))
                            : first ^ resolve(backend::raw(node->second), scope) * 31;
}

std::uint64_t check(const Node* function) {
  std::uint64_t sum = 0;
  backend::Ref<Scope> scope{};
  for (const Node* s = function; s != nullptr; s = backend::raw(s->second)) {
    sum = mixed(sum, resolve(backend::raw(s->first->second), backend::raw(scope)));
    backend::Ref<Scope> inner = backend::make<Scope>();
    inner->outer = scope;
    inner->assignment = backend::raw(s->first);
    scope = inner;
  }
  if constexpr (backend::kByHand) {
    while (scope != nullptr) {
      const backend::Ref<Scope> outer = scope->outer;
      backend::release(scope);
      scope = outer;
    }
  }
  return sum;
}

std::uint64_t replace(Document* document, std::size_t f, Random& random) {
  const Tree parsed = parse_function(random);
  const Tree folded = fold(backend::raw(parsed));
  drop(parsed);
  requests->tick();
  const std::uint64_t sum = check(backend::raw(folded));
  drop(document->functions[f]);
  document->functions[f] = folded;
  return sum;
}

}  // namespace

int main(int argc, char** argv) {
  Program program(argc, argv);
  const auto documents =
      static_cast<std::uint32_t>(program.number("--live-mb", 128, 8) * kDocumentsPerMb);
  const std::uint64_t count = program.number("--requests", 60'000, 3'000);
  backend::start();
  Control control;
  Requests served(program.number("--interval", 0, 0));
  served.set_control(control);
  requests = &served;
  static backend::GlobalArray<backend::Field<Document>> store;
  store = backend::make_array<backend::Field<Document>>(documents);
  Random random(1);
  std::uint64_t checksum = 0;
  const auto rebuild = [&](std::uint32_t d) {
    const backend::Ref<Document> document = backend::make<Document>();
    for (std::size_t f = 0; f < kFunctions; ++f)
      checksum = mixed(checksum, replace(backend::raw(document), f, random));
    if (backend::kByHand && store[d] != nullptr) {
      for (const auto& function : store[d]->functions) drop(function);
      backend::release(store[d]);
    }
    store[d] = document;
  };
  served.begin();
  for (std::uint32_t d = 0; d < documents; ++d) rebuild(d);
  served.begin();
  program.begin();
  for (std::uint64_t i = 1; i <= count; ++i) {
    served.await();
    const std::uint32_t d = random.below(documents);
    if (i % 64 == 0) {
      rebuild(d);
    } else {
      checksum = mixed(checksum, replace(backend::raw(store[d]), random.below(kFunctions), random));
    }
    served.done();
  }
  return program.end(checksum, backend::collections(), &served);
}
