// What the heap and the collector are given by observe/: set up as the options ask.

#include <cmath>

#include "gc/observers.h"
#include "gc/options.h"
#include "observe/reports.h"
#include "observe/samples.h"
#include "observe/stack.h"
#include "observe/triggers.h"
#include "observe/types.h"
#include "runtime/base/check.h"
#include "runtime/base/immortal.h"
#include "runtime/heap/allocation_watch.h"
#include "runtime/os/os.h"
#include "runtime/thread.h"

namespace tricolor::observe {

namespace {

class Watch final : public runtime::AllocationWatch {
 public:
  void set_rate(int64_t rate) noexcept { rate_ = rate; }

  int64_t next_sample(runtime::Thread& thread) noexcept override {
    if (rate_ == 0) return INT64_MAX;
    if (thread.sample_seed == 0) {
      thread.sample_seed =
          (reinterpret_cast<uintptr_t>(&thread) ^ static_cast<uint64_t>(runtime::os::now_ns())) | 1;
    }
    // xorshift64*: its upper bits.
    uint64_t& x = thread.sample_seed;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    const double uniform = (static_cast<double>(x * 0x2545f4914f6cdd1du >> 11) + 0.5) * 0x1p-53;
    const double bytes = -std::log(uniform) * static_cast<double>(rate_);
    return bytes < 0x1p62 ? static_cast<int64_t>(bytes) : int64_t{1} << 62;
  }

  TRICOLOR_ALLOCATOR void sampled(runtime::Thread& thread, const void* object, size_t size,
                                  const TypeInfo* type) noexcept override {
    Stack stack;
    take_stack(stack);
    g_samples.add(thread, object, size, type, stack);
  }

  void note_type(const void* object, const TypeInfo* type) noexcept override {
    g_type_table.note(object, type);
  }
  const TypeInfo* noted_type(const void* object) const noexcept override {
    return g_type_table.is_on() ? g_type_table.find(object) : nullptr;
  }

  void destroyed(const void* object) noexcept override { g_samples.forget(object); }
  void cycle_begins() noexcept override {
    if (rate_ != 0) g_samples.cycle_begins();
  }
  void cycle_marked() noexcept override {
    if (rate_ != 0) g_samples.cycle_marked();
  }

 private:
  int64_t rate_ = 0;  // constant once the first thread is attached
};

constinit runtime::Immortal<Watch> g_watch;

}  // namespace

}  // namespace tricolor::observe

namespace tricolor::gc {

void start_observing() noexcept {
  const bool types = options().types;
  if ((types || TRICOLOR_CHECKS != 0) && !observe::g_type_table.start()) {
    runtime::report("GODEBUG=types: no address space for the table of types; none are recorded");
  }
  // The checking build notes types as it constructs objects.
  runtime::g_hands_out_singly = types && TRICOLOR_CHECKS == 0 && observe::g_type_table.is_on();
  observe::g_watch.value.set_rate(options().memprofilerate);
  observe::set_up_reports();
  observe::set_up_triggers();
  runtime::g_allocation_watch = &observe::g_watch.value;
}

}  // namespace tricolor::gc
