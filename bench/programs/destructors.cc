// Objects whose destructor has something to do, each in the place of the oldest of those in use:
// they die in a thread of their own (by hand with malloc, with their last reference with
// shared_ptr), and with a collector some time after. The measured part ends when all that died are
// destroyed.
// Arguments: --threads=N, --objects=N (of all threads), --kept=N (of a thread), --string (each owns
// one on malloc).

#include <string>
#include <thread>
#include <vector>

#include "bench/programs/program.h"
#include BENCH_BACKEND

namespace {

namespace backend = bench::backend;
using bench::programs::mixed;
using bench::programs::Program;

// Written by whatever thread runs destructors.
thread_local std::uint64_t closed = 0;

struct Handle {
  ~Handle() {
    closed += descriptor;
    asm volatile("" : : "r"(&closed) : "memory");
  }
  std::uint64_t descriptor = 0;
  std::uint64_t state[2] = {};
};

struct Named {
  std::uint64_t descriptor = 0;
  std::string name = "longer than what a string holds within itself";
};

template <typename T>
struct Table {
  backend::ArrayField<backend::Field<T>> in_use{};
};

template <typename T>
std::uint64_t replace(backend::Field<T>* in_use, std::uint64_t kept, std::uint64_t objects) {
  std::uint64_t checksum = 0;
  for (std::uint64_t i = 0; i < objects; ++i) {
    const backend::Ref<T> object = backend::make_destroyed<T>();
    object->descriptor = i;
    backend::Field<T>& place = in_use[i % kept];
    if (place != nullptr) {
      checksum = mixed(checksum, place->descriptor);
      backend::release_destroyed(place);
    }
    place = object;
  }
  return checksum;
}

template <typename T>
int run(Program& program) {
  const unsigned threads = program.threads();
  const std::uint64_t objects = program.number("--objects", 4'000'000, 200'000) / threads;
  const std::uint64_t kept = program.number("--kept", 1'000, 1'000);
  static backend::GlobalArray<Table<T>> tables;
  tables = backend::make_array<Table<T>>(threads);
  for (unsigned t = 0; t < threads; ++t) {
    tables[t].in_use = backend::make_array<backend::Field<T>>(kept);
  }
  std::vector<std::uint64_t> checksums(threads);
  program.begin();
  std::vector<std::thread> workers;
  for (unsigned t = 0; t < threads; ++t) {
    workers.emplace_back([&, t] {
      const backend::ThreadScope scope;
      checksums[t] = replace<T>(backend::raw(tables[t].in_use), kept, objects);
    });
  }
  backend::blocking([&] {
    for (std::thread& worker : workers) worker.join();
  });
  backend::finish_finalizers();
  program.stop();
  std::uint64_t checksum = 0;
  for (const std::uint64_t one : checksums) checksum = mixed(checksum, one);
  return program.end(checksum, backend::collections());
}

}  // namespace

int main(int argc, char** argv) {
  Program program(argc, argv);
  backend::start();
  return program.has("--string") ? run<Named>(program) : run<Handle>(program);
}
