#include "observe/orders.h"

#include <charconv>
#include <csignal>
#include <optional>
#include <utility>

namespace tricolor::observe {

namespace {

constexpr std::string_view kVariable = "TRICOLOR_PROFILE";
constexpr std::string_view kAccepted =
    "WHAT:PATH or WHAT@WHEN:PATH, separated by commas; WHAT: heap, allocs, lifetimes, cpu or "
    "timeline; WHEN: exit, seconds as in 30s, or one of HUP, USR1, USR2, IO, PWR or WINCH (cpu: "
    "exit alone)";

std::optional<OrderKind> kind_of(std::string_view name) {
  constexpr std::pair<std::string_view, OrderKind> kKinds[] = {{"heap", OrderKind::kHeap},
                                                               {"allocs", OrderKind::kAllocs},
                                                               {"lifetimes", OrderKind::kLifetimes},
                                                               {"cpu", OrderKind::kCpu},
                                                               {"timeline", OrderKind::kTimeline}};
  for (const auto& [text, kind] : kKinds) {
    if (text == name) return kind;
  }
  return std::nullopt;
}

bool parse_when(std::string_view text, Order& order) {
  constexpr std::pair<std::string_view, int> kSignals[] = {{"HUP", SIGHUP},   {"USR1", SIGUSR1},
                                                           {"USR2", SIGUSR2}, {"IO", SIGIO},
                                                           {"PWR", SIGPWR},   {"WINCH", SIGWINCH}};
  if (text == "exit") return true;
  const std::string_view name = text.starts_with("SIG") ? text.substr(3) : text;
  for (const auto& [known, number] : kSignals) {
    if (known == name) order.signal = number;
  }
  if (order.signal != 0) return true;
  if (!text.ends_with('s')) return false;
  text.remove_suffix(1);
  int64_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  constexpr int64_t kMost = 1'000'000;
  if (error != std::errc{} || end != text.data() + text.size() || seconds < 1 || seconds > kMost)
    return false;
  order.every_ns = seconds * 1'000'000'000;
  return true;
}

std::optional<Order> parse_order(std::string_view text) {
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos || colon + 1 == text.size()) return std::nullopt;
  Order order;
  order.path = text.substr(colon + 1);
  std::string_view what = text.substr(0, colon);
  if (const size_t at = what.find('@'); at != std::string_view::npos) {
    if (!parse_when(what.substr(at + 1), order)) return std::nullopt;
    what = what.substr(0, at);
  }
  const std::optional<OrderKind> kind = kind_of(what);
  if (!kind || (*kind == OrderKind::kCpu && !order.at_exit())) return std::nullopt;
  order.kind = *kind;
  return order;
}

}  // namespace

std::vector<Order> parse_orders(std::string_view text, const runtime::OptionReporter& report) {
  std::vector<Order> orders;
  while (!text.empty()) {
    const size_t comma = std::min(text.find(','), text.size());
    const std::string_view one = text.substr(0, comma);
    text.remove_prefix(std::min(comma + 1, text.size()));
    if (one.empty()) continue;
    if (std::optional<Order> order = parse_order(one)) {
      orders.push_back(std::move(*order));
    } else {
      report({kVariable, one, kAccepted, "nothing: no such profile is written"});
    }
  }
  return orders;
}

std::string path_of(const Order& order, int pid, uint64_t number) {
  std::string path;
  for (size_t i = 0; i < order.path.size(); ++i) {
    const char next = i + 1 < order.path.size() ? order.path[i + 1] : '\0';
    if (order.path[i] == '%' && (next == 'p' || next == 'n')) {
      path += next == 'p' ? std::to_string(pid) : std::to_string(number);
      ++i;
    } else {
      path += order.path[i];
    }
  }
  return path;
}

}  // namespace tricolor::observe
