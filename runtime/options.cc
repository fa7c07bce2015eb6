#include "runtime/options.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <optional>

#include "runtime/base/no_cancellation.h"

namespace tricolor::runtime {
namespace {

constexpr std::string_view kGogcAccepted = "a percentage from 0 to 2147483647, or off";
constexpr std::string_view kMemoryLimitAccepted =
    "bytes up to 8388607TiB, optionally with the suffix B, KiB, MiB, GiB or TiB, or off";
constexpr std::string_view kSignalAccepted = "one of HUP, USR1, USR2, IO, PWR or WINCH";
constexpr std::string_view kDumpSignalAccepted = "one of QUIT, HUP, USR1, USR2, IO, PWR or WINCH";
constexpr std::string_view kHandshakeSignalAccepted =
    "one of URG, USR1, USR2, IO, PWR or WINCH, or a real-time signal as RTMIN+n, RTMAX-n or its "
    "number";
constexpr std::string_view kKeysAccepted =
    "gctrace, gcpacertrace, scavtrace, gccheckmark, clobberfree, findlost, gcstress, gcsignal, "
    "handshakesignal, hangreport, memoryguard, memprofilerate, types, dumpsignal, reports";

// Digits only: no sign, no space, nothing behind them, no overflow.
std::optional<int64_t> parse_number(std::string_view text, int64_t max) {
  if (text.empty() || text[0] == '-') return std::nullopt;
  int64_t value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (result.ec != std::errc{} || result.ptr != text.data() + text.size()) return std::nullopt;
  if (value > max) return std::nullopt;
  return value;
}

std::optional<int64_t> parse_bytes(std::string_view text) {
  struct Suffix {
    std::string_view name;
    int shift;
  };
  // "B" ends all the others and so comes last.
  static constexpr Suffix kSuffixes[] = {
      {"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}, {"B", 0}};
  int shift = 0;
  for (const Suffix& suffix : kSuffixes) {
    if (!text.ends_with(suffix.name)) continue;
    text.remove_suffix(suffix.name.size());
    shift = suffix.shift;
    break;
  }
  const auto value = parse_number(text, std::numeric_limits<int64_t>::max() >> shift);
  if (!value) return std::nullopt;
  return *value << shift;
}

// The signals whose default or common use leaves room for ours. SIGURG stops threads for the
// collector itself, and the rest mean an error, a child, a timer or a terminal.
std::optional<int> parse_signal(std::string_view name) {
  struct Signal {
    std::string_view name;
    int number;
  };
  static constexpr Signal kSignals[] = {{"HUP", SIGHUP}, {"USR1", SIGUSR1}, {"USR2", SIGUSR2},
                                        {"IO", SIGIO},   {"PWR", SIGPWR},   {"WINCH", SIGWINCH}};
  if (name.starts_with("SIG")) name.remove_prefix(3);
  for (const Signal& signal : kSignals) {
    if (signal.name == name) return signal.number;
  }
  return std::nullopt;
}

// The same and SIGURG, and the real-time signals. None of those has a use of its own.
std::optional<int> parse_handshake_signal(std::string_view name) {
  if (const auto number = parse_number(name, SIGRTMAX)) {
    return *number >= SIGRTMIN ? std::optional(static_cast<int>(*number)) : std::nullopt;
  }
  if (name.starts_with("SIG")) name.remove_prefix(3);
  if (name == "URG") return SIGURG;
  if (name == "HUP") return std::nullopt;  // ends the process where nobody handles it yet
  const bool from_first = name.starts_with("RTMIN");
  if (!from_first && !name.starts_with("RTMAX")) return parse_signal(name);
  name.remove_prefix(5);
  if (name.empty()) return from_first ? SIGRTMIN : SIGRTMAX;
  if (name[0] != (from_first ? '+' : '-')) return std::nullopt;
  const auto distance = parse_number(name.substr(1), SIGRTMAX - SIGRTMIN);
  if (!distance) return std::nullopt;
  const auto steps = static_cast<int>(*distance);
  return from_first ? SIGRTMIN + steps : SIGRTMAX - steps;
}

class Parser {
 public:
  Parser(const OptionGetter& get, const OptionReporter& report) : get_(get), report_(report) {}

  Options run() {
    parse_gogc(value_of("GOGC"));
    parse_memory_limit(value_of("GOMEMLIMIT"));
    const std::string_view trace = value_of("GCTRACE");
    if (!trace.empty()) set_number("GCTRACE", trace, trace, 2, options_.gctrace);
    parse_debug(value_of("GODEBUG"));
    return options_;
  }

 private:
  std::string_view value_of(const char* name) const {
    // [options.empty] Both are an empty text here, which every parse function leaves alone.
    const char* value = get_(name);
    return value == nullptr ? std::string_view{} : std::string_view{value};
  }

  void parse_gogc(std::string_view text) {
    if (text.empty()) return;
    if (text == "off") {
      options_.gc_percent = kGcPercentOff;
      return;
    }
    constexpr int64_t kMax = std::numeric_limits<int32_t>::max();
    if (const auto value = parse_number(text, kMax)) {
      options_.gc_percent = *value;
    } else if (text[0] == '-' && parse_number(text.substr(1), kMax)) {
      // What debug::set_gc_percent and Go make of a negative number, but said aloud.
      options_.gc_percent = kGcPercentOff;
      report_({"GOGC", text, kGogcAccepted, "off"});
    } else {
      report_({"GOGC", text, kGogcAccepted, std::to_string(options_.gc_percent)});
    }
  }

  void parse_memory_limit(std::string_view text) {
    if (text.empty()) return;
    const auto value = text == "off" ? kNoMemoryLimit : parse_bytes(text);
    if (value) {
      options_.memory_limit = *value;
      options_.memory_limit_given = true;
    } else {
      report_({"GOMEMLIMIT", text, kMemoryLimitAccepted, "the default, as if it were not set"});
    }
  }

  void parse_debug(std::string_view text) {
    while (!text.empty()) {
      const size_t comma = std::min(text.find(','), text.size());
      const std::string_view setting = text.substr(0, comma);
      text.remove_prefix(std::min(comma + 1, text.size()));
      if (!setting.empty()) parse_setting(setting);
    }
    // What is found is to be named, with the place where it was made.
    if (options_.findlost && !types_given_) options_.types = true;
    if (options_.findlost && !rate_given_) options_.memprofilerate = 1;
  }

  void parse_setting(std::string_view setting) {
    const size_t equals = std::min(setting.find('='), setting.size());
    const std::string_view key = setting.substr(0, equals);
    // Without a '=' there is no value, which none of the keys accepts.
    const std::string_view value = setting.substr(std::min(equals + 1, setting.size()));
    if (key == "gctrace") {
      set_number("GODEBUG", setting, value, 2, options_.gctrace);
    } else if (key == "gcpacertrace") {
      set_switch(setting, value, options_.gcpacertrace);
    } else if (key == "scavtrace") {
      set_switch(setting, value, options_.scavtrace);
    } else if (key == "gccheckmark") {
      set_switch(setting, value, options_.gccheckmark);
    } else if (key == "clobberfree") {
      set_switch(setting, value, options_.clobberfree);
    } else if (key == "findlost") {
      options_.findlost_given = true;
      set_switch(setting, value, options_.findlost);
    } else if (key == "gcstress") {
      set_number("GODEBUG", setting, value, std::numeric_limits<int64_t>::max(), options_.gcstress);
    } else if (key == "gcsignal") {
      set_signal(setting, value);
    } else if (key == "handshakesignal") {
      set_handshake_signal(setting, value);
    } else if (key == "dumpsignal") {
      set_dump_signal(setting, value);
    } else if (key == "memprofilerate") {
      rate_given_ = true;
      set_number("GODEBUG", setting, value, std::numeric_limits<int64_t>::max(),
                 options_.memprofilerate);
    } else if (key == "types") {
      types_given_ = true;
      set_switch(setting, value, options_.types);
    } else if (key == "reports") {
      set_reports(setting, value);
    } else if (key == "memoryguard") {
      set_number("GODEBUG", setting, value, 100, options_.memoryguard);
    } else if (key == "hangreport") {
      constexpr int64_t kLongest = 1'000'000;
      set_number("GODEBUG", setting, value, kLongest, options_.hangreport_s);
    } else {
      // [options.never-silent]
      report_({"GODEBUG", setting, kKeysAccepted, "nothing: the key is unknown"});
    }
  }

  template <typename Number>
  void set_number(std::string_view variable, std::string_view shown, std::string_view text,
                  int64_t max, Number& option) {
    if (const auto value = parse_number(text, max)) {
      option = static_cast<Number>(*value);
      return;
    }
    const std::string accepted = "a number from 0 to " + std::to_string(max);
    report_({variable, shown, accepted, std::to_string(option)});
  }

  void set_switch(std::string_view setting, std::string_view value, bool& option) {
    if (value == "0" || value == "1") {
      option = value == "1";
    } else {
      report_({"GODEBUG", setting, "0 or 1", option ? "1" : "0"});
    }
  }

  void set_reports(std::string_view setting, std::string_view value) {
    if (value == "print" || value == "abort") {
      options_.reports_abort = value == "abort";
    } else {
      report_({"GODEBUG", setting, "print or abort", options_.reports_abort ? "abort" : "print"});
    }
  }

  void set_signal(std::string_view setting, std::string_view value) {
    if (const auto number = parse_signal(value)) {
      options_.gcsignal = *number;
    } else {
      report_({"GODEBUG", setting, kSignalAccepted,
               options_.gcsignal == 0 ? "no signal" : "the signal given before"});
    }
  }

  // The same and SIGQUIT, which ends a program that has not asked for this.
  void set_dump_signal(std::string_view setting, std::string_view value) {
    if (value == "QUIT" || value == "SIGQUIT") {
      options_.dumpsignal = SIGQUIT;
    } else if (const auto number = parse_signal(value)) {
      options_.dumpsignal = *number;
    } else {
      report_({"GODEBUG", setting, kDumpSignalAccepted,
               options_.dumpsignal == 0 ? "no signal" : "the signal given before"});
    }
  }

  void set_handshake_signal(std::string_view setting, std::string_view value) {
    if (const auto number = parse_handshake_signal(value)) {
      options_.handshakesignal = *number;
    } else {
      report_({"GODEBUG", setting, kHandshakeSignalAccepted,
               options_.handshakesignal == 0 ? "SIGURG" : "the signal given before"});
    }
  }

  const OptionGetter& get_;
  const OptionReporter& report_;
  Options options_;
  bool types_given_ = false;
  bool rate_given_ = false;
};

std::string printable(std::string_view text) {
  constexpr size_t kMaxShown = 120;
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string shown;
  for (const char character : text.substr(0, kMaxShown)) {
    const auto byte = static_cast<unsigned char>(character);
    if (byte >= 0x20 && byte < 0x7f) {
      shown += character;
    } else {
      shown += "\\x";
      shown += kHex[byte >> 4];
      shown += kHex[byte & 15];
    }
  }
  if (text.size() > kMaxShown) shown += "...";
  return shown;
}

}  // namespace

Options parse_options(const OptionGetter& get, const OptionReporter& report) {
  return Parser(get, report).run();
}

std::string describe(const OptionComplaint& complaint) {
  std::string line = "tricolor: ";
  line += complaint.variable;
  line += ": \"";
  line += printable(complaint.value);
  line += "\" is not understood; accepted: ";
  line += complaint.accepted;
  line += "; using ";
  line += complaint.used;
  return line;
}

Options options_from_environment() {
  const auto report = [](const OptionComplaint& complaint) {
    const std::string line = describe(complaint) + "\n";
    const NoCancellation whole;
    ssize_t written;
    do {
      written = ::write(STDERR_FILENO, line.data(), line.size());
    } while (written < 0 && errno == EINTR);
  };
  return parse_options([](const char* name) { return std::getenv(name); }, report);
}

}  // namespace tricolor::runtime
