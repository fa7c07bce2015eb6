#pragma once

// Snapshot: the graph of what is reachable, in the form of a .heapsnapshot.
//
// Two passes: gather() reads the heap once, while it is held, into two files of numbers, and
// write() makes the text of them when the heap is the program's again. So an object's number of
// references and the references agree, though the program writes them meanwhile, and no table of
// objects is in memory: what number an object has is counted from the held bits.
//
// Nodes: the root; its groups; threads and frames; then the objects in the order of their addresses; last a group of
// those that nothing was seen to refer to.
// Threads: one at a time.

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "gc/held.h"
#include "observe/objects.h"
#include "observe/output_file.h"
#include "observe/root_names.h"

namespace tricolor::observe {

class Snapshot {
 public:
  explicit Snapshot(const std::string& directory) : nodes_(directory), edges_(directory) {}

  // In an inspection.
  void gather();
  void write(OutputFile& out);

 private:
  // As the meta data of the format number them.
  enum class NodeType : std::uint8_t { kObject = 3, kNative = 8, kSynthetic = 9 };
  enum class EdgeType : std::uint8_t { kElement = 1, kProperty = 2, kInternal = 3, kShortcut = 5 };

  // A node above the objects.
  struct Upper {
    NodeType type;
    std::size_t name;
    std::vector<std::size_t> roots;     // places among the held roots
    std::vector<std::size_t> children;  // nodes
  };
  struct Entry {
    std::uint64_t key;
    std::uint64_t value;
    auto operator<=>(const Entry&) const = default;
  };

  std::size_t string(std::string text);
  std::size_t add_upper(std::size_t parent, NodeType type, std::string name);
  void plan_roots();
  void plan_stacks(std::vector<std::size_t> roots);
  std::string global_name(const gc::HeldRoot& root);
  void gather_upper();
  void gather_roots_of(const Upper& upper);
  void gather_object(Cell cell);
  void gather_unreferenced();
  void put_node(NodeType type, std::size_t name, std::uint64_t id, std::uint64_t size);
  void put_edge(EdgeType type, std::uint64_t name_or_index, std::uint64_t to);
  void put_edge_to(EdgeType type, std::uint64_t name_or_index, Cell target);
  std::size_t offset_name(std::size_t offset);
  std::uint64_t id_of(Cell cell) const noexcept;

  void write_head(OutputFile& out) const;
  void write_nodes(OutputFile& out);
  void write_edges(OutputFile& out);
  void write_strings(OutputFile& out) const;

  Spool nodes_;
  Spool edges_;
  std::size_t heap_base_ = 0;  // where objects' ids count from; 0: ids are mere numbers
  std::uint64_t node_count_ = 0;
  std::uint64_t edge_count_ = 0;
  std::uint64_t edges_of_node_ = 0;
  std::uint64_t edge_target_ = 0;  // the last one
  std::uint64_t id_ = 0;           // the last one

  std::vector<std::string> strings_;
  std::unordered_map<std::string, std::size_t> string_numbers_;
  std::vector<std::size_t> offset_names_;
  std::vector<std::size_t> type_strings_;

  std::vector<Upper> upper_;
  TypeNames types_;
  RootNames names_;
  std::vector<Entry> entries_;           // of weak tables, by key
  std::vector<std::uint64_t> referred_;  // a bit an object
  std::size_t value_name_ = 0;
};

}  // namespace tricolor::observe
