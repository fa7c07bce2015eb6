#include "runtime/trace_log.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>

#include "runtime/base/no_cancellation.h"

namespace tricolor::runtime {

// [trace.no-heap] All text of a line comes through here, into its own buffer.
TraceLine& TraceLine::append(std::string_view text) {
  const size_t room = kCapacity - 1 - size_;  // one byte stays for the newline
  const size_t count = std::min(text.size(), room);
  std::memcpy(buffer_.data() + size_, text.data(), count);
  size_ += count;
  return *this;
}

TraceLine& TraceLine::append(int64_t value) {
  char digits[24];
  const auto result = std::to_chars(digits, digits + sizeof digits, value);
  return append({digits, static_cast<size_t>(result.ptr - digits)});
}

TraceLine& TraceLine::append_mb(int64_t bytes) { return append(std::max<int64_t>(bytes, 0) >> 20); }

TraceLine& TraceLine::append_kib(int64_t bytes) {
  return append(std::max<int64_t>(bytes, 0) >> 10);
}

TraceLine& TraceLine::append_us(int64_t ns) { return append(std::max<int64_t>(ns, 0) / 1000); }

TraceLine& TraceLine::append_percent(double fraction) {
  // A NaN fails the comparison and prints as 0.
  const double percent = fraction > 0 ? std::min(fraction * 100, 1e9) : 0;
  return append(static_cast<int64_t>(percent));
}

TraceLine& TraceLine::append_ms(int64_t ns) {
  if (ns >= 10'000'000) return append(ns / 1'000'000);
  int64_t value = std::max<int64_t>(ns, 0) / 1000;
  if (value == 0) return append("0");
  int decimals = 3;
  for (; value >= 100; value /= 10) --decimals;
  return append_scaled(value, decimals);
}

TraceLine& TraceLine::append_scaled(int64_t value, int decimals) {
  int64_t scale = 1;
  for (int i = 0; i < decimals; ++i) scale *= 10;
  value = std::max<int64_t>(value, 0);
  append(value / scale);
  if (decimals == 0) return *this;
  append(".");
  for (int64_t rest = value % scale; scale > 1; rest %= scale) {
    scale /= 10;
    append(rest / scale);
  }
  return *this;
}

TraceLine& TraceLine::append_float(double value) {
  if (std::isnan(value)) return append("NaN");
  append(std::signbit(value) ? "-" : "+");
  value = std::fabs(value);
  if (std::isinf(value)) return append("Inf");
  char text[32];
  const auto result =
      std::to_chars(text, text + sizeof text, value, std::chars_format::scientific, 6);
  const std::string_view all(text, static_cast<size_t>(result.ptr - text));
  const size_t exponent = all.find('e') + 2;  // after "e+" or "e-"
  append(all.substr(0, exponent));
  for (size_t digits = all.size() - exponent; digits < 3; ++digits) append("0");
  return append(all.substr(exponent));
}

std::string_view TraceLine::finish() {
  if (size_ == 0 || buffer_[size_ - 1] != '\n') buffer_[size_++] = '\n';
  return {buffer_.data(), size_};
}

TraceLine format_gctrace(const CycleTrace& cycle) {
  TraceLine line;
  line.append("gc ").append(cycle.number);
  line.append(" @").append_scaled(cycle.start_ns / 1'000'000, 3);
  line.append("s ").append_percent(cycle.gc_cpu_fraction).append("%: ");
  line.append_ms(cycle.enter_wall_ns).append("+").append_ms(cycle.mark_wall_ns);
  line.append("+").append_ms(cycle.terminate_wall_ns).append(" ms clock, ");
  line.append_ms(cycle.enter_cpu_ns).append("+").append_ms(cycle.assist_cpu_ns);
  line.append("/").append_ms(cycle.background_cpu_ns).append("/").append_ms(cycle.idle_cpu_ns);
  line.append("+").append_ms(cycle.terminate_cpu_ns).append(" ms cpu, ");
  line.append_mb(cycle.heap_at_start).append("->").append_mb(cycle.heap_at_end);
  line.append("->").append_mb(cycle.heap_marked).append(" MB, ");
  line.append_mb(cycle.heap_goal).append(" MB goal, ");
  line.append_mb(cycle.stack_bytes).append(" MB stacks, ");
  line.append_mb(cycle.root_bytes).append(" MB globals, ");
  line.append(cycle.processors).append(" P");
  if (cycle.forced) line.append(" (forced)");
  return line;
}

TraceLine format_detail(const CycleTrace& cycle) {
  TraceLine line;
  line.append("gc ").append(cycle.number).append(" detail: ");
  line.append("handshakes=").append(cycle.handshakes);
  line.append(" max_handshake_us=").append_us(cycle.max_handshake_ns);
  line.append(" stalls=").append(cycle.stalls);
  line.append(" max_stall_us=").append_us(cycle.max_stall_ns);
  line.append(" assists=").append(cycle.assists);
  line.append(" max_assist_us=").append_us(cycle.max_assist_ns);
  line.append(" objects_scanned=").append(cycle.objects_scanned);
  line.append(" pages_swept=").append(cycle.pages_swept);
  line.append(" pool_hooks_us=").append_us(cycle.hooks_ns);
  line.append(" finalizer_queue=").append(cycle.finalizer_queue);
  line.append(" finalizer_queue_bytes=").append(cycle.finalizer_queue_bytes);
  line.append(" external_bytes=").append(cycle.external_bytes);
  if (!cycle.open) return line;
  line.append(" traced_kib=").append(cycle.traced_bytes >> 10);
  line.append(" precleans=").append(cycle.precleans);
  line.append(" dirty_pages=").append(cycle.dirty_pages);
  line.append(" stops=").append(cycle.stops);
  line.append(" max_stop_us=").append_us(cycle.longest_stop_ns);
  return line;
}

TraceLine format_pacer_start(const PacerStartTrace& start) {
  TraceLine line;
  line.append("pacer: assist ratio=").append_float(start.assist_work_per_byte);
  line.append(" (scan ").append_mb(start.heap_scan).append(" MB in ").append_mb(start.heap_live);
  line.append("->").append_mb(start.heap_goal).append(" MB) workers=");
  line.append(start.dedicated_workers).append("+").append_float(start.fractional_utilization);
  return line;
}

TraceLine format_pacer_end(const PacerEndTrace& end) {
  TraceLine line;
  line.append("pacer: ").append_percent(end.utilization).append("% CPU (");
  line.append_percent(end.expected_utilization).append(" exp.) for ");
  line.append(end.heap_work).append("+").append(end.stack_work).append("+").append(end.root_work);
  line.append(" B work (").append(end.expected_work).append(" B exp.) in ");
  line.append(end.heap_at_start).append(" B -> ").append(end.heap_at_end);
  line.append(" B (\u2206goal ").append(end.goal_difference);
  line.append(", cons/mark ").append_float(end.cons_mark).append(")");
  return line;
}

TraceLine format_scavtrace(const ScavengeTrace& scavenge) {
  TraceLine line;
  line.append("scav ").append_kib(scavenge.background_bytes).append(" KiB work (bg), ");
  line.append_kib(scavenge.eager_bytes).append(" KiB work (eager), ");
  line.append_kib(scavenge.total_bytes).append(" KiB total, ");
  line.append(scavenge.utilization_percent).append("% util");
  if (scavenge.forced) line.append(" (forced)");
  return line;
}

void write_line(TraceLine line, int fd) noexcept {
  const int saved_errno = errno;
  const std::string_view text = line.finish();
  const NoCancellation whole;
  ssize_t written;
  do {
    // [trace.one-write]
    written = ::write(fd, text.data(), text.size());
  } while (written < 0 && errno == EINTR);
  errno = saved_errno;
}

}  // namespace tricolor::runtime
