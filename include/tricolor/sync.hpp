// All of sync: pools, deferred calls, lanes, maps and caches; with the rest of the interface.
#pragma once

#include <tricolor/sync/bounded_pool.hpp>
#include <tricolor/sync/cache.hpp>
#include <tricolor/sync/defer_stack.hpp>
#include <tricolor/sync/evictor.hpp>
#include <tricolor/sync/lane.hpp>
#include <tricolor/sync/layered_cache.hpp>
#include <tricolor/sync/map.hpp>
#include <tricolor/sync/memory_guard.hpp>
#include <tricolor/sync/slab_pool.hpp>
#include <tricolor/sync/snapshot.hpp>
#include <tricolor/tricolor.hpp>
