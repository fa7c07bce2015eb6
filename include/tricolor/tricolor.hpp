// Everything that a program needs: a garbage-collected heap for C++.
#pragma once

#include <tricolor/atomic.hpp>
#include <tricolor/debug.hpp>
#include <tricolor/finalizer.hpp>
#include <tricolor/make.hpp>
#include <tricolor/ptr.hpp>
#include <tricolor/root.hpp>
#include <tricolor/runtime.hpp>
#include <tricolor/weak.hpp>
