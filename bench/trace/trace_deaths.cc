// trace-deaths: computes when each object of a trace with reference stores and roots dies, and
// writes the trace anew with the deaths in it.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <string>

#include "bench/trace/deaths.h"
#include "bench/trace/error.h"

int main(int argc, char** argv) {
  using namespace bench::trace;
  CLI::App app(
      "Computes the deaths of a trace's objects from its reference stores and roots, and writes "
      "the "
      "trace with them.");
  std::string from;
  std::string to;
  Writer::Options options;
  app.add_option("trace", from, "The trace")->required();
  app.add_option("-o,--output", to, "The new trace")->required();
  app.add_option("--level", options.level, "Of compression: higher is smaller and slower (3)")
      ->check(CLI::Range(1, 22));
  CLI11_PARSE(app, argc, argv);
  try {
    Reader first(from);
    const Graph graph = read_graph(first);
    std::ofstream out(to, std::ios::binary | std::ios::trunc);
    if (!out) throw TraceError(to, "cannot be created");
    Reader second(from);
    options.chunk_bytes = kMaxRawBytes;
    write_with_deaths(second, graph, out, options);
    uint64_t deaths = 0;
    for (const GraphObject& object : graph.objects) deaths += object.end != kNever ? 1 : 0;
    fmt::print("{}: {} of {} objects die\n", to, deaths, graph.objects.size());
  } catch (const std::exception& error) {
    fmt::print(stderr, "trace-deaths: {}\n", error.what());
    return 1;
  }
  return 0;
}
