// What generated loops and their driver share.
#pragma once

#include <span>

#include <tricolor/prelude.hpp>

#ifdef __clang__
#define DERIVE_LOOP [[gnu::noinline]]
#else
#define DERIVE_LOOP [[gnu::noinline, gnu::noclone, gnu::noipa]]
#endif

namespace tricolor::tests {

// What a loop's body calls: overwrites the dead words below the caller's frame and collects.
void step() noexcept;
// The number itself, which the compiler does not know.
long observe(long number) noexcept;

struct Leaf {
  long number = 0;
  long rest[5] = {};
};
using Reference = gc::ptr<Leaf>;

template <class T>
long value(const T& element) noexcept {
  return static_cast<long>(element);
}
inline long value(const Reference& element) noexcept { return element->number; }

template <class T>
void fill(T& element, long number) noexcept {
  element = static_cast<T>(number);
}
inline void fill(Reference& element, long number) {
  Leaf* const leaf = gc::make<Leaf>();
  leaf->number = number;
  element = leaf;
}

template <class T>
void* make_elements(long count, long period) {
  T* const elements = gc::make_array<T>(static_cast<std::size_t>(count));
  for (long i = 0; i < count; ++i) fill(elements[i], i % period + 1);
  return elements;
}

template <class Holder>
void* make_holder(long count, long period) {
  Holder* const holder = gc::make<Holder>();
  for (long i = 0; i < count; ++i) fill(holder->items[i], i % period + 1);
  return holder;
}

// A loop over `count` elements of `object`, which its registers and frame alone refer to.
using Loop = long (*)(void* object, long count, long low, void* other);
using Maker = void* (*)(long count, long period);

struct Case {
  const char* name;
  Loop loop;
  Maker make_object;
  Maker make_other;
  long count;
};

// Written by generate.py.
extern const Case kCases[];
extern const int kCaseCount;

}  // namespace tricolor::tests
