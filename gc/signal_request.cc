#include "gc/signal_request.h"

#include <cerrno>
#include <csignal>

#include "gc/collector.h"
#include "runtime/base/check.h"

namespace tricolor::gc {

namespace {

struct sigaction g_previous;

void on_signal(int signal, siginfo_t* info, void* context) noexcept {
  const int saved_errno = errno;
  g_collector.request_without_waiting();
  if ((g_previous.sa_flags & SA_SIGINFO) != 0) {
    g_previous.sa_sigaction(signal, info, context);
  } else if (g_previous.sa_handler != SIG_DFL && g_previous.sa_handler != SIG_IGN) {
    g_previous.sa_handler(signal);
  }
  errno = saved_errno;
}

}  // namespace

void install_collect_signal(int signal) noexcept {
  struct sigaction action {};
  action.sa_sigaction = on_signal;
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  sigemptyset(&action.sa_mask);
  if (sigaction(signal, &action, &g_previous) != 0) {
    runtime::report("GODEBUG=gcsignal: no handler can be installed for signal %d", signal);
  }
}

}  // namespace tricolor::gc
