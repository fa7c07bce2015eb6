#pragma once

// The part of a backend whose references are plain pointers; see bench/backend/tricolor.h for what
// the names mean.

namespace bench::backend {

template <typename T>
using Ref = T*;
template <typename T>
using Field = T*;
template <typename T>
using Link = T*;
// A collector scans static data; volatile, or the compiler would keep the reference elsewhere or
// nowhere.
template <typename T>
using Global = T* volatile;
template <typename T>
using ArrayRef = T*;
template <typename T>
using ArrayField = T*;
template <typename T>
using GlobalArray = T* volatile;

template <typename T>
inline T* raw(T* r) {
  return r;
}

template <typename F>
inline void blocking(F f) {
  f();
}

}  // namespace bench::backend
