#pragma once

// gzip: a file that everyone opens; compressed where the library was built with zlib, else stored.
//
// Threads: any. std::bad_alloc.

#include <string>
#include <string_view>

namespace tricolor::observe {

std::string gzip(std::string_view data);

}  // namespace tricolor::observe
