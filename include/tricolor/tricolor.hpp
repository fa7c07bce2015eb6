// Everything that a program needs: a garbage-collected heap for C++.
#pragma once

#include <tricolor/arrays.hpp>
#include <tricolor/atomic.hpp>
#include <tricolor/boxed_word.hpp>
#include <tricolor/defer.hpp>
#include <tricolor/finalizer.hpp>
#include <tricolor/knobs.hpp>
#include <tricolor/make.hpp>
#include <tricolor/pool.hpp>
#include <tricolor/ptr.hpp>
#include <tricolor/root.hpp>
#include <tricolor/runtime.hpp>
#include <tricolor/sized_pool.hpp>
#include <tricolor/static_pool.hpp>
#include <tricolor/weak.hpp>
