#pragma once

// replay_main: the command line of every replay program, which differ in their backend alone.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <new>
#include <string>

#include "bench/replay/load.h"
#include "bench/replay/measure.h"
#include "bench/replay/program.h"
#include "bench/replay/replay.h"

namespace bench::replay {

template <typename Backend>
int replay_main(int argc, char** argv) {
  const std::string program_name = std::string("replay-") + Backend::kName;
  CLI::App app("Replays an allocation trace on " + std::string(Backend::kName) +
               " and prints one line of JSON.");
  Report report;
  report.backend = Backend::kName;
  bool only_decode = false;
  app.add_option("trace", report.trace, "The trace")->required();
  app.add_option("--repeat", report.repeat, "Replay it so many times, one after the other")
      ->check(CLI::Range(1, 1'000'000));
  app.add_option("--scale", report.scale, "Replay so many copies of it at the same time")
      ->check(CLI::Range(1, 10'000));
  app.add_flag("--decode-only", only_decode,
               "Walk the operations without a heap: the replayer's own cost");
  CLI11_PARSE(app, argc, argv);

  try {
    const LoadedProgram program(report.trace);
    const ProgramInfo& info = program.info();
    report.operations = info.operations * report.repeat * report.scale;
    Stalls stalls;
    const Measurement measurement;
    if (only_decode) {
      report.backend = "decode-only";
      stalls.begin(ticks());
      for (uint64_t i = 0; i < report.repeat; ++i) {
        report.checksum ^= decode_only(info, program.code(), report.scale, stalls) + i;
      }
      measurement.stop(stalls, report);
    } else {
      Backend backend;
      Replayer<Backend> replayer(backend, info, program.code(), report.scale);
      stalls.begin(ticks());
      for (uint64_t i = 0; i < report.repeat; ++i) replayer.run(stalls);
      measurement.stop(stalls, report);
      report.checksum = replayer.checksum();
      report.collections = backend.collections();
    }
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
