#include "runtime/finding.h"

#include <atomic>
#include <cstdarg>

#include "runtime/base/check.h"
#include "runtime/heap/allocation_watch.h"

namespace tricolor::runtime {

namespace {

// Relaxed, both ways: what the function uses has locks of its own.
constinit std::atomic<FindingHook> g_hook{nullptr};

TRICOLOR_ALLOCATOR void say(const char* kind, const char* format, va_list args,
                            const Found* found) noexcept {
  char text[kReportLineBytes];
  vformat_to(text, sizeof text, format, args);
  if (const FindingHook hook = g_hook.load(std::memory_order_relaxed)) {
    hook(kind, text, found);
  } else {
    report("%s", text);
  }
}

}  // namespace

TRICOLOR_ALLOCATOR void report_here(const char* kind, const char* format, ...) noexcept {
  va_list args;
  va_start(args, format);
  say(kind, format, args, nullptr);
  va_end(args);
}

TRICOLOR_ALLOCATOR void report_found(const char* kind, Found found, const char* format,
                                     ...) noexcept {
  va_list args;
  va_start(args, format);
  say(kind, format, args, &found);
  va_end(args);
}

void set_finding_hook(FindingHook hook) noexcept { g_hook.store(hook, std::memory_order_relaxed); }

}  // namespace tricolor::runtime
