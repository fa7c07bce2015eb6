#pragma once

// os: everything the library asks of the operating system, as plain functions.
//
// Errors are return values, never exceptions. Address ranges are multiples of page_size().
// [os.errno]  no function changes errno, so all but stack_bounds(), cpu_count() and
//             process_start_ns() may run in a signal handler.
// Threads: any; "the calling thread" where a function speaks of one.
//
// One contract, one implementation per system: os_linux.cc.

#include <cstddef>
#include <cstdint>

namespace tricolor::runtime::os {

inline constexpr size_t kHugePageSize = size_t{2} << 20;

// --- Address space -------------------------------------------------------------------------------

// Address space without memory: no access, no charge. nullptr when refused.
void* reserve(size_t bytes) noexcept;
// The same, aligned to `alignment` (a power of two, at least the page size).
void* reserve_aligned(size_t bytes, size_t alignment) noexcept;

// Makes reserved memory readable and writable, zero-filled on first touch. False when refused.
[[nodiscard]] bool commit(void* address, size_t bytes) noexcept;

// Makes reserved memory readable: it reads as zero, and no limit counts it. False when refused.
[[nodiscard]] bool make_readable(void* address, size_t bytes) noexcept;

// Back to reserved: contents and access are gone.
void decommit(void* address, size_t bytes) noexcept;

// Returns the memory to the system; the range stays usable and reads as zero afterwards. False when
// the system refused (locked memory): contents are then unchanged.
bool release(void* address, size_t bytes) noexcept;

// Hints about 2 MiB pages.
void advise_huge(void* address, size_t bytes) noexcept;
void advise_no_huge(void* address, size_t bytes) noexcept;

// Private, zero-filled, readable and writable memory (for metadata). nullptr when refused.
void* map(size_t bytes) noexcept;
// For what reserve() or map() gave.
void unmap(void* address, size_t bytes) noexcept;

size_t page_size() noexcept;

// --- Clocks, in nanoseconds ----------------------------------------------------------------------

int64_t now_ns() noexcept;          // monotonic
int64_t wall_ns() noexcept;         // since 1970, UTC
int64_t thread_cpu_ns() noexcept;   // processor time of the calling thread
int64_t process_cpu_ns() noexcept;  // of all threads

// When the process started, on now_ns()'s scale: when this library was loaded, or, if it was loaded
// late, the start the system recorded (in steps of 10 ms).
int64_t process_start_ns() noexcept;

// --- Processors and threads ----------------------------------------------------------------------

// Processors this process may run on, at least 1.
unsigned cpu_count() noexcept;

// Raises the nice value, to 19 at most, and sets SCHED_BATCH: waking up takes no processor from
// others. Where a seccomp filter is set it tries nothing: some end the process. False if it failed.
bool set_background_priority(int nicer_by) noexcept;

// Whether a seccomp filter stands before the calling thread's system calls, or that cannot be
// known.
bool is_filtered() noexcept;

// At most 15 characters are kept.
void name_thread(const char* name) noexcept;

int tid() noexcept;
int pid() noexcept;

// Whether a thread of this process runs or waits for nothing but a processor; false where the
// system does not tell.
[[nodiscard]] bool is_runnable(int tid) noexcept;

// Sends a signal that carries `cookie` (si_code SI_QUEUE), where the system has room for that. 0,
// or why it was not sent: ESRCH when there is no such thread, EAGAIN when the system has no room at
// all.
int signal_thread(int pid, int tid, int signal, const void* cookie) noexcept;

// Where the calling thread's stack may lie: *lo <= every frame < *hi. Memory at *lo need not be
// mapped (guard pages, a main stack that has not grown yet): read only from the stack pointer up.
[[nodiscard]] bool stack_bounds(char** lo, char** hi) noexcept;
// The same of another thread, which does not end meanwhile; `thread` is a pthread_t.
[[nodiscard]] bool stack_bounds_of(unsigned long thread, int tid, char** lo, char** hi) noexcept;

// Where the calling thread's signal stack (sigaltstack) ends if `address` lies on it, else nullptr;
// `begin` is set along with that.
const char* signal_stack_end(const char* address, const char** begin = nullptr) noexcept;

// How large that stack is; 0 where there is none.
size_t signal_stack_bytes() noexcept;

// What the system itself writes below the frame that a signal interrupts: all registers.
size_t signal_frame_bytes() noexcept;

// Whether the word at `address` (a multiple of 8) can be read without a fault.
bool is_readable(uintptr_t address) noexcept;

void yield() noexcept;

// At least `ns`, signals notwithstanding.
void sleep_ns(int64_t ns) noexcept;

// At most `size` bytes of a file of /proc, read at once; 0 when it cannot be read.
size_t read_file(const char* path, char* out, size_t size) noexcept;

// Bytes of the whole process that lie in memory; 0 where the system does not tell.
int64_t resident_bytes() noexcept;

// Gives back to the system what malloc keeps though it is free: tens of milliseconds for a
// gigabyte, with malloc's locks held in turn. Nothing where the C library has no means.
void trim_malloc() noexcept;

// --- Barriers in other threads -------------------------------------------------------------------

// After membarrier(), every thread of the process has passed a full memory barrier since the call
// began. False when the system has no such call or membarrier_register() did not succeed before.
// The registration is inherited by fork.
bool membarrier_register() noexcept;
bool membarrier() noexcept;

}  // namespace tricolor::runtime::os
