#include "observe/server_pages.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <system_error>

#include "observe/cpu_profile.h"
#include "observe/metrics.h"
#include "observe/output_file.h"
#include "observe/profile.h"
#include "observe/thread_stacks.h"
#include "observe/timeline.h"

#include <tricolor/debug_heap.hpp>

namespace tricolor::observe {

namespace {

constexpr int64_t kNsPerSecond = 1'000'000'000;
constexpr std::string_view kHtml = "text/html; charset=utf-8";

// "?seconds=N"
int64_t duration_ns(const Request& request, int64_t default_seconds) {
  constexpr int64_t kMost = 3600;
  const std::string_view text = query_value(request.query, "seconds");
  if (text.empty()) return default_seconds * kNsPerSecond;
  int64_t seconds = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size() || seconds < 1 ||
      seconds > kMost) {
    throw std::invalid_argument("seconds=" + std::string(text) +
                                " is not understood; accepted: a number from 1 to 3600\n");
  }
  return seconds * kNsPerSecond;
}

Response download(std::string body, const char* name) {
  Response response;
  response.type = "application/octet-stream";
  response.file_name = name;
  response.body = std::move(body);
  return response;
}

Response heap(const Request&) { return download(heap_profile(), "heap.pb.gz"); }
Response allocs(const Request&) { return download(alloc_profile(), "allocs.pb.gz"); }

Response threads(const Request&) {
  Response response;
  response.body = threads_text();
  return response;
}

Response profile(const Request& request) {
  const char* why = nullptr;
  std::string made = cpu_profile(duration_ns(request, 30), why);
  if (why == nullptr) return download(std::move(made), "profile.pb.gz");
  Response response;
  response.status = 503;
  response.body = std::string("There is no CPU profile: ") + why + "\n";
  return response;
}

// A trace of so long, as JSON.
Response timeline_page(const Request& request) {
  const int64_t duration = duration_ns(request, 1);
  Response response;
  try {
    response.body = timeline(duration);
    response.type = "application/json";
    response.file_name = "timeline.json";
  } catch (const std::logic_error& e) {
    response.status = 503;
    response.body = std::string("There is no timeline: ") + e.what() + "\n";
  }
  return response;
}

// A directory of one's own: what is written there is nobody else's to read or to replace.
class OwnDirectory {
 public:
  OwnDirectory() {
    path_ = temporary_directory() + "/tricolor-snapshot-XXXXXX";
    if (::mkdtemp(path_.data()) == nullptr)
      throw std::system_error(errno, std::generic_category(), path_);
  }
  ~OwnDirectory() {
    ::unlink(file().c_str());
    ::rmdir(path_.c_str());
  }
  OwnDirectory(const OwnDirectory&) = delete;
  OwnDirectory& operator=(const OwnDirectory&) = delete;
  std::string file() const { return path_ + "/heap.heapsnapshot"; }

 private:
  std::string path_;
};

Response snapshot(const Request&) {
  const OwnDirectory directory;
  debug::write_heap_snapshot(directory.file());
  Response response;
  response.type = "application/json";
  response.file_name = "heap.heapsnapshot";
  response.file = ::open(directory.file().c_str(), O_RDONLY | O_CLOEXEC);
  struct stat status {};
  if (response.file < 0 || ::fstat(response.file, &status) != 0) {
    const int error = errno;
    if (response.file >= 0) ::close(response.file);
    throw std::system_error(error, std::generic_category(), directory.file());
  }
  response.file_size = static_cast<uint64_t>(status.st_size);
  return response;
}

Response metrics(const Request&) {
  Response response;
  response.type = "text/plain; version=0.0.4; charset=utf-8";
  response.body = metrics_text();
  return response;
}

Response lifetimes_page(const Request&) {
  Response response;
  response.type = kHtml;
  response.body = lifetimes(true);
  return response;
}

struct Page {
  std::string_view path;
  std::string_view link;  // with what it takes
  std::string_view what;
  Response (*make)(const Request&);
};

constexpr Page kPages[] = {
    {"/debug/pprof/heap", "", "what is alive, by where it was made (go tool pprof)", heap},
    {"/debug/pprof/allocs", "", "the same with all that was ever allocated in front", allocs},
    {"/debug/pprof/profile", "?seconds=30", "processor time of all threads (go tool pprof)",
     profile},
    {"/debug/pprof/threads", "", "what every attached thread does, with its stack", threads},
    {"/debug/timeline", "?seconds=1", "cycles, threads and stalls over time (Perfetto)",
     timeline_page},
    {"/debug/snapshot", "", "all that is reachable, as a .heapsnapshot (Chrome DevTools)",
     snapshot},
    {"/debug/lifetimes", "", "how long objects live, by where they were made", lifetimes_page},
    {"/metrics", "", "figures of the heap (Prometheus)", metrics},
};

Response index() {
  Response response;
  response.type = kHtml;
  response.body =
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<title>tricolor</title></head>\n<body>\n<h1>tricolor, process " +
      std::to_string(::getpid()) + "</h1>\n<table>\n";
  for (const Page& page : kPages) {
    const std::string link = std::string(page.path) + std::string(page.link);
    response.body += "<tr><td><a href=\"" + link + "\">" + link + "</a></td><td>";
    response.body.append(page.what).append("</td></tr>\n");
  }
  response.body += "</table>\n</body></html>\n";
  return response;
}

Response refusal(int status, std::string text) {
  Response response;
  response.status = status;
  response.body = std::move(text);
  return response;
}

Response find_answer(const Request& request) {
  if (!is_local_host(request.host))
    return refusal(403, "Host: only addresses and localhost are answered\n");
  const std::string& path = request.path;
  if (path == "/" || path == "/debug" || path == "/debug/" || path == "/debug/pprof/") {
    return index();
  }
  for (const Page& page : kPages) {
    if (path == page.path) return page.make(request);
  }
  return refusal(404, "There is no such page; / lists them all.\n");
}

}  // namespace

Response answer(const Request& request) noexcept {
  try {
    return find_answer(request);
  } catch (const std::invalid_argument& e) {
    return refusal(400, e.what());
  } catch (const std::exception& e) {
    return refusal(500, std::string(e.what()) + "\n");
  }
}

}  // namespace tricolor::observe
