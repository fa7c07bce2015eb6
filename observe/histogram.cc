// debug::heap_histogram().

#include <algorithm>
#include <cstdio>
#include <tuple>

#include "gc/held.h"
#include "observe/objects.h"

#include <tricolor/debug_heap.hpp>

namespace tricolor::debug {

std::vector<TypeCount> heap_histogram() {
  std::vector<TypeCount> histogram;
  const gc::Inspection inspection;
  observe::TypeNames names;
  gc::g_held.for_each([&](runtime::Cell cell) {
    const std::size_t number = names.number_of(cell);
    if (number >= histogram.size()) histogram.resize(number + 1);
    ++histogram[number].count;
    histogram[number].bytes += cell.span->cell_size;
  });
  for (std::size_t i = 0; i < histogram.size(); ++i) histogram[i].type = names.name(i);
  std::sort(histogram.begin(), histogram.end(), [](const TypeCount& a, const TypeCount& b) {
    return std::tie(b.bytes, b.count, a.type) < std::tie(a.bytes, a.count, b.type);
  });
  return histogram;
}

std::string describe(const std::vector<TypeCount>& histogram, std::size_t most) {
  std::string text = "      count         bytes  type\n";
  TypeCount all;
  for (std::size_t i = 0; i < histogram.size(); ++i) {
    all.count += histogram[i].count;
    all.bytes += histogram[i].bytes;
    if (i >= most) continue;
    char line[64];
    std::snprintf(line, sizeof line, "%11zu %13zu  ", histogram[i].count, histogram[i].bytes);
    text += line + histogram[i].type + "\n";
  }
  char line[96];
  std::snprintf(line, sizeof line, "%11zu %13zu  in %zu types\n", all.count, all.bytes,
                histogram.size());
  return text + line;
}

}  // namespace tricolor::debug
