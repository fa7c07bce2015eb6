// trace-info: says what a trace contains, as text, as JSON or event by event.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "bench/trace/error.h"
#include "bench/trace/json.h"
#include "bench/trace/reader.h"
#include "bench/trace/summary.h"

namespace {

using namespace bench::trace;

std::string name_of(uint64_t object) {
  return object == kNullObject ? "null" : fmt::format("#{}", object);
}

void dump(Reader& reader) {
  for (Event event; reader.next(event);) {
    fmt::print("{:>8} t{} {:<13}", event.ticket, event.thread, kind_name(event.kind));
    switch (event.kind) {
      case Kind::kTypeDef:
        fmt::print(" {} {} bytes {}", event.type.number, event.type.bytes, event.type.name);
        break;
      case Kind::kAlloc:
      case Kind::kAllocZeroed:
        fmt::print(" {} {}", name_of(event.object), event.amount);
        break;
      case Kind::kAllocAligned:
        fmt::print(" {} {} align {}", name_of(event.object), event.amount,
                   uint64_t{1} << event.align_log2);
        break;
      case Kind::kAllocTyped:
        fmt::print(" {} type {} x {}", name_of(event.object), event.number, event.amount);
        break;
      case Kind::kRealloc:
        fmt::print(" {} {} was {}", name_of(event.object), event.amount, name_of(event.target));
        break;
      case Kind::kFree:
      case Kind::kDeath:
        fmt::print(" {}", name_of(event.object));
        break;
      case Kind::kStore:
        fmt::print(" {}[{}] = {}", name_of(event.object), event.number, name_of(event.target));
        break;
      case Kind::kRootSet:
        fmt::print(" root {} = {}", event.number, name_of(event.target));
        break;
      case Kind::kRootClear:
      case Kind::kThreadStart:
      case Kind::kRequestBegin:
      case Kind::kRequestEnd:
        fmt::print(" {}", event.number);
        break;
      case Kind::kThreadEnd:
        break;
      case Kind::kMark:
        fmt::print(" {}", event.text);
        break;
    }
    fmt::print("\n");
  }
}

void print_json(const Reader& reader, const Summary& summary) {
  fmt::print(
      R"({{"file":{},"program":{},"file_bytes":{},"chunks":{},"threads":{},"events":{},)"
      R"("objects":{},"survivors":{},"allocated_bytes":{},"peak_objects":{},"peak_bytes":{},)"
      R"("unplaced":{}}})"
      "\n",
      json_string(reader.name()), json_string(reader.property("program")), reader.file_bytes(),
      reader.footer().chunks, summary.threads, summary.events, summary.objects, summary.survivors,
      summary.allocated_bytes, summary.peak_objects, summary.peak_bytes, reader.footer().unplaced);
}

void print_text(const Reader& reader, const Summary& summary) {
  constexpr double kMiB = 1 << 20;
  fmt::print("{}: a trace of {}, {:.2f} MiB, {} chunks, {} threads\n", reader.name(),
             reader.property("program"), static_cast<double>(reader.file_bytes()) / kMiB,
             reader.footer().chunks, summary.threads);
  fmt::print("  {} events, {:.2f} bytes each in the file\n", summary.events,
             static_cast<double>(reader.file_bytes()) /
                 static_cast<double>(std::max<uint64_t>(summary.events, 1)));
  for (size_t kind = 1; kind <= kLastKind; ++kind) {
    if (summary.by_kind[kind] == 0) continue;
    fmt::print("    {:<14}{:>10}\n", kind_name(static_cast<Kind>(kind)), summary.by_kind[kind]);
  }
  fmt::print(
      "  {} objects, {:.1f} MiB in all; at most {} with {:.1f} MiB alive at once; {} never end\n",
      summary.objects, static_cast<double>(summary.allocated_bytes) / kMiB, summary.peak_objects,
      static_cast<double>(summary.peak_bytes) / kMiB, summary.survivors);
  for (size_t i = 0; i < summary.by_size.size(); ++i) {
    if (summary.by_size[i] == 0) continue;
    fmt::print("    <= {:<11}{:>10}\n", uint64_t{16} << i, summary.by_size[i]);
  }
  if (reader.footer().unplaced != 0) {
    fmt::print("  {} frees and reallocs of blocks from before the recording\n",
               reader.footer().unplaced);
  }
  for (const std::string& mark : summary.marks) fmt::print("  mark: {}\n", mark);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Says what an allocation trace contains.");
  std::string file;
  bool as_json = false;
  bool as_events = false;
  app.add_option("trace", file, "The trace")->required();
  app.add_flag("--json", as_json, "One line of JSON");
  app.add_flag("--dump", as_events, "Every event, one a line");
  CLI11_PARSE(app, argc, argv);
  try {
    Reader reader(file);
    if (as_events) {
      dump(reader);
      return 0;
    }
    const Summary summary = summarize(reader);
    if (as_json) {
      print_json(reader, summary);
    } else {
      print_text(reader, summary);
    }
  } catch (const TraceError& error) {
    fmt::print(stderr, "trace-info: {}\n", error.what());
    return 1;
  }
  return 0;
}
