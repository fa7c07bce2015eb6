#pragma once

// Pprof: writes a profile as pprof's protocol buffer (github.com/google/pprof, proto/profile.proto).
//
// Threads: one object, one thread. std::bad_alloc.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "observe/symbols.h"

namespace tricolor::observe {

class Pprof {
 public:
  using Unit = std::pair<std::string_view, std::string_view>;  // type, unit
  using StringLabels = std::vector<std::pair<std::string_view, std::string_view>>;

  Pprof(std::vector<Unit> sample_types, Unit period_type, int64_t period);

  // A label whose value is a number of bytes goes by `bytes` (negative: none).
  void add(const uintptr_t* frames, size_t depth, std::vector<int64_t> values,
           const StringLabels& labels, int64_t bytes = -1);
  void set_default_type(std::string_view type) { default_type_ = type; }
  void set_duration_ns(int64_t ns) { duration_ns_ = ns; }
  void add_comment(std::string_view comment) { comments_.emplace_back(comment); }

  // Compressed, with symbols. Takes the loader's lock.
  std::string finish();

 private:
  class Message;

  uint64_t string(std::string_view text);
  uint64_t function(const Place& place);
  uint64_t location(uintptr_t address, const Symbols& symbols);
  void write_mappings(Message& profile, const Symbols& symbols);

  struct Sample {
    std::vector<uintptr_t> frames;
    std::vector<int64_t> values;
    std::vector<std::pair<uint64_t, uint64_t>> labels;
    int64_t bytes;
  };

  std::vector<Unit> sample_types_;
  Unit period_type_;
  int64_t period_;
  std::string default_type_;
  int64_t duration_ns_ = 0;
  std::vector<std::string> comments_;
  std::vector<Sample> samples_;

  std::map<std::string, uint64_t, std::less<>> string_numbers_;
  std::vector<std::string_view> strings_;
  std::map<std::pair<std::string, std::string>, uint64_t> functions_;
  std::map<uintptr_t, uint64_t> locations_;
  std::string function_messages_;
  std::string location_messages_;
};

}  // namespace tricolor::observe
