#pragma once

// What a program may tell the recorder that is preloaded into it. The functions are weak: without
// the recorder they are null, so test before calling:
//
//     if (tricolor_trace_mark) tricolor_trace_mark("queries begin");
//
// Threads: any.

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// A named point of the trace; UTF-8, cut after 4,096 bytes.
__attribute__((weak)) void tricolor_trace_mark(const char* text);
// The calling thread begins or ends to serve the request with this number.
__attribute__((weak)) void tricolor_trace_request_begin(uint64_t request);
__attribute__((weak)) void tricolor_trace_request_end(uint64_t request);

#ifdef __cplusplus
}
#endif
