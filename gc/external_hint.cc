#include "gc/external_hint.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>

#include "runtime/os/os.h"
#include "runtime/trace_log.h"

namespace tricolor::gc {

namespace {

constexpr int64_t kFarBeyond = 4;  // times the heap
constexpr int64_t kWorthAHint = int64_t{256} << 20;

// Of the whole process; 0 where the system does not tell.
int64_t resident_bytes() noexcept {
  const int file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  char text[128];
  const ssize_t got = read(file, text, sizeof(text) - 1);
  close(file);
  if (got <= 0) return 0;
  text[got] = 0;
  char* rest = nullptr;
  std::strtoll(text, &rest, 10);  // the second number is the one
  return std::strtoll(rest, nullptr, 10) * static_cast<int64_t>(runtime::os::page_size());
}

}  // namespace

void hint_at_external_memory(int64_t heap, int64_t external) noexcept {
  static bool given = false;
  if (given || external != 0) return;
  const int64_t resident = resident_bytes();
  if (resident < kWorthAHint || resident / kFarBeyond < heap) return;
  given = true;
  runtime::TraceLine line;
  line.append("gc: hint: ").append_mb(resident).append(" MB are resident, ").append_mb(heap);
  line.append(" MB of them the heap's: where objects own the rest, ");
  line.append("runtime::adjust_external_memory makes it count");
  runtime::write_line(line);
}

}  // namespace tricolor::gc
