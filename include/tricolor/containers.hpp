// The collected containers, with the interface of those of the standard library; docs/containers.md
// says which one where. gc::map, multimap, set and multiset need Boost's headers (Boost.Intrusive).
#pragma once

#include <tricolor/allocator.hpp>
#include <tricolor/container/deque.hpp>
#include <tricolor/container/flat_map.hpp>
#include <tricolor/container/list.hpp>
#include <tricolor/container/map.hpp>
#include <tricolor/container/small_vector.hpp>
#include <tricolor/container/string.hpp>
#include <tricolor/container/unordered_map.hpp>
#include <tricolor/container/vector.hpp>
#include <tricolor/container/weak_map.hpp>
#include <tricolor/tricolor.hpp>
