#include "bench/replay/measure.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <fstream>
#include <string>

#include "bench/replay/clock.h"
#include "bench/trace/json.h"

namespace bench::replay {
namespace {

// A line "VmHWM:   1234 kB" of /proc/self/status; 0 when the system has no such file.
uint64_t status_bytes(const std::string& key) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.compare(0, key.size(), key) == 0) return std::stoull(line.substr(key.size())) * 1024;
  }
  return 0;
}

// Makes VmHWM start again at the present size; false where the kernel does not offer it, and the
// peak then includes the reading of the trace.
bool reset_peak() {
  std::ofstream clear("/proc/self/clear_refs");
  clear << "5";
  clear.flush();
  return static_cast<bool>(clear);
}

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

}  // namespace

Measurement::Measurement() {
  reset_peak();
  base_bytes_ = status_bytes("VmRSS:");
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  user_ = seconds(usage.ru_utime);
  system_ = seconds(usage.ru_stime);
  began_ns_ = nanoseconds();
  began_ticks_ = ticks();
}

void Measurement::stop(const Stalls& stalls, Report& report) const {
  const double elapsed_ns = static_cast<double>(nanoseconds() - began_ns_);
  const double ns_per_tick = elapsed_ns / static_cast<double>(ticks() - began_ticks_);
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  report.wall_s = elapsed_ns * 1e-9;
  report.user_s = seconds(usage.ru_utime) - user_;
  report.system_s = seconds(usage.ru_stime) - system_;
  report.base_bytes = base_bytes_;
  report.peak_bytes = status_bytes("VmHWM:");
  if (report.peak_bytes == 0) report.peak_bytes = static_cast<uint64_t>(usage.ru_maxrss) * 1024;
  report.longest_stall_us = static_cast<double>(stalls.longest()) * ns_per_tick * 1e-3;
  report.longest_batch_us = static_cast<double>(stalls.longest_batch()) * ns_per_tick * 1e-3;
}

std::string to_json(const Report& report, const ProgramInfo& program) {
  const uint64_t times = report.repeat * report.scale;
  const double cpu = report.user_s + report.system_s;
  std::string json = fmt::format(
      R"({{"backend":{},"allocator":{},"trace":{},"repeat":{},"scale":{},"threads":{},)"
      R"("operations":{},"allocations":{},"allocated_bytes":{},"live_peak_bytes":{},"links":{},)"
      R"("stores":{},"held":{},"waits":{},)",
      trace::json_string(report.backend), trace::json_string(report.allocator),
      trace::json_string(report.trace), report.repeat, report.scale, report.threads,
      report.operations, program.allocations * times, program.allocated_bytes * times,
      program.peak_bytes * report.scale, program.links * times, program.stores * times,
      program.held * times, program.waits * times);
  json += fmt::format(
      R"("wall_s":{:.6f},"cpu_s":{:.6f},"user_s":{:.6f},"system_s":{:.6f},"decode_s":{:.6f},)"
      R"("decode_share":{:.4f},"base_bytes":{},"peak_bytes":{},"collections":{},)"
      R"("longest_stall_us":{:.1f},"longest_batch_us":{:.1f},"checksum":"{:016x}")",
      report.wall_s, cpu, report.user_s, report.system_s, report.decode_s,
      cpu > 0 ? report.decode_s / cpu : 0, report.base_bytes, report.peak_bytes, report.collections,
      report.longest_stall_us, report.longest_batch_us, report.checksum);
  if (!report.oracle.empty()) json += ",\"oracle\":" + report.oracle;
  return json + "}";
}

}  // namespace bench::replay
