// Makes the text of a snapshot, and debug::write_heap_snapshot().

#include <cstdio>
#include <string>
#include <utility>

#include "observe/snapshot.h"

#include <tricolor/debug_heap.hpp>

namespace tricolor::observe {

namespace {

constexpr std::uint64_t kNodeFields = 7;

std::uint64_t unzigzag(std::uint64_t number) noexcept {
  return number >> 1 ^ ((number & 1) != 0 ? ~std::uint64_t{0} : 0);
}

// A JSON string. What is no ASCII is left as it is: names are UTF-8 in the source.
std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char character : text) {
    if (character == '"' || character == '\\') out += '\\';
    if (static_cast<unsigned char>(character) >= 0x20) {
      out += character;
      continue;
    }
    char escape[8];
    std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(character));
    out += escape;
  }
  return out + '"';
}

}  // namespace

void Snapshot::write_head(OutputFile& out) const {
  out.write(
      R"({"snapshot":{"meta":{"node_fields":["type","name","id","self_size","edge_count","trace_node_id",)"
      R"("detachedness"],)"
      "\n"
      R"("node_types":[["hidden","array","string","object","code","closure","regexp","number","native","synthetic",)"
      R"("concatenated string","sliced string","symbol","bigint","object shape"],"string","number","number","number",)"
      R"("number","number"],)"
      "\n"
      R"("edge_fields":["type","name_or_index","to_node"],)"
      "\n"
      R"("edge_types":[["context","element","property","internal","hidden","shortcut","weak"],)"
      R"("string_or_number","node"],)"
      "\n"
      R"("trace_function_info_fields":["function_id","name","script_name","script_id","line","column"],)"
      R"("trace_node_fields":["id","function_info_index","count","size","children"],)"
      R"("sample_fields":["timestamp_us","last_assigned_id"],)"
      R"("location_fields":["object_index","script_id","line","column"]},)"
      "\n"
      R"("node_count":)");
  out.write(node_count_);
  out.write(R"(,"edge_count":)");
  out.write(edge_count_);
  // Of our own: an object lies at this address and (its id / 2) granules.
  char base[96];
  std::snprintf(base, sizeof base,
                R"(,"trace_function_count":0,"tricolor":{"heap_base":"0x%zx"}},)"
                "\n",
                heap_base_);
  out.write(base);
}

void Snapshot::write_nodes(OutputFile& out) {
  out.write("\"nodes\":[");
  nodes_.rewind();
  std::uint64_t id = 0;
  for (std::uint64_t i = 0; i < node_count_; ++i) {
    const std::uint64_t type = nodes_.get();
    const std::uint64_t name = nodes_.get();
    id += unzigzag(nodes_.get());
    const std::uint64_t size = nodes_.get();
    const std::uint64_t edges = nodes_.get();
    for (const std::uint64_t field : {type, name, id, size, edges}) {
      out.write(field);
      out.write(",");
    }
    out.write(i + 1 == node_count_ ? "0,0\n" : "0,0\n,");
  }
  out.write("],\n");
}

void Snapshot::write_edges(OutputFile& out) {
  out.write("\"edges\":[");
  edges_.rewind();
  std::uint64_t to = 0;
  for (std::uint64_t i = 0; i < edge_count_; ++i) {
    out.write(edges_.get());
    out.write(",");
    out.write(edges_.get());
    out.write(",");
    to += unzigzag(edges_.get());
    out.write(to * kNodeFields);
    out.write(i + 1 == edge_count_ ? "\n" : "\n,");
  }
  out.write("],\n");
}

void Snapshot::write_strings(OutputFile& out) const {
  out.write(
      "\"trace_function_infos\":[],\n\"trace_tree\":[],\n\"samples\":[],\n\"locations\":[],"
      "\n\"strings\":[");
  for (std::size_t i = 0; i < strings_.size(); ++i) {
    if (i != 0) out.write(",\n");
    out.write(quoted(strings_[i]));
  }
  out.write("]}\n");
}

void Snapshot::write(OutputFile& out) {
  write_head(out);
  write_nodes(out);
  write_edges(out);
  write_strings(out);
}

}  // namespace tricolor::observe

namespace tricolor::debug {

void write_heap_snapshot(const std::string& path) {
  observe::OutputFile out(path);
  observe::Snapshot snapshot(out.directory());
  {
    const gc::Inspection inspection;
    snapshot.gather();
  }
  snapshot.write(out);
  out.finish();
}

}  // namespace tricolor::debug
