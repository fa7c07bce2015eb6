#include "runtime/deputy.h"

#include <mutex>

namespace tricolor::runtime {

using gc::detail::tls;

constinit Thread* Deputy::g_record = nullptr;

Deputy::Deputy(Thread& principal) noexcept : principal_(principal) {
  principal_.enter_blocked();
  kept_ = tls;
  principal_.local = &kept_;
  g_record->stand_in(principal_);
}

// The record goes as that of a thread that is no more: what the thread itself remembers of pools
// stays.
Deputy::~Deputy() {
  principal_.local = &tls;
  Thread::set_current(principal_);
  gc::detail::store_word(tls.marking, kept_.marking);
  lock_threads(nullptr);  // [thread.list] blocked
  {
    const std::lock_guard guard(g_threads.lock(), std::adopt_lock);
    g_threads.remove(*g_record);
    Threads::settle(*g_record);
  }
  principal_.leave_blocked();
}

}  // namespace tricolor::runtime
