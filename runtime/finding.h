#pragma once

// Findings: what the checks say of a program that breaks a rule, and that it may take into its own
// hands.
//
// Printed like any report() until a hook takes them. What ends the program is no finding: fatal().
// Threads: as the functions say. [check.no-malloc] holds for report_found().

namespace tricolor::runtime {

// What the calling thread has just done: attached, without locks of the library.
void report_here(const char* kind, const char* format, ...) noexcept
    __attribute__((format(printf, 2, 3)));

// What a search came upon: the object that is concerned, and the word outside of collected memory
// that leads to it; nullptr: none.
struct Found {
  const void* object = nullptr;
  const void* word = nullptr;
};

// Whoever searches, in a stop as well.
void report_found(const char* kind, Found found, const char* format, ...) noexcept
    __attribute__((format(printf, 3, 4)));

// `kind` is a literal; `text` is the line without its "tricolor: ". `found`: nullptr for what the
// calling thread has just done.
using FindingHook = void (*)(const char* kind, const char* text, const Found* found) noexcept;
void set_finding_hook(FindingHook hook) noexcept;  // nullptr: none

}  // namespace tricolor::runtime
