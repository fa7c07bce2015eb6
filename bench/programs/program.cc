#include "bench/programs/program.h"

#include <algorithm>
#include <utility>

#include "bench/process.h"
#include "bench/programs/requests.h"

namespace bench::programs {

Program::Program(int argc, char** argv)
    : arguments_(argv + std::min(argc, 1), argv + argc), quick_(has("--quick")) {}

bool Program::has(std::string_view name) const {
  return std::find(arguments_.begin(), arguments_.end(), name) != arguments_.end();
}

std::string Program::text(std::string_view name, std::string_view otherwise) const {
  std::string_view last = otherwise;
  for (const std::string_view argument : arguments_) {
    if (argument.size() > name.size() && argument.substr(0, name.size()) == name &&
        argument[name.size()] == '=')
      last = argument.substr(name.size() + 1);
  }
  return std::string(last);
}

std::uint64_t Program::number(std::string_view name, std::uint64_t full,
                              std::uint64_t quick) const {
  const std::string given = text(name, "");
  if (given.empty()) return quick_ ? quick : full;
  if (given.find_first_not_of("0123456789") != std::string::npos || given.size() > 18) {
    fmt::print(stderr, "{} takes a number, not {}\n", name, given);
    std::exit(2);
  }
  return std::stoull(given);
}

void Program::begin() {
  wall_ = now_s();
  cpu_ = process_cpu_s();
}

void Program::stop() {
  if (std::exchange(stopped_, true)) return;
  wall_ = now_s() - wall_;
  cpu_ = process_cpu_s() - cpu_;
}

void Program::figure(std::string_view name, double value) {
  figures_ += fmt::format(", \"{}\": {:.6g}", name, value);
}

int Program::end(std::uint64_t checksum, std::uint64_t collections, const Requests* requests) {
  stop();
  fmt::print(
      "{{\"checksum\": \"{:016x}\", \"wall s\": {:.6g}, \"cpu s\": {:.6g}, \"peak MB\": {:.6g}, "
      "\"collections\": {}{}{}}}\n",
      checksum, wall_, cpu_, peak_rss_mb(), collections, figures_,
      requests == nullptr ? "" : requests->json());
  return 0;
}

}  // namespace bench::programs
