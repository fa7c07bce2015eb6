// Options: what GOGC, GOMEMLIMIT, GCTRACE and GODEBUG ask for, read once at start-up.
//
// [options.never-silent]  a value or key that is not understood reaches the reporter, with what is
//                         accepted and what is used instead; it never changes another option.
// [options.empty]         an empty variable is an unset one.
// Threads: any; parse_options touches nothing but its arguments. options_from_environment reads the
// environment and may write to stderr; it is meant for the one thread that starts the runtime,
// possibly before main().
//
//   GOGC        a percentage from 0 to 2147483647, or off
//   GOMEMLIMIT  bytes with an optional suffix B KiB MiB GiB TiB, or off
//   GCTRACE     0, 1 or 2
//   GODEBUG     key=value pairs separated by commas; of a key given twice the last counts
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <string_view>

namespace tricolor::runtime {

inline constexpr int64_t kGcPercentOff = -1;
inline constexpr int64_t kNoMemoryLimit = std::numeric_limits<int64_t>::max();

struct Options {
  int64_t gc_percent = 100;  // kGcPercentOff: only the memory limit and calls start a cycle
  int64_t memory_limit = kNoMemoryLimit;
  // GOMEMLIMIT was given and valid, "off" included. Where it is false, a limit found elsewhere (the
  // control group's) may be used.
  bool memory_limit_given = false;
  int gctrace = 0;  // 0 to 2; GODEBUG=gctrace counts over GCTRACE
  bool gcpacertrace = false;
  bool scavtrace = false;
  bool gccheckmark = false;
  bool clobberfree = false;
  bool findlost = false;        // types and samples of all objects with it, unless they are given
  bool findlost_given = false;  // be it 0
  int64_t gcstress = 0;         // 0: none
  int gcsignal = 0;             // the signal that starts a collection, 0: none
  int handshakesignal = 0;      // the signal by which threads are asked, 0: SIGURG
  int64_t memoryguard = 0;      // percent of the memory limit at which pools are dropped, 0: never
  int64_t memprofilerate = 512 << 10;  // mean of the bytes between two samples, 0: none
  bool types = false;                  // record every object's type
  int dumpsignal = 0;                  // the signal that writes what all threads do, 0: none
  bool reports_abort = false;          // the first report of a check ends the program
  int64_t hangreport_s = 0;  // report what all threads do when a cycle takes so long, 0: never
};

// One value that was not taken as it stands.
struct OptionComplaint {
  std::string_view variable;  // "GOGC"; "GODEBUG" also for its keys
  std::string_view value;     // the whole value, or for GODEBUG the one setting complained about
  std::string_view accepted;  // what would be
  std::string_view used;      // what holds instead
};

using OptionGetter = std::function<const char*(const char* name)>;  // nullptr: unset
using OptionReporter = std::function<void(const OptionComplaint&)>;

Options parse_options(const OptionGetter& get, const OptionReporter& report);

// One line without its newline. Unprintable bytes of the value show as \xNN, a long value is cut.
std::string describe(const OptionComplaint& complaint);

// parse_options over the process's environment; each complaint is one line on stderr.
Options options_from_environment();

}  // namespace tricolor::runtime
