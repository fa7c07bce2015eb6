#include "tools/recorder/recorder.h"
#include "tools/recorder/tricolor_trace.h"

#define TRICOLOR_INTERPOSE extern "C" __attribute__((visibility("default")))

TRICOLOR_INTERPOSE void tricolor_trace_mark(const char* text) {
  if (tools::recorder::is_recording()) tools::recorder::note_mark(text);
}

TRICOLOR_INTERPOSE void tricolor_trace_request_begin(uint64_t request) {
  if (tools::recorder::is_recording()) {
    tools::recorder::note_request(tools::recorder::Kind::kRequestBegin, request);
  }
}

TRICOLOR_INTERPOSE void tricolor_trace_request_end(uint64_t request) {
  if (tools::recorder::is_recording()) {
    tools::recorder::note_request(tools::recorder::Kind::kRequestEnd, request);
  }
}
