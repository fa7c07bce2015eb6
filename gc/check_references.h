#pragma once

// CheckReferences: the rules of references, checked in the checking build (TRICOLOR_CHECKS=1).
//
//   rule 1  a reference from one collected object to another is a gc::ptr or its relatives: at the end of every forced
//           cycle, objects that only raw words lead to are reported with type, offset and address of the holder
//   rule 2  a gc::ptr lies in a collected object or on a stack: checked as it is constructed
//
// Every gc::ptr and gc::atomic notes its word in a bitmap as it is constructed; gc::make notes the
// object's type and forgets the notes of what was there before.
// Threads: the constructor's checks: any. report_raw_references(): the collector.

#include "runtime/thread.h"

namespace tricolor::gc {

// After marking, before the sweep.
void report_raw_references(runtime::Thread& self) noexcept;

// Whether a reference has noted that it lies at `slot`, a word of the heap: never in a build
// without checks.
bool is_noted_reference(const void* slot) noexcept;

}  // namespace tricolor::gc
