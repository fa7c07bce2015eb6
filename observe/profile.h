#pragma once

// Profiles of the heap, as contents of files: what debug::write_* writes and a server hands out.
//
// Threads: any, outside of runtime sections. std::bad_alloc.

#include <cstdint>
#include <string>

namespace tricolor::observe {

// pprof's format, compressed.
std::string heap_profile();
std::string alloc_profile();

// Text, or a page of HTML.
std::string lifetimes(bool html);

// How many objects the samples of a site stand for.
double objects_per_sample(uint64_t size, int64_t rate) noexcept;

}  // namespace tricolor::observe
