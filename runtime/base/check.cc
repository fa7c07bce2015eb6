#include "runtime/base/check.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include <tricolor/detail/config.hpp>

#include "runtime/base/end_program.h"
#include "runtime/base/no_cancellation.h"

namespace tricolor::runtime {
namespace {

// Taken (exchange) by the first failing thread. The hook is a function: nothing else is published.
std::atomic<FailureHook> failure_hook{nullptr};

class Output {
 public:
  Output(char* buffer, size_t size) noexcept : next_(buffer), end_(buffer + size - 1) {}

  void put(char c) noexcept {
    if (next_ < end_) *next_++ = c;
  }
  void put(const char* text, size_t length) noexcept {
    while (length-- > 0) put(*text++);
  }
  void pad(char c, size_t count) noexcept {
    while (count-- > 0 && next_ < end_) put(c);
  }
  char* finish() noexcept {
    *next_ = '\0';
    return next_;
  }

 private:
  char* next_;
  char* end_;  // kept free for the terminator
};

struct Spec {
  bool left = false;
  bool zero = false;
  size_t width = 0;
  int precision = -1;
};

void put_field(Output& out, const Spec& spec, const char* sign, const char* body,
               size_t length) noexcept {
  const size_t sign_length = std::strlen(sign);
  const size_t used = sign_length + length;
  const size_t padding = spec.width > used ? spec.width - used : 0;
  if (!spec.left && !spec.zero) out.pad(' ', padding);
  out.put(sign, sign_length);
  if (!spec.left && spec.zero) out.pad('0', padding);
  out.put(body, length);
  if (spec.left) out.pad(' ', padding);
}

constexpr size_t kDigits = 64;

// Writes the digits before `end`; gives their start.
char* digits_before(char* end, uint64_t value, unsigned base, bool upper) noexcept {
  const char* digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
  do {
    *--end = digits[value % base];
    value /= base;
  } while (value != 0);
  return end;
}

void put_integer(Output& out, const Spec& spec, const char* sign, uint64_t value, unsigned base,
                 bool upper = false) noexcept {
  char digits[kDigits];
  char* const end = digits + kDigits;
  const char* const start = digits_before(end, value, base, upper);
  put_field(out, spec, sign, start, static_cast<size_t>(end - start));
}

void put_signed(Output& out, const Spec& spec, int64_t value) noexcept {
  const uint64_t magnitude =
      value < 0 ? uint64_t{0} - static_cast<uint64_t>(value) : static_cast<uint64_t>(value);
  put_integer(out, spec, value < 0 ? "-" : "", magnitude, 10);
}

void put_double(Output& out, const Spec& spec, double value) noexcept {
  const bool negative = value < 0;
  const char* const sign = negative ? "-" : "";
  if (negative) value = -value;
  Spec plain = spec;
  plain.zero = false;
  if (value != value) return put_field(out, plain, "", "nan", 3);
  if (value > 1e18)
    return put_field(out, plain, sign, value > 1e308 ? "inf" : "huge", value > 1e308 ? 3 : 4);

  const unsigned precision = spec.precision < 0   ? 6u
                             : spec.precision > 9 ? 9u
                                                  : static_cast<unsigned>(spec.precision);
  uint64_t scale = 1;
  for (unsigned i = 0; i < precision; ++i) scale *= 10;
  uint64_t whole = static_cast<uint64_t>(value);
  uint64_t fraction = static_cast<uint64_t>(
      (value - static_cast<double>(whole)) * static_cast<double>(scale) + 0.5);
  if (fraction >= scale) {
    ++whole;
    fraction -= scale;
  }
  char text[kDigits];
  char* const end = text + kDigits;
  char* start = end;
  if (precision > 0) {
    start = digits_before(end, fraction, 10, false);
    while (start > end - precision) *--start = '0';
    *--start = '.';
  }
  start = digits_before(start, whole, 10, false);
  put_field(out, spec, sign, start, static_cast<size_t>(end - start));
}

size_t bounded_length(const char* text, int precision) noexcept {
  return precision < 0 ? std::strlen(text) : strnlen(text, static_cast<size_t>(precision));
}

// The argument list behind a pointer, so that helpers can take from it.
struct Arguments {
  va_list list;
};

// Sign-extends; the caller narrows for an unsigned conversion.
int64_t take_integer(Arguments& args, int longs, bool is_unsigned) noexcept {
  if (longs >= 2) return va_arg(args.list, long long);
  if (longs == 1) return va_arg(args.list, long);
  const int value = va_arg(args.list, int);
  int64_t wide = value;
  if (is_unsigned) wide = static_cast<int64_t>(static_cast<unsigned>(value));
  if (longs == -1)
    wide = is_unsigned ? static_cast<unsigned short>(value) : static_cast<short>(value);
  if (longs <= -2) {
    wide = is_unsigned ? static_cast<unsigned char>(value) : static_cast<signed char>(value);
  }
  return wide;
}

size_t parse_number(const char*& at, Arguments& args, bool* negative) noexcept {
  *negative = false;
  if (*at == '*') {
    ++at;
    const int value = va_arg(args.list, int);
    *negative = value < 0;
    return static_cast<size_t>(value < 0 ? -value : value);
  }
  size_t value = 0;
  while (*at >= '0' && *at <= '9') value = value * 10 + static_cast<size_t>(*at++ - '0');
  return value;
}

// `at` stands behind the percent sign; gives the place behind the conversion.
const char* put_conversion(Output& out, const char* at, Arguments& args) noexcept {
  Spec spec;
  for (;; ++at) {
    if (*at == '-') {
      spec.left = true;
    } else if (*at == '0') {
      spec.zero = true;
    } else {
      break;
    }
  }
  bool negative = false;
  spec.width = parse_number(at, args, &negative);
  if (negative) spec.left = true;
  if (*at == '.') {
    ++at;
    const size_t precision = parse_number(at, args, &negative);
    spec.precision = negative ? -1 : static_cast<int>(precision);
  }
  int longs = 0;
  for (; *at == 'h' || *at == 'l' || *at == 'z' || *at == 'j' || *at == 't'; ++at) {
    if (*at == 'h') {
      --longs;
    } else {
      ++longs;
    }
  }
  Spec text = spec;
  text.zero = false;
  switch (*at) {
    case 'd':
    case 'i':
      put_signed(out, spec, take_integer(args, longs, false));
      break;
    case 'u':
      put_integer(out, spec, "", static_cast<uint64_t>(take_integer(args, longs, true)), 10);
      break;
    case 'o':
      put_integer(out, spec, "", static_cast<uint64_t>(take_integer(args, longs, true)), 8);
      break;
    case 'x':
    case 'X':
      put_integer(out, spec, "", static_cast<uint64_t>(take_integer(args, longs, true)), 16,
                  *at == 'X');
      break;
    case 'p':
      put_integer(out, spec, "0x", reinterpret_cast<uintptr_t>(va_arg(args.list, void*)), 16);
      break;
    case 'c': {
      const char c = static_cast<char>(va_arg(args.list, int));
      put_field(out, text, "", &c, 1);
      break;
    }
    case 's': {
      const char* value = va_arg(args.list, const char*);
      if (value == nullptr) value = "(null)";
      put_field(out, text, "", value, bounded_length(value, spec.precision));
      break;
    }
    case 'f':
    case 'g':
      put_double(out, spec, va_arg(args.list, double));
      break;
    case '%':
      out.put('%');
      break;
    case '\0':
      return at;
    default:
      // Its argument is unknown, so nothing after it can be trusted: show the rest as it is
      // written.
      out.put('%');
      while (*at != '\0') out.put(*at++);
      return at;
  }
  return at + 1;
}

// One line, built up on the stack and written at once: [check.no-malloc].
class Line {
 public:
  Line() noexcept { add("tricolor: "); }

  void add(const char* format, ...) noexcept __attribute__((format(printf, 2, 3))) {
    va_list args;
    va_start(args, format);
    add_list(format, args);
    va_end(args);
  }
  void add_list(const char* format, va_list args) noexcept __attribute__((format(printf, 2, 0))) {
    length_ += vformat_to(text_ + length_, kReportLineBytes - length_, format, args);
  }

  void write_out() noexcept {
    if (length_ == kReportLineBytes - 1) std::memcpy(text_ + length_ - 3, "...", 3);
    text_[length_++] = '\n';
    const NoCancellation whole;
    const int saved_errno = errno;
    size_t done = 0;
    while (done < length_) {
      const ssize_t written = ::write(STDERR_FILENO, text_ + done, length_ - done);
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) break;
      done += static_cast<size_t>(written);
    }
    errno = saved_errno;
  }

 private:
  size_t length_ = 0;
  char text_[kReportLineBytes + 1];
};

[[noreturn]] void fail() noexcept {
  const FailureHook hook = failure_hook.exchange(nullptr, std::memory_order_relaxed);
  if (hook != nullptr) hook();
  std::abort();
}

}  // namespace

size_t vformat_to(char* buffer, size_t size, const char* format, va_list list) noexcept {
  if (size == 0) return 0;
  Output out(buffer, size);
  Arguments args;
  va_copy(args.list, list);
  for (const char* at = format; *at != '\0';) {
    if (*at == '%') {
      at = put_conversion(out, at + 1, args);
    } else {
      out.put(*at++);
    }
  }
  va_end(args.list);
  return static_cast<size_t>(out.finish() - buffer);
}

size_t format_to(char* buffer, size_t size, const char* format, ...) noexcept {
  va_list args;
  va_start(args, format);
  const size_t length = vformat_to(buffer, size, format, args);
  va_end(args);
  return length;
}

void report(const char* format, ...) noexcept {
  Line line;
  va_list args;
  va_start(args, format);
  line.add_list(format, args);
  va_end(args);
  line.write_out();
}

void fatal(const char* format, ...) noexcept {
  Line line;
  line.add("fatal: ");
  va_list args;
  va_start(args, format);
  line.add_list(format, args);
  va_end(args);
  line.write_out();
  fail();
}

void end_program() noexcept { fail(); }

void set_failure_hook(FailureHook hook) noexcept {
  failure_hook.store(hook, std::memory_order_relaxed);
}

void check_failed(const char* kind, const char* expression, const char* file, int line_number,
                  const char* format, ...) noexcept {
  Line line;
  line.add("%s failed at %s:%d: %s: ", kind, file, line_number, expression);
  va_list args;
  va_start(args, format);
  line.add_list(format, args);
  va_end(args);
  line.write_out();
  fail();
}

}  // namespace tricolor::runtime
