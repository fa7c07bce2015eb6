#pragma once

// Serve: what TRICOLOR_SERVE asks for, and addresses.
//
// [serve.listener]  a listening socket belongs to its thread, which alone closes it. Who wants it closed makes it
//                   unfit (kStopping, shutdown) and then says that nobody else will use its number (kStopped).
// Threads: any, outside of runtime sections.

#include <sys/socket.h>

#include <string>

namespace tricolor::observe {

struct ServedAddress {
  sockaddr_storage socket{};
  socklen_t size = 0;
  std::string path;  // of a unix socket
};

// std::invalid_argument says what is accepted.
ServedAddress parse_served_address(const std::string& text);

// TRICOLOR_SERVE=ADDRESS; what is wrong with it is reported.
void serve_by_environment() noexcept;

}  // namespace tricolor::observe
