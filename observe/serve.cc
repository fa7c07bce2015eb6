#include "observe/serve.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "gc/helper_threads.h"
#include "observe/http.h"
#include "observe/server_pages.h"
#include "runtime/base/check.h"
#include "runtime/base/lock.h"
#include "runtime/os/os.h"
#include "runtime/thread.h"

#include <tricolor/serve.hpp>

namespace tricolor::observe {

namespace os = runtime::os;

namespace {

constexpr int kBacklog = 64;
constexpr time_t kPatienceSeconds = 30;  // for the other side

enum State : uint32_t { kFree, kBeginning, kServing, kStopping, kStopped };

// [serve.listener]
struct Listener {
  std::atomic<uint32_t> state{kFree};  // slept on; every change a release, every look an acquire
  // Written before kServing, read by its thread and by who stops it.
  std::atomic<int> socket{-1};
  std::array<char, sizeof(sockaddr_un::sun_path) + 1> path{};  // of a unix socket
};
std::array<Listener, 8> g_listeners;
// -1: free. Taken by a listener (release), read and given back by the thread that it starts.
std::array<std::atomic<int>, 16> g_connections;

class Descriptor {
 public:
  explicit Descriptor(int number) noexcept : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const noexcept { return number_; }
  int release() noexcept { return std::exchange(number_, -1); }

 private:
  int number_;
};

void set_patience(int socket) noexcept {
  const timeval patience{kPatienceSeconds, 0};
  ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
}

void answer_connection(unsigned place) noexcept {
  const int socket = g_connections[place].load(std::memory_order_acquire);
  try {
    set_patience(socket);
    Request request;
    const int status = read_request(socket, request);
    if (status >= 0) {
      Response response;
      if (status == 0) {
        response = answer(request);
      } else {
        response.status = status;
        response.body = "GET and HEAD of HTTP/1.1 are understood.\n";
      }
      send_response(socket, response, request.head_only);
    }
  } catch (const std::exception&) {
    // Without memory for an answer there is none.
  }
  // A child of fork() may have the socket as well: closing it would not end the connection.
  ::shutdown(socket, SHUT_RDWR);
  g_connections[place].store(-1, std::memory_order_release);
  ::close(socket);
}

// The thread that answers closes the socket.
bool hand_over(int socket) noexcept {
  for (unsigned place = 0; place < g_connections.size(); ++place) {
    int none = -1;
    if (!g_connections[place].compare_exchange_strong(none, socket, std::memory_order_acq_rel))
      continue;
    if (gc::start_thread("tc-answer", answer_connection, place)) return true;
    g_connections[place].store(-1, std::memory_order_release);
    return false;
  }
  return false;
}

void turn_away(int socket) noexcept {
  constexpr std::string_view kBusy =
      "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
  if (::send(socket, kBusy.data(), kBusy.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
    // It is closed at any rate.
  }
  ::shutdown(socket, SHUT_RDWR);
  ::close(socket);
}

void set_state(Listener& listener, State state) noexcept {
  listener.state.store(state, std::memory_order_release);
  runtime::futex::wake(&listener.state, INT32_MAX);
}

// This thread attaches to nothing and touches no collected object.
void listen_on(unsigned number) noexcept {
  constexpr int64_t kRestNs = 50'000'000;
  Listener& listener = g_listeners[number];
  while (listener.state.load(std::memory_order_acquire) == kBeginning)
    runtime::futex::wait(&listener.state, kBeginning);
  const int socket = listener.socket.load(std::memory_order_relaxed);
  while (listener.state.load(std::memory_order_acquire) == kServing) {
    const int connection = ::accept4(socket, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection >= 0) {
      if (!hand_over(connection)) turn_away(connection);
    } else if (errno != EINTR && errno != ECONNABORTED) {
      // Out of descriptors, say, or it is to end.
      if (listener.state.load(std::memory_order_acquire) == kServing) os::sleep_ns(kRestNs);
    }
  }
  while (listener.state.load(std::memory_order_acquire) == kStopping)
    runtime::futex::wait(&listener.state, kStopping);
  listener.socket.store(-1, std::memory_order_relaxed);
  ::close(socket);
  if (listener.path[0] != '\0') ::unlink(listener.path.data());
  set_state(listener, kFree);
}

// Nobody answers there, or the parent does.
void after_fork_in_child() noexcept {
  for (Listener& listener : g_listeners) {
    if (const int socket = listener.socket.exchange(-1, std::memory_order_relaxed); socket >= 0)
      ::close(socket);
    listener.state.store(kFree, std::memory_order_relaxed);
  }
  for (std::atomic<int>& connection : g_connections) {
    if (const int socket = connection.exchange(-1, std::memory_order_relaxed); socket >= 0)
      ::close(socket);
  }
}

bool set_up() noexcept {
  for (std::atomic<int>& connection : g_connections)
    connection.store(-1, std::memory_order_relaxed);
  return pthread_atfork(nullptr, nullptr, after_fork_in_child) == 0;
}

[[noreturn]] void refuse(const std::string& address, int error) {
  throw std::system_error(error, std::generic_category(),
                          "debug::serve: cannot serve at " + address);
}

// Whether the socket is what a process that has ended left behind.
bool is_left_over(const ServedAddress& address) noexcept {
  struct stat status {};
  if (::lstat(address.path.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) return false;
  const Descriptor probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return probe.get() >= 0 &&
         ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address.socket), address.size) !=
             0 &&
         errno == ECONNREFUSED;
}

int open_socket(const std::string& text, const ServedAddress& address) {
  Descriptor socket(::socket(address.socket.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (socket.get() < 0) refuse(text, errno);
  const auto* const where = reinterpret_cast<const sockaddr*>(&address.socket);
  if (address.path.empty()) {
    const int on = 1;
    ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  } else {
    ::fchmod(socket.get(), 0600);  // the file's, which bind() makes
    if (is_left_over(address)) ::unlink(address.path.c_str());
  }
  if (::bind(socket.get(), where, address.size) != 0 || ::listen(socket.get(), kBacklog) != 0)
    refuse(text, errno);
  return socket.release();
}

uint16_t port_of(int socket) noexcept {
  sockaddr_storage name{};
  socklen_t size = sizeof name;
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&name), &size) != 0) return 0;
  if (name.ss_family == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in&>(name).sin_port);
  if (name.ss_family == AF_INET6)
    return ntohs(reinterpret_cast<const sockaddr_in6&>(name).sin6_port);
  return 0;
}

[[noreturn]] void not_local(const std::string& text) {
  throw std::invalid_argument(
      "debug::serve: \"" + text +
      "\" is no address of this machine alone; accepted: 127.0.0.1:PORT, localhost:PORT, "
      "[::1]:PORT, with a port from 0 (any) to 65535, or unix:PATH");
}

ServedAddress unix_address(const std::string& text, std::string_view path) {
  ServedAddress address;
  auto& socket = reinterpret_cast<sockaddr_un&>(address.socket);
  if (path.empty() || path.find('\0') != std::string_view::npos) not_local(text);
  if (path.size() >= sizeof socket.sun_path) refuse(text, ENAMETOOLONG);
  socket.sun_family = AF_UNIX;
  path.copy(socket.sun_path, path.size());
  address.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
  address.path = path;
  return address;
}

}  // namespace

ServedAddress parse_served_address(const std::string& text) {
  constexpr std::string_view kUnix = "unix:";
  if (text.starts_with(kUnix)) return unix_address(text, std::string_view(text).substr(5));
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos) not_local(text);
  uint16_t port = 0;
  const char* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data() + colon + 1, end, port);
  if (parsed.ec != std::errc{} || parsed.ptr != end) not_local(text);
  const std::string name = text.substr(0, colon);
  const std::string host = name == "localhost" ? "127.0.0.1" : name;
  ServedAddress address;
  auto& four = reinterpret_cast<sockaddr_in&>(address.socket);
  if (::inet_pton(AF_INET, host.c_str(), &four.sin_addr) == 1 &&
      ntohl(four.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET) {
    four.sin_family = AF_INET;
    four.sin_port = htons(port);
    address.size = sizeof four;
    return address;
  }
  if (host != "[::1]") not_local(text);
  address.socket = {};
  auto& six = reinterpret_cast<sockaddr_in6&>(address.socket);
  six.sin6_family = AF_INET6;
  six.sin6_port = htons(port);
  six.sin6_addr = in6addr_loopback;
  address.size = sizeof six;
  return address;
}

void serve_by_environment() noexcept {
  const char* const address = std::getenv("TRICOLOR_SERVE");
  if (address == nullptr || *address == '\0') return;
  try {
    const uint16_t port = debug::serve(address);
    const std::string_view text(address);
    if (port == 0) {
      runtime::report("TRICOLOR_SERVE: serving at %s", address);
    } else {
      runtime::report("TRICOLOR_SERVE: serving at http://%.*s:%u/",
                      static_cast<int>(text.rfind(':')), address, unsigned{port});
    }
  } catch (const std::exception& e) {
    runtime::report("TRICOLOR_SERVE: nothing is served: %s", e.what());
  }
}

}  // namespace tricolor::observe

namespace tricolor::debug {

std::uint16_t serve(const std::string& text) {
  using namespace observe;
  const ServedAddress address = parse_served_address(text);
  runtime::Thread::attached();  // the library runs, and with it what a fork needs
  static const bool ready = set_up();
  if (!ready) refuse(text, ENOMEM);
  for (Listener& listener : g_listeners) {
    uint32_t none = kFree;
    if (!listener.state.compare_exchange_strong(none, kBeginning, std::memory_order_acq_rel))
      continue;
    int socket = -1;
    try {
      socket = open_socket(text, address);
    } catch (...) {
      set_state(listener, kFree);
      throw;
    }
    listener.path.fill('\0');
    address.path.copy(listener.path.data(), address.path.size());
    const std::uint16_t port = port_of(socket);
    listener.socket.store(socket, std::memory_order_relaxed);
    if (gc::start_thread("tc-serve", listen_on,
                         static_cast<unsigned>(&listener - g_listeners.data()))) {
      set_state(listener, kServing);
      return port;
    }
    listener.socket.store(-1, std::memory_order_relaxed);
    ::close(socket);
    if (!address.path.empty()) ::unlink(address.path.c_str());
    set_state(listener, kFree);
    refuse(text, EAGAIN);
  }
  refuse(text, EMFILE);
}

void stop_serving() noexcept {
  using namespace observe;
  for (Listener& listener : g_listeners) {
    uint32_t serving = kServing;
    if (!listener.state.compare_exchange_strong(serving, kStopping, std::memory_order_acq_rel)) {
      continue;
    }
    ::shutdown(listener.socket.load(std::memory_order_relaxed), SHUT_RDWR);
    set_state(listener, kStopped);
    const runtime::BlockedWait wait(runtime::Thread::current());
    while (listener.state.load(std::memory_order_acquire) == kStopped)
      runtime::futex::wait(&listener.state, kStopped);
  }
}

}  // namespace tricolor::debug
