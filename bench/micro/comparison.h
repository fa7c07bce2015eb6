#pragma once

// Comparison: runs cases of several contenders with Google Benchmark, repetitions taking turns, and
// prints one line a contender, cases in the order in which they were added.
//
// The figures are medians over the repetitions, of one iteration or of what the counter
// "operations" counts, with the least and the greatest, and the ratio to the case's first
// contender. --quick makes a run of a few seconds; --json makes one repetition, as whoever asks for
// it starts processes anew, and ends with the medians as a line of JSON; every other argument is
// Google Benchmark's.

#include <benchmark/benchmark.h>

#include <functional>
#include <string>

namespace bench {

// Whose clock gives the wall time. The processor time is always that of the whole process: what a
// collector's threads do counts.
enum class Timing {
  kAll,     // the framework's, around all iterations
  kManual,  // the benchmark's own, by SetIterationTime()
};

// Adds a contender to a case.
void add_contender(const std::string& case_name, const std::string& contender,
                   std::function<void(benchmark::State&)> run, Timing timing = Timing::kAll);

// Runs everything that was added; the body of main().
int compare_main(int argc, char** argv);

}  // namespace bench
