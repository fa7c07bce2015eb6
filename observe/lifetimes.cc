// The report of lifetimes: what the samples of each place tell, and what could be done about it.

#include <algorithm>
#include <map>
#include <vector>

#include "gc/options.h"
#include "observe/profile.h"
#include "observe/samples.h"
#include "observe/symbols.h"
#include "observe/types.h"
#include "runtime/base/check.h"
#include "runtime/thread.h"

namespace tricolor::observe {

namespace {

constexpr size_t kMostPlaces = 50;
constexpr size_t kShownFrames = 6;
constexpr uint64_t kFewSamples = 10;

// All sites of one stack and type.
struct Lifetimes {
  std::vector<uintptr_t> frames;
  std::string type;
  double objects = 0;
  double bytes = 0;
  uint64_t decided = 0;  // samples whose fate a cycle has decided about
  uint64_t died = 0;
  uint64_t young = 0;
  uint64_t ages = 0;
  uint64_t oldest = 0;
  uint64_t left_frame = 0;
  uint64_t left_thread = 0;

  double share(uint64_t count) const noexcept {
    return decided == 0 ? 0 : 100.0 * static_cast<double>(count) / static_cast<double>(decided);
  }
};

std::vector<Lifetimes> gather(int64_t rate) {
  std::map<std::pair<std::vector<uintptr_t>, uint16_t>, Lifetimes> places;
  g_samples.for_each_site([&](const Site& site) {
    std::vector<uintptr_t> frames(site.frames(), site.frames() + site.depth);
    Lifetimes& l = places[{frames, site.type}];
    l.frames = std::move(frames);
    if (const TypeInfo* const type = g_known_types.type(site.type)) l.type = type->name;
    const auto load = [](const std::atomic<uint64_t>& count) {
      return count.load(std::memory_order_relaxed);
    };
    const uint64_t allocated = load(site.done.allocated);
    const double objects = static_cast<double>(allocated + load(site.pending[0].allocated) +
                                               load(site.pending[1].allocated)) *
                           objects_per_sample(site.size, rate);
    l.objects += objects;
    l.bytes += objects * static_cast<double>(site.size);
    l.decided += allocated;
    l.died += load(site.done.freed);
    l.young += load(site.died_young);
    l.ages += load(site.ages);
    l.oldest = std::max(l.oldest, load(site.oldest));
    l.left_frame += load(site.left_frame);
    l.left_thread += load(site.left_thread);
  });
  std::vector<Lifetimes> sorted;
  for (auto& [key, l] : places) sorted.push_back(std::move(l));
  std::sort(sorted.begin(), sorted.end(),
            [](const Lifetimes& a, const Lifetimes& b) { return a.bytes > b.bytes; });
  if (sorted.size() > kMostPlaces) sorted.resize(kMostPlaces);
  return sorted;
}

const char* advice(const Lifetimes& l) noexcept {
  constexpr double kNearlyAll = 95;
  constexpr double kMost = 70;
  if (l.decided < kFewSamples) return "too few samples to say";
  const double young = l.share(l.young);
  // A few are kept by words that somebody left on a stack.
  constexpr double kStray = 2;
  if (young >= kNearlyAll && l.share(l.left_frame) <= kStray)
    return "put it on the stack: none was seen alive after the function that made it had returned";
  if (young >= kMost) return "use a pool (sync::Pool): most die before the next cycle";
  return "keep: it lives on";
}

std::string number(double value) {
  char text[40];
  constexpr const char* kUnits[] = {"", "k", "M", "G", "T"};
  size_t unit = 0;
  for (; value >= 10'000 && unit + 1 < std::size(kUnits); ++unit) value /= 1000;
  runtime::format_to(text, sizeof text, "%.0f%s", value, kUnits[unit]);
  return text;
}

std::string percent(double value) {
  char text[24];
  runtime::format_to(text, sizeof text, "%.0f%%", value);
  return text;
}

std::string mean_age(const Lifetimes& l) {
  char text[24];
  if (l.died == 0) return "-";
  runtime::format_to(text, sizeof text, "%.1f",
                     static_cast<double>(l.ages) / static_cast<double>(l.died));
  return text;
}

std::string padded(const std::string& text, size_t width) {
  return text.size() >= width ? text + " " : std::string(width - text.size(), ' ') + text + " ";
}

constexpr const char* kMeaning =
    "first cycle: unreachable in the first cycle after it was made; in frame, in thread: not seen "
    "alive by a cycle "
    "after the function, the thread, that made it had ended; age: cycles survived, mean of the "
    "dead and peak of all";

std::string as_text(const std::vector<Lifetimes>& places, const Symbols& symbols) {
  std::string text = std::string("lifetimes by allocation site\n") + kMeaning + "\n\n";
  text += "     bytes   objects  first cycle  in frame  in thread  mean age  peak age\n";
  for (const Lifetimes& l : places) {
    text += padded(number(l.bytes), 10) + padded(number(l.objects), 9) +
            padded(percent(l.share(l.young)), 12) +
            padded(percent(100 - l.share(l.left_frame)), 9) +
            padded(percent(100 - l.share(l.left_thread)), 10) + padded(mean_age(l), 9) +
            padded(std::to_string(l.oldest), 9) + "\n";
    text += "    " + (l.type.empty() ? std::string("(unknown type)") : l.type) + ": " + advice(l) +
            "\n";
    for (size_t i = 0; i < std::min(kShownFrames, l.frames.size()); ++i)
      text += "        " + describe_place(symbols, l.frames[i]) + "\n";
  }
  return text;
}

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '&':
        out += "&amp;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string as_html(const std::vector<Lifetimes>& places, const Symbols& symbols) {
  std::string page =
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Lifetimes</title>\n"
      "<style>body{font:14px sans-serif}table{border-collapse:collapse}td,th{padding:4px 8px;"
      "border-bottom:1px solid #ccc;text-align:right;vertical-align:top}td.l,th.l{text-align:left}"
      "pre{margin:0}</style></head><body>\n<h1>Lifetimes by allocation site</h1>\n<p>";
  page += std::string(kMeaning) + "</p>\n<table>\n<tr>";
  for (const char* head :
       {"bytes", "objects", "first cycle", "in frame", "in thread", "mean age", "peak age"})
    page += std::string("<th>") + head + "</th>";
  page += "<th class=\"l\">type and place</th><th class=\"l\">advice</th></tr>\n";
  for (const Lifetimes& l : places) {
    page += "<tr>";
    for (const std::string& cell :
         {number(l.bytes), number(l.objects), percent(l.share(l.young)),
          percent(100 - l.share(l.left_frame)), percent(100 - l.share(l.left_thread)), mean_age(l),
          std::to_string(l.oldest)})
      page += "<td>" + cell + "</td>";
    page += "<td class=\"l\"><b>" + escaped(l.type) + "</b><pre>";
    for (size_t i = 0; i < std::min(kShownFrames, l.frames.size()); ++i)
      page += escaped(describe_place(symbols, l.frames[i])) + "\n";
    page += "</pre></td><td class=\"l\">" + escaped(advice(l)) + "</td></tr>\n";
  }
  return page + "</table>\n</body></html>\n";
}

}  // namespace

std::string lifetimes(bool html) {
  runtime::Thread::attached();  // the options are read
  const std::vector<Lifetimes> places = gather(gc::options().memprofilerate);
  Symbols symbols;
  std::vector<uintptr_t> addresses;
  for (const Lifetimes& l : places)
    addresses.insert(addresses.end(), l.frames.begin(), l.frames.end());
  symbols.resolve(std::move(addresses));
  return html ? as_html(places, symbols) : as_text(places, symbols);
}

}  // namespace tricolor::observe
