// References in every place of an object that C++ allows: bases, members, unions, variants,
// buffers.
#include "tests/support.hpp"

#include <any>
#include <bitset>
#include <cstring>
#include <functional>
#include <new>
#include <optional>
#include <tuple>
#include <variant>

namespace tricolor::tests {
namespace {

// Makes an object of type T from `make`, holds it by a root, shakes the heap and looks with
// `check`; then drops it and expects that the nodes it held go too. `make` returns the object and
// adds its nodes to the census.
template <class T, class Make, class Check>
void survives_and_goes(Make&& make, Check&& check) {
  constexpr std::size_t kCopies = 40;
  std::vector<gc::root<T>> roots;
  Census census;
  on_fresh_thread([&] {
    for (std::size_t i = 0; i < kCopies; ++i) roots.emplace_back(make(census, i));
  });
  shake();
  CHECK(census.alive() == census.size());
  on_fresh_thread([&] {
    for (std::size_t i = 0; i < kCopies; ++i) {
      CAPTURE(i);
      CHECK(check(*roots[i], i));
    }
    roots.clear();
  });
  collect_all();
  collect_all();
  CHECK(census.reclaimed());
}

Node* node_for(Census& census, std::uint64_t key) {
  Node* const node = gc::make<Node>(key);
  census.add(node);
  return node;
}
bool good(const Node* node, std::uint64_t key) {
  return node != nullptr && node->intact() && node->key == key;
}

struct First {
  gc::ptr<Node> in_first;
};
struct Second {
  std::uint64_t word = 2;
  gc::ptr<Node> in_second;
};
struct Multiple : First, Second {
  gc::ptr<Node> own;
};

TEST_CASE("shapes: references in several bases, held by the second base alone") {
  survives_and_goes<Second>(
      [](Census& census, std::uint64_t i) -> Second* {
        auto* const object = gc::make<Multiple>();
        object->in_first = node_for(census, i);
        object->in_second = node_for(census, i + 1);
        object->own = node_for(census, i + 2);
        return object;
      },
      [](Second& second, std::uint64_t i) {
        auto& object = static_cast<Multiple&>(second);
        return good(object.in_first, i) && good(object.in_second, i + 1) && good(object.own, i + 2);
      });
}

struct Top {
  virtual ~Top() = default;
  gc::ptr<Node> top;
};
struct Left : virtual Top {
  gc::ptr<Node> left;
};
struct Right : virtual Top {
  gc::ptr<Node> right;
};
struct Diamond : Left, Right {
  gc::ptr<Node> bottom;
};

TEST_CASE("shapes: a virtual base, held by it alone") {
  survives_and_goes<Top>(
      [](Census& census, std::uint64_t i) -> Top* {
        auto* const object = gc::make<Diamond>();
        object->top = node_for(census, i);
        object->left = node_for(census, i + 1);
        object->right = node_for(census, i + 2);
        object->bottom = node_for(census, i + 3);
        return object;
      },
      [](Top& top, std::uint64_t i) {
        auto& object = dynamic_cast<Diamond&>(top);
        return good(object.top, i) && good(object.left, i + 1) && good(object.right, i + 2) &&
               good(object.bottom, i + 3);
      });
}

struct Interior {
  std::array<std::uint64_t, 50> before{};
  gc::ptr<Node> node;
  std::array<std::uint64_t, 50> after{};
};

TEST_CASE("shapes: an object of which only an inner word is referred to, from another object") {
  struct Holder {
    gc::ptr<std::uint64_t> word;
  };
  survives_and_goes<Holder>(
      [](Census& census, std::uint64_t i) {
        auto* const object = gc::make<Interior>();
        object->node = node_for(census, i);
        object->after[49] = mix(i);
        auto* const holder = gc::make<Holder>();
        holder->word = &object->after[49];
        return holder;
      },
      [](Holder& holder, std::uint64_t i) {
        auto* const object =
            reinterpret_cast<Interior*>(reinterpret_cast<char*>(holder.word.get()) -
                                        offsetof(Interior, after) - 49 * sizeof(std::uint64_t));
        return good(object->node, i) && *holder.word == mix(i);
      });
}

struct Variants {
  std::variant<int, std::array<char, 40>, gc::ptr<Node>> choice;
  std::optional<gc::ptr<Node>> maybe;
  std::array<gc::ptr<Node>, 3> three;
  std::pair<char, gc::ptr<Node>> pair;
  std::tuple<char, gc::ptr<Node>, short, gc::ptr<Node>> tuple;
};

TEST_CASE("shapes: variant, optional, array, pair and tuple members") {
  survives_and_goes<Variants>(
      [](Census& census, std::uint64_t i) {
        auto* const object = gc::make<Variants>();
        object->choice = gc::ptr<Node>(node_for(census, i));
        object->maybe = gc::ptr<Node>(node_for(census, i + 1));
        for (std::size_t k = 0; k < 3; ++k) object->three[k] = node_for(census, i + 2 + k);
        object->pair = {'p', gc::ptr<Node>(node_for(census, i + 5))};
        std::get<1>(object->tuple) = node_for(census, i + 6);
        std::get<3>(object->tuple) = node_for(census, i + 7);
        return object;
      },
      [](Variants& object, std::uint64_t i) {
        bool all = good(std::get<2>(object.choice), i) && good(*object.maybe, i + 1) &&
                   object.pair.first == 'p' && good(object.pair.second, i + 5) &&
                   good(std::get<1>(object.tuple), i + 6) && good(std::get<3>(object.tuple), i + 7);
        for (std::size_t k = 0; k < 3; ++k) all = all && good(object.three[k], i + 2 + k);
        return all;
      });
}

TEST_CASE("shapes: a variant that changes its alternative lets go and takes hold") {
  struct Holder {
    std::variant<std::uint64_t, gc::ptr<Node>> choice;
  };
  gc::root<Holder> holders;
  Census first, second;
  constexpr std::size_t kCount = 200;
  on_fresh_thread([&] {
    holders = gc::make_array<Holder>(kCount);
    for (std::size_t i = 0; i < kCount; ++i) holders[i].choice = gc::ptr<Node>(node_for(first, i));
  });
  shake(1);
  CHECK(first.alive() == kCount);
  on_fresh_thread([&] {
    for (std::size_t i = 0; i < kCount; ++i) {
      holders[i].choice = std::uint64_t{i};
      if (i % 2 == 0) holders[i].choice = gc::ptr<Node>(node_for(second, i));
    }
  });
  shake(1);
  CHECK(first.reclaimed());
  CHECK(second.alive() == kCount / 2);
  for (std::size_t i = 0; i < kCount; i += 2) CHECK(good(std::get<1>(holders[i].choice), i));
}

struct Unions {
  union Word {
    Word() : bits(0) {}
    std::uint64_t bits;
    double number;
    gc::ptr<Node> node;
  };
  int tag = 0;
  Word word;
};

TEST_CASE("shapes: a union with a reference in it") {
  survives_and_goes<Unions>(
      [](Census& census, std::uint64_t i) {
        auto* const object = gc::make<Unions>();
        ::new (&object->word.node) gc::ptr<Node>(node_for(census, i));
        object->tag = 1;
        return object;
      },
      [](Unions& object, std::uint64_t i) { return object.tag == 1 && good(object.word.node, i); });
}

struct Buffer {
  alignas(8) std::array<std::byte, 96> storage{};
  gc::ptr<Node>* at(std::size_t i) {
    return std::launder(reinterpret_cast<gc::ptr<Node>*>(storage.data() + 8 * i));
  }
};

TEST_CASE("shapes: references constructed in a buffer of bytes") {
  survives_and_goes<Buffer>(
      [](Census& census, std::uint64_t i) {
        auto* const object = gc::make<Buffer>();
        for (std::size_t k = 0; k < 12; k += 1)
          ::new (object->storage.data() + 8 * k) gc::ptr<Node>(node_for(census, i + k));
        return object;
      },
      [](Buffer& object, std::uint64_t i) {
        for (std::size_t k = 0; k < 12; ++k) {
          if (!good(*object.at(k), i + k)) return false;
        }
        return true;
      });
}

struct Erased {
  std::function<bool()> function;
  std::any any;  // a root fits its small buffer
};

TEST_CASE("shapes: references captured by std::function and std::any members") {
  survives_and_goes<Erased>(
      [](Census& census, std::uint64_t i) {
        auto* const object = gc::make<Erased>();
        object->function = [node = gc::root<Node>(node_for(census, i)), i] {
          return good(node, i);
        };
        object->any = gc::root<Node>(node_for(census, i + 1));
        return object;
      },
      [](Erased& object, std::uint64_t i) {
        return object.function() && good(std::any_cast<gc::root<Node>&>(object.any), i + 1);
      });
}

struct MixedWithJunk {
  std::bitset<70> bits;
  float number = 1.5f;
  bool flag = true;
  gc::ptr<Node> first;
  std::uint8_t odd[13] = {};
  gc::ptr<const Node> second;
  unsigned field : 3;
  gc::ptr<void> third;
};

TEST_CASE("shapes: references between members of odd sizes") {
  survives_and_goes<MixedWithJunk>(
      [](Census& census, std::uint64_t i) {
        auto* const object = gc::make<MixedWithJunk>();
        object->first = node_for(census, i);
        object->second = node_for(census, i + 1);
        object->third = node_for(census, i + 2);
        std::memset(object->odd, 0xff, sizeof object->odd);
        return object;
      },
      [](MixedWithJunk& object, std::uint64_t i) {
        return good(object.first, i) && good(object.second, i + 1) &&
               good(static_cast<const Node*>(object.third.get()), i + 2);
      });
}

struct OwnLeaf {
  std::uint64_t address = 0;  // not a reference, whatever it looks like
  std::uint64_t more[5] = {};
};

}  // namespace
}  // namespace tricolor::tests

template <>
struct tricolor::gc::is_leaf<tricolor::tests::OwnLeaf> : std::true_type {};

namespace tricolor::tests {
namespace {

TEST_CASE("shapes: leaf objects are not scanned: an address in one keeps nothing") {
  constexpr std::size_t kCount = 300;
  gc::root<std::uint64_t> numbers = gc::make_array<std::uint64_t>(kCount);
  gc::root<std::byte> bytes = gc::make_array<std::byte>(8 * kCount);
  std::vector<gc::root<OwnLeaf>> own;
  Census census;
  on_fresh_thread([&] {
    for (std::size_t i = 0; i < kCount; ++i) {
      const auto address = [&] { return reinterpret_cast<std::uintptr_t>(node_for(census, i)); };
      numbers[i] = address();
      const std::uintptr_t second = address();
      std::memcpy(bytes.get() + 8 * i, &second, 8);
      own.emplace_back(gc::make<OwnLeaf>());
      own.back()->address = address();
    }
  });
  collect_all();
  CHECK(census.reclaimed());
}

}  // namespace
}  // namespace tricolor::tests
