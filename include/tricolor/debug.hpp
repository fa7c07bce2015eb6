// debug: knobs that a running program may turn, and ways to see what the heap holds and costs.
#pragma once

#include <tricolor/debug_heap.hpp>
#include <tricolor/debug_tracked.hpp>
#include <tricolor/knobs.hpp>
#include <tricolor/label.hpp>
#include <tricolor/profile.hpp>
#include <tricolor/reports.hpp>
#include <tricolor/serve.hpp>
#include <tricolor/threads.hpp>
#include <tricolor/timeline.hpp>
