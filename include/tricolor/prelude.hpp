// The public interface with the short names gc::, sync::, runtime:: and debug::. For programs; a
// header of a library includes <tricolor/tricolor.hpp> and writes the names out.
#pragma once

#include <tricolor/tricolor.hpp>

namespace tricolor::sync {}  // namespace tricolor::sync

using namespace tricolor;  // NOLINT(google-build-using-namespace)
