#pragma once

// Reader: hands out the events of a trace in their order, merged from the chunks of all threads.
//
// [reader.total]    every byte of the file is covered by a checksum, verified before its use.
// [reader.dense]    tickets are handed out as 0, 1, 2, ... without hole or repetition.
// [reader.objects]  an event names only objects that were allocated before it and have not ended.
// [reader.bounded]  memory is bounded by the chunks that overlap in time and 3 bits per event.
//
// A file that breaks one of these gives a TraceError from the constructor or from next().
// Threads: a reader belongs to one thread.

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "bench/trace/chunk.h"
#include "bench/trace/event.h"
#include "bench/trace/object_index.h"
#include "bench/trace/source.h"

namespace bench::trace {

class Reader {
 public:
  explicit Reader(std::unique_ptr<Source> source);
  // Throws TraceError when the file cannot be opened.
  explicit Reader(const std::string& path) : Reader(open_file(path)) {}

  uint32_t flags() const { return flags_; }
  const Footer& footer() const { return footer_; }
  uint64_t file_bytes() const { return source_->size(); }
  const std::string& name() const { return source_->name(); }
  const std::string& text() const { return text_; }  // of the header
  // The value of a "key=value" line of the header, empty when there is none.
  std::string property(const std::string& key) const;

  // False behind the last event.
  bool next(Event& event);

  // A type defined by an event that next() has returned; nullptr when there is none of that number.
  const TypeInfo* type(uint64_t number) const;

  // Throws TraceError that names the place of the event last returned: for consumers with needs of
  // their own.
  [[noreturn]] void fail(const std::string& problem) const;

 private:
  struct Active {
    uint64_t ticket;
    std::unique_ptr<ChunkCursor> cursor;
  };
  static bool is_later(const Active& a, const Active& b) { return a.ticket > b.ticket; }

  void read_header();
  void read_chunk_headers();
  void read_footer(uint64_t offset);
  void select_cursor();
  uint64_t resolve(uint64_t age, const char* what) const;
  void check(Event& event, const Ages& ages);

  std::unique_ptr<Source> source_;
  uint32_t flags_ = 0;
  std::string text_;
  Footer footer_;
  uint64_t first_chunk_ = 0;
  uint64_t footer_at_ = 0;
  std::vector<ChunkPlace> places_;  // by first ticket
  size_t next_place_ = 0;
  std::vector<Active> waiting_;  // a heap, the earliest ticket in front
  std::unique_ptr<ChunkCursor> current_;
  ObjectIndex index_;
  std::unordered_map<uint64_t, TypeInfo> types_;
};

}  // namespace bench::trace
