// What the heap and the collector are given by observe/: set up as the options ask.

#include "gc/observers.h"
#include "gc/options.h"
#include "observe/types.h"
#include "runtime/base/check.h"
#include "runtime/base/immortal.h"
#include "runtime/heap/allocation_watch.h"

namespace tricolor::observe {

namespace {

class Watch final : public runtime::AllocationWatch {
 public:
  int64_t next_sample(runtime::Thread&) noexcept override { return INT64_MAX; }
  void sampled(runtime::Thread&, const void*, size_t, const TypeInfo*) noexcept override {}
  void note_type(const void* object, const TypeInfo* type) noexcept override {
    g_type_table.note(object, type);
  }
  const TypeInfo* noted_type(const void* object) const noexcept override {
    return g_type_table.is_on() ? g_type_table.find(object) : nullptr;
  }
  void destroyed(const void*) noexcept override {}
  void cycle_begins() noexcept override {}
  void cycle_marked() noexcept override {}
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
  runtime::g_allocation_watch = &observe::g_watch.value;
}

}  // namespace tricolor::gc
