#pragma once

// Observers: where the collector meets observe/, which knows it and which it does not know.

namespace tricolor::gc {

// Sets up what the options ask for (runtime/heap/allocation_watch.h). Before the first thread is
// attached, once. Implemented by observe/.
void start_observing() noexcept;

// Threads of its own, where it needs some: after the first thread is attached. Implemented by
// observe/.
void start_observer_threads() noexcept;

// Tells who watches (runtime/time_watch.h) how large the heap is and may become. Threads: any.
void tell_heap() noexcept;

// Before collect() returns: what was found and a handler is to hear, it hears now. Outside of locks
// and runtime sections. Implemented by observe/.
void hand_over_reports() noexcept;

}  // namespace tricolor::gc
