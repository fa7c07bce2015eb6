#include "runtime/deputy.h"

namespace tricolor::runtime {

using gc::detail::tls;

Deputy::Deputy(Thread& principal) : principal_(principal) {
  principal_.enter_blocked();
  kept_ = tls;
  principal_.local = &kept_;
  Thread::set_current(nullptr);
  try {
    record_ = &Thread::attach();
  } catch (...) {
    come_back();
    throw;
  }
  record_->enter();
}

// The record goes as that of a thread that is no more: what the thread itself remembers of pools
// stays.
Deputy::~Deputy() { come_back(); }

void Deputy::come_back() noexcept {
  principal_.local = &tls;
  Thread::set_current(&principal_);
  gc::detail::store_word(tls.marking, kept_.marking);
  if (record_ != nullptr) {
    lock_threads(nullptr);  // [thread.list] blocked
    g_threads.remove(*record_);
    g_threads.take_back(*record_);
    g_threads.lock().unlock();
  }
  principal_.leave_blocked();
}

}  // namespace tricolor::runtime
