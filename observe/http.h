#pragma once

// HTTP/1.1, as much of it as a program needs that shows pages to its own machine: GET and HEAD, one
// request a connection.
//
// Threads: one a connection, outside of runtime sections. Waiting for the other side counts as
// blocked, so a slow one holds up no collection.

#include <cstdint>
#include <string>
#include <string_view>

namespace tricolor::observe {

struct Request {
  bool head_only = false;
  std::string path;
  std::string query;
  std::string host;  // empty: not said
};

struct Response {
  int status = 200;
  std::string type = "text/plain; charset=utf-8";
  std::string file_name;  // for those who save it
  std::string body;
  int file = -1;  // sent instead of the body, from where it stands, and closed
  std::uint64_t file_size = 0;
};

// 0, or the status that says why there is no answer (400, 405, 431, 505); -1: the other side said
// nothing.
int read_request(int socket, Request& request);
int parse_request(std::string_view head, Request& request);

void send_response(int socket, Response& response, bool head_only);

// The value of `name` in a query, "" where there is none.
std::string_view query_value(std::string_view query, std::string_view name) noexcept;

// Whether a request for this host can have been meant for this machine: a name that somebody else
// lets point here is none of them.
bool is_local_host(std::string_view host) noexcept;

}  // namespace tricolor::observe
