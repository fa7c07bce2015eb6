// Handles that must be closed: each new one takes the place of the oldest of those in use, and is
// closed by its finalizer (by hand with malloc, by its deleter with shared_ptr) some time after.
// Arguments: --handles=N, --kept=N.

#include <atomic>

#include "bench/programs/program.h"
#include BENCH_BACKEND

namespace {

namespace backend = bench::backend;
using bench::programs::mixed;
using bench::programs::Program;

struct Handle {
  std::uint64_t descriptor = 0;
  std::uint64_t state[3] = {};
};

// Counted by whatever thread runs finalizers, read after the last of them or for a figure only.
std::atomic<std::uint64_t> closed{0};

void close_handle(Handle* handle) {
  if (handle->state[0] == handle->descriptor) closed.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace

int main(int argc, char** argv) {
  Program program(argc, argv);
  const std::uint64_t handles = program.number("--handles", 1'000'000, 100'000);
  const std::uint64_t kept = program.number("--kept", 100'000, 5'000);
  backend::start();
  static backend::GlobalArray<backend::Field<Handle>> in_use;
  in_use = backend::make_array<backend::Field<Handle>>(kept);
  std::uint64_t checksum = 0, most_open = 0;
  program.begin();
  for (std::uint64_t i = 0; i < handles; ++i) {
    const backend::Ref<Handle> handle = backend::make_finalized<Handle, close_handle>();
    handle->descriptor = handle->state[0] = i;
    backend::Field<Handle>& place = in_use[i % kept];
    if (place != nullptr) {
      checksum = mixed(checksum, place->descriptor);
      backend::release_finalized<close_handle>(place);
    }
    place = handle;
    const std::uint64_t open = i + 1 - closed.load(std::memory_order_relaxed);
    if (open > most_open) most_open = open;
  }
  backend::finish_finalizers();
  program.figure("most open", static_cast<double>(most_open));
  program.figure("open at the end", static_cast<double>(handles - closed.load()));
  return program.end(checksum, backend::collections());
}
