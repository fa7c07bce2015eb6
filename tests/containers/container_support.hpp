// What the tests of the collected containers share: elements of several kinds that stand for
// numbers, and holders.
#pragma once

#include "tests/support.hpp"

#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <tricolor/containers.hpp>

namespace tricolor::tests {

using Number = std::uint64_t;

// Element<T>::of(n) is a T that stands for n, and Element<T>::number(t) finds n again, or throws
// where the element has been damaged.
template <class T>
struct Element;

// doctest's checks make these templates slow to compile; this ends the case by an exception that
// says what it saw.
[[noreturn, gnu::noinline]] inline void broken(const char* what, int line) {
  throw std::logic_error(std::string(what) + ", line " + std::to_string(line));
}
#define MUST(...) ((__VA_ARGS__) ? void() : ::tricolor::tests::broken(#__VA_ARGS__, __LINE__))

[[noreturn]] inline void damaged(const char* what) {
  throw std::runtime_error(std::string("a damaged element: ") + what);
}

template <>
struct Element<Number> {
  static Number of(Number n) { return n; }
  static Number number(Number n) { return n; }
};
using Reference = gc::ptr<Node>;
template <>
struct Element<Reference> {
  static Reference of(Number n) { return gc::make<Node>(n); }
  static Number number(const Reference& r) {
    if (r == nullptr) return 0;
    if (!r->intact()) damaged("node");
    return r->key;
  }
};
template <>
struct Element<std::string> {  // has a destructor, and owns memory from some length on
  static std::string of(Number n) { return std::to_string(n) + std::string(n % 40, 'x'); }
  static Number number(const std::string& s) {
    if (s.empty()) return 0;
    const Number n = std::stoull(s);
    if (s != of(n)) damaged("string");
    return n;
  }
};
using Nested = gc::vector<Reference>;
template <>
struct Element<Nested> {
  static Nested of(Number n) {
    Nested nested;
    for (Number i = 0; i <= n % 5; ++i) nested.push_back(gc::make<Node>(n + i));
    return nested;
  }
  static Number number(const Nested& nested) {
    if (nested.empty()) return 0;
    const Number n = Element<Reference>::number(nested[0]);
    if (nested.size() != n % 5 + 1) damaged("length");
    for (Number i = 0; i <= n % 5; ++i) {
      if (Element<Reference>::number(nested[i]) != n + i) damaged("nested");
    }
    return n;
  }
};

// The container under test lies in a collected object: what it refers to is found through it alone.
template <class C>
struct Holder {
  C c;
};

// Counts its objects; its constructors throw when told to.
struct Counted {
  static inline std::atomic<long> alive{0};
  static inline std::atomic<long> until_throw{
      -1};  // the throw comes after so many; negative: never

  static void maybe_throw() {
    if (until_throw.load(std::memory_order_relaxed) < 0) return;
    if (until_throw.fetch_sub(1, std::memory_order_relaxed) == 0)
      throw std::domain_error("told to");
  }
  explicit Counted(Number n = 0) : number(n) {
    maybe_throw();
    alive.fetch_add(1, std::memory_order_relaxed);
  }
  Counted(const Counted& other) : number(other.number) {
    if (!other.intact()) damaged("copied from a dead one");
    maybe_throw();
    alive.fetch_add(1, std::memory_order_relaxed);
  }
  Counted& operator=(const Counted& other) {
    maybe_throw();
    number = other.number;
    return *this;
  }
  ~Counted() {
    if (!intact()) std::abort();  // destroyed twice, or never constructed
    seal = 0;
    alive.fetch_sub(1, std::memory_order_relaxed);
  }
  bool intact() const noexcept { return seal == kSeal; }
  friend bool operator==(const Counted& a, const Counted& b) { return a.number == b.number; }
  friend auto operator<=>(const Counted& a, const Counted& b) {
    maybe_throw();
    return a.number <=> b.number;
  }

  static constexpr Number kSeal = 0x5ea1;
  Number seal = kSeal;
  Number number;
};

struct CountedHash {
  std::size_t operator()(const Counted& c) const {
    Counted::maybe_throw();
    return c.number % 13;  // collisions
  }
};

}  // namespace tricolor::tests
