#include "observe/http.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <memory>

#include "runtime/thread.h"

namespace tricolor::observe {

namespace {

constexpr size_t kMostHeadBytes = 16 << 10;
constexpr size_t kChunk = 64 << 10;

ssize_t receive(int socket, char* buffer, size_t size) noexcept {
  const runtime::BlockedWait wait(runtime::Thread::current());
  ssize_t got;
  do {
    got = ::recv(socket, buffer, size, 0);
  } while (got < 0 && errno == EINTR);
  return got;
}

bool send_all(int socket, std::string_view text) noexcept {
  const runtime::BlockedWait wait(runtime::Thread::current());
  while (!text.empty()) {
    const ssize_t sent = ::send(socket, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    text.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

bool send_file(int socket, int file) {
  const std::unique_ptr<char[]> chunk(new char[kChunk]);
  for (;;) {
    const ssize_t got = ::read(file, chunk.get(), kChunk);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return got == 0;
    if (!send_all(socket, {chunk.get(), static_cast<size_t>(got)})) return false;
  }
}

std::string_view reason(int status) noexcept {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Unknown";
  }
}

std::string_view trimmed(std::string_view text) noexcept {
  const auto is_space = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

bool same_letters(std::string_view a, std::string_view b) noexcept {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) ==
           std::tolower(static_cast<unsigned char>(y));
  });
}

// What was sent meanwhile is read, so that closing does not tell the other side to throw the answer
// away.
void end_connection(int socket) noexcept {
  ::shutdown(socket, SHUT_WR);
  const timeval a_second{1, 0};
  ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &a_second, sizeof a_second);
  char rest[4096];
  for (size_t read = 0; read < kMostHeadBytes;) {
    const ssize_t got = receive(socket, rest, sizeof rest);
    if (got <= 0) return;
    read += static_cast<size_t>(got);
  }
}

}  // namespace

int parse_request(std::string_view head, Request& request) {
  const std::string_view line = head.substr(0, head.find("\r\n"));
  const size_t first = line.find(' ');
  const size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return 400;
  const std::string_view method = line.substr(0, first);
  const std::string_view target = line.substr(first + 1, last - first - 1);
  const std::string_view version = line.substr(last + 1);
  if (!version.starts_with("HTTP/")) return 400;
  if (!version.starts_with("HTTP/1.")) return 505;
  if (method != "GET" && method != "HEAD") return 405;
  if (target.empty() || target[0] != '/' || target.find(' ') != std::string_view::npos) return 400;
  request.head_only = method == "HEAD";
  const size_t question = std::min(target.find('?'), target.size());
  request.path = target.substr(0, question);
  request.query = target.substr(std::min(question + 1, target.size()));
  for (size_t at = line.size(); (at = head.find("\r\n", at)) != std::string_view::npos;) {
    at += 2;
    const std::string_view field = head.substr(at, head.find("\r\n", at) - at);
    const size_t colon = field.find(':');
    if (colon != std::string_view::npos && same_letters(field.substr(0, colon), "host"))
      request.host = trimmed(field.substr(colon + 1));
  }
  return 0;
}

int read_request(int socket, Request& request) {
  std::string head;
  for (size_t end = std::string::npos; end == std::string::npos;) {
    char buffer[2048];
    const ssize_t got = receive(socket, buffer, sizeof buffer);
    if (got <= 0) return head.empty() ? -1 : 400;
    const size_t known = head.size() < 3 ? 0 : head.size() - 3;
    head.append(buffer, static_cast<size_t>(got));
    end = head.find("\r\n\r\n", known);
    if (end != std::string::npos) head.resize(end + 2);
    if (head.size() > kMostHeadBytes) return 431;
  }
  return parse_request(head, request);
}

void send_response(int socket, Response& response, bool head_only) {
  const uint64_t size = response.file >= 0 ? response.file_size : response.body.size();
  std::string head = "HTTP/1.1 " + std::to_string(response.status) + " ";
  head += reason(response.status);
  head += "\r\nContent-Type: " + response.type;
  head += "\r\nContent-Length: " + std::to_string(size);
  if (!response.file_name.empty())
    head += "\r\nContent-Disposition: attachment; filename=\"" + response.file_name + "\"";
  if (response.status == 405) head += "\r\nAllow: GET, HEAD";
  head +=
      "\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n";
  bool good = send_all(socket, head);
  if (good && !head_only && response.file >= 0) good = send_file(socket, response.file);
  if (good && !head_only && response.file < 0) good = send_all(socket, response.body);
  if (response.file >= 0) ::close(response.file);
  response.file = -1;
  if (good) end_connection(socket);
}

std::string_view query_value(std::string_view query, std::string_view name) noexcept {
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(pair.size() + 1, query.size()));
    if (pair.size() > name.size() && pair.starts_with(name) && pair[name.size()] == '=')
      return pair.substr(name.size() + 1);
  }
  return {};
}

bool is_local_host(std::string_view host) noexcept {
  if (host.starts_with('[')) return true;  // an address
  const std::string_view name = host.substr(0, host.find(':'));
  if (name.empty() || same_letters(name, "localhost")) return true;
  return name.find_first_not_of("0123456789.") == std::string_view::npos;
}

}  // namespace tricolor::observe
