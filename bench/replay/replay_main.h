#pragma once

// replay_main: the command line of every replay program, which differ in their backend alone.

#include <dlfcn.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <map>
#include <new>
#include <string>

#include "bench/replay/decode.h"
#include "bench/replay/load.h"
#include "bench/replay/measure.h"
#include "bench/replay/oracle.h"
#include "bench/replay/program.h"
#include "bench/replay/replay.h"

namespace bench::replay {

// Which allocator stands behind malloc in this process.
inline std::string allocator_name() {
  if (dlsym(RTLD_DEFAULT, "mi_version") != nullptr) return "mimalloc";
  if (dlsym(RTLD_DEFAULT, "mallctl") != nullptr) return "jemalloc";
  if (dlsym(RTLD_DEFAULT, "tc_version") != nullptr) return "tcmalloc";
  return "glibc";
}

template <typename Backend, typename Oracle>
void replay(const Program& program, Backend& backend, Oracle& oracle, Report& report) {
  Replayer<Backend, Oracle> replayer(backend, program, report.scale, oracle);
  Stalls stalls;
  const Measurement measurement;
  stalls.begin(ticks());
  for (uint64_t i = 0; i < report.repeat; ++i) replayer.run(stalls);
  measurement.stop(stalls, report);
  report.checksum = replayer.checksum();
  report.collections = backend.collections();
}

// The processor time that the replayer itself takes of the run, with the heap left out.
inline void measure_decoding(const Program& program, Report& report) {
  Report decoding;
  Decoding walks(program, report.scale);
  Stalls stalls;
  const Measurement measurement;
  stalls.begin(ticks());
  for (uint64_t i = 0; i < report.repeat; ++i) {
    decoding.checksum ^= walks.run(stalls) + i;
  }
  measurement.stop(stalls, decoding);
  report.decode_s = decoding.user_s + decoding.system_s;
  if (report.backend != "decode-only") return;
  decoding.backend = report.backend;
  decoding.trace = report.trace;
  decoding.repeat = report.repeat;
  decoding.scale = report.scale;
  decoding.operations = report.operations;
  decoding.decode_s = report.decode_s;
  report = decoding;
}

template <typename Backend>
int replay_main(int argc, char** argv) {
  const std::string program_name = std::string("replay-") + Backend::kName;
  CLI::App app("Replays an allocation trace on " + std::string(Backend::kName) +
               " and prints one line of JSON.");
  Report report;
  report.backend = Backend::kName;
  bool only_decode = false;
  Threads threads = Threads::kAuto;
  uint64_t probes = 0;
  const std::map<std::string, Threads> thread_names{
      {"auto", Threads::kAuto}, {"one", Threads::kOne}, {"recorded", Threads::kRecorded}};
  app.add_option("trace", report.trace, "The trace")->required();
  app.add_option("--repeat", report.repeat, "Replay it so many times, one after the other")
      ->check(CLI::Range(1, 1'000'000));
  app.add_option("--scale", report.scale, "Replay so many copies of it at the same time")
      ->check(CLI::Range(1, 10'000));
  app.add_option("--threads", threads,
                 "one: the merged order of all threads; recorded: a thread for each that was "
                 "recorded; auto: one for a trace with reference stores, else recorded")
      ->transform(CLI::CheckedTransformer(thread_names));
  app.add_flag("--decode-only", only_decode,
               "Walk the operations without a heap: the replayer's own cost");
  app.add_option(
         "--check", probes,
         "Check, in one thread and slowly, that nothing alive is reclaimed, and count at so "
         "many full collections what is kept that is dead")
      ->check(CLI::Range(1, 10'000));
  CLI11_PARSE(app, argc, argv);

  try {
    const LoadedProgram loaded(report.trace, probes != 0 ? Threads::kOne : threads);
    const Program& program = loaded.program();
    const ProgramInfo& info = program.info;
    report.operations = info.operations * report.repeat * report.scale;
    report.threads = info.lanes == 1 ? 1 : info.lanes * report.scale;
    if (Backend::kIsMalloc) report.allocator = allocator_name();
    if (only_decode) {
      report.backend = "decode-only";
    } else {
      Backend backend;
      if (probes != 0) {
        const uint64_t turns = report.operations / kTurn + report.repeat * report.scale;
        Oracle<Backend> oracle(backend, turns, probes);
        replay(program, backend, oracle, report);
        report.oracle = oracle.to_json();
      } else {
        NoOracle oracle;
        replay(program, backend, oracle, report);
      }
    }
    measure_decoding(program, report);
    fmt::print("{}\n", to_json(report, info));
  } catch (const std::bad_alloc&) {
    fmt::print(stderr, "{}: out of memory\n", program_name);
    return 1;
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}: {}\n", program_name, error.what());
    return 1;
  }
  return 0;
}

}  // namespace bench::replay
