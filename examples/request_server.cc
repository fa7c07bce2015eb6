// A server that answers requests: each is read into a 1 KiB buffer, parsed into a tree of values
// and answered from a 64 KiB buffer, on every processor, beside 20,000 sessions that stay in
// memory. Runs twice, each time as a process of its own: with new buffers and trees for every
// request, and with those that sync::Pool and sync::SizedPool keep.
//
//     request_server [--quick] [--requests=N] [--threads=N]
//
// Prints what a request allocated, what the collector did, for how long it held or delayed a thread
// (the process's own GCTRACE=2), and how memory grew; then one verdict.

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <thread>
#include <tricolor/prelude.hpp>
#include <vector>

namespace {

// --- What a request is made of -------------------------------------------------------------------

// A number, or a list of the values that follow from `child` over `next`.
struct Value {
  gc::ptr<Value> child, next;
  gc::ptr<Value> link;  // the document's own: the value made after this one
  std::uint64_t number = 0;
};

// A tree, and all values that were ever made for it: clear() makes them available again.
class Document {
 public:
  Value* make() {
    if (free_ == nullptr) {
      Value* const value = gc::make<Value>();
      (last_ == nullptr ? first_ : last_->link) = value;
      last_ = value;
      return value;
    }
    Value* const value = free_;
    free_ = value->link;
    value->child = value->next = nullptr;
    value->number = 0;
    return value;
  }
  void clear() {
    root = nullptr;
    free_ = first_;
  }

  gc::ptr<Value> root;

 private:
  gc::ptr<Value> first_, last_, free_;
};

using Bytes = std::span<std::byte>;
constexpr std::size_t kRequestBytes = 1024, kAnswerBytes = 65536;

struct Session {
  std::uint64_t requests = 0;
  char state[240] = {};
};

// "(17 (3 42) 5 ...)", as long as the buffer has room.
void receive(Bytes buffer, std::uint64_t request) {
  char* at = reinterpret_cast<char*>(buffer.data());
  char* const end = at + buffer.size() - 32;
  std::uint64_t x = request * 2654435761u + 1;
  *at++ = '(';
  unsigned depth = 1;
  while (at < end) {
    x = x * 6364136223846793005u + 1442695040888963407u;
    const unsigned dice = x >> 60;
    if (dice < 3 && depth < 8) {
      *at++ = '(';
      ++depth;
    } else if (dice == 3 && depth > 1) {
      *at++ = ')';
      --depth;
    } else {
      at = std::to_chars(at, end + 16, x >> 48).ptr;
      *at++ = ' ';
    }
  }
  while (depth-- > 0) *at++ = ')';
  *at = 0;
}

const char* parse_list(Document& document, const char* at, Value& list) {
  Value* last = nullptr;
  while (*at != ')') {
    if (*at == ' ') {
      ++at;
      continue;
    }
    Value* const value = document.make();
    (last == nullptr ? list.child : last->next) = value;
    last = value;
    at = *at == '(' ? parse_list(document, at + 1, *value)
                    : std::from_chars(at, at + 20, value->number).ptr;
  }
  return at + 1;
}

char* print(const Value& value, char* at) {
  if (value.child == nullptr) return std::to_chars(at, at + 20, value.number).ptr;
  *at++ = '[';
  for (const Value* child = value.child; child != nullptr; child = child->next) {
    at = print(*child, at);
    *at++ = ',';
  }
  *at++ = ']';
  return at;
}

// A sum over the answer's text.
std::uint64_t handle(std::uint64_t request, Bytes in, Document& document, Bytes out) {
  receive(in, request);
  document.root = document.make();
  parse_list(document, reinterpret_cast<const char*>(in.data()) + 1, *document.root);
  char* const text = reinterpret_cast<char*>(out.data());
  const char* const end = print(*document.root, text);
  std::uint64_t sum = 0;
  for (const char* c = text; c != end; ++c) sum = sum * 31 + static_cast<unsigned char>(*c);
  return sum;
}

// --- A run ---------------------------------------------------------------------------------------

struct Pools {
  sync::SizedPool buffers{kRequestBytes, kAnswerBytes};
  sync::Pool<Document> documents{
      {.new_fn = [] { return gc::make<Document>(); }, .reset = [](Document& d) { d.clear(); }}};
};

std::uint64_t serve_pooled(Pools& pools, std::uint64_t request) {
  const auto in = pools.buffers.lease(kRequestBytes);
  const auto out = pools.buffers.lease(kAnswerBytes);
  const auto document = pools.documents.lease();
  return handle(request, in.get(), *document, out.get());
}

std::uint64_t serve_fresh(std::uint64_t request) {
  const Bytes in(gc::make_array<std::byte>(kRequestBytes), kRequestBytes);
  const Bytes out(gc::make_array<std::byte>(kAnswerBytes), kAnswerBytes);
  return handle(request, in, *gc::make<Document>(), out);
}

double resident_kib() {
  char text[128] = {};
  const int file = open("/proc/self/statm", O_RDONLY);
  const bool read_it = read(file, text, sizeof(text) - 1) > 0;
  close(file);
  long size = 0, resident = 0;
  if (!read_it || std::sscanf(text, "%ld %ld", &size, &resident) != 2) return 0;
  return static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE)) / 1024;
}

// KiB per 1,000 requests, least squares; the first half is the warming up.
double slope_of(const std::vector<double>& samples, double requests_each) {
  const std::size_t from = samples.size() / 2, n = samples.size() - from;
  double mean = 0, above = 0, below = 0;
  for (std::size_t i = from; i < samples.size(); ++i) mean += samples[i] / static_cast<double>(n);
  for (std::size_t i = 0; i < n; ++i) {
    const double x = static_cast<double>(i) - static_cast<double>(n - 1) / 2;
    above += x * (samples[from + i] - mean);
    below += x * x;
  }
  return above / below / requests_each * 1000;
}

double seconds_of(const timeval& t) {
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
}

// The process of one run; its figures go to stdout as lines "name value".
void run(bool pooled, std::uint64_t requests, unsigned threads) {
  constexpr std::uint64_t kSamples = 40;
  const gc::root<gc::ptr<Session>> sessions(gc::make_array<gc::ptr<Session>>(20'000));
  for (int i = 0; i < 20'000; ++i) sessions.get()[i] = gc::make<Session>();
  Pools pools;
  runtime::MemStats before, after;
  runtime::read_mem_stats(before);
  std::vector<double> resident;
  std::atomic<std::uint64_t> sum{0};
  const auto start = std::chrono::steady_clock::now();
  const auto work = [&](unsigned t) {
    std::uint64_t mine = 0;
    for (std::uint64_t r = t; r < requests; r += threads) {
      mine += pooled ? serve_pooled(pools, r) : serve_fresh(r);
      // A session now and then ends, and another begins.
      if (r % 16 == 0) sessions.get()[r / 16 % 20'000] = gc::make<Session>();
      if (t == 0 && r / threads % (requests / threads / kSamples) == 0)
        resident.push_back(resident_kib());
    }
    sum.fetch_add(mine, std::memory_order_relaxed);
  };
  std::vector<std::thread> others;
  for (unsigned t = 1; t < threads; ++t) others.emplace_back(work, t);
  work(0);
  {
    const runtime::BlockingScope blocked;
    for (std::thread& other : others) other.join();
  }
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - start;
  runtime::read_mem_stats(after);
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto count = static_cast<double>(requests);
  std::printf("sum %llu\n", static_cast<unsigned long long>(sum.load()));
  std::printf("allocations %.9g\n", static_cast<double>(after.mallocs - before.mallocs) / count);
  std::printf("bytes %.9g\n", static_cast<double>(after.total_alloc - before.total_alloc) / count);
  std::printf("collections %u\n", after.num_gc - before.num_gc);
  std::printf("resident %.9g\n", static_cast<double>(usage.ru_maxrss) / 1024);
  std::printf("slope %.9g\n", slope_of(resident, count / static_cast<double>(resident.size() - 1)));
  std::printf("wall %.9g\n", wall.count() * 1e6 / count);
  std::printf("cpu %.9g\n",
              (seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime)) * 1e6 / count);
}

// --- Both runs, compared -------------------------------------------------------------------------

using Figures = std::map<std::string, double>;

// Runs this program again; reads its figures, and the greatest of each figure in its trace.
Figures run_process(const char* mode, const std::string& requests, const std::string& threads) {
  int ends[2];
  if (pipe(ends) != 0) std::exit(1);
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDOUT_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[0]);
    close(ends[1]);
    setenv("GCTRACE", "2", 1);
    execl("/proc/self/exe", "request_server", mode, requests.c_str(), threads.c_str(), nullptr);
    _exit(127);
  }
  close(ends[1]);
  Figures figures{{"max_handshake_us", 0}, {"max_assist_us", 0}, {"max_stall_us", 0}};
  std::FILE* const output = fdopen(ends[0], "r");
  char line[1024];
  while (std::fgets(line, sizeof(line), output) != nullptr) {
    char name[64];
    double value = 0;
    if (std::sscanf(line, "%63[a-z] %lf", name, &value) == 2 && std::strncmp(line, "gc ", 3) != 0)
      figures[name] = value;
    for (const char* const key : {"max_handshake_us", "max_assist_us", "max_stall_us"}) {
      const char* const at = std::strstr(line, key);
      if (at != nullptr && std::sscanf(at + std::strlen(key), "=%lf", &value) == 1)
        figures[key] = std::max(figures[key], value);
    }
  }
  std::fclose(output);
  int status = 0;
  waitpid(child, &status, 0);
  if (status != 0) {
    std::fprintf(stderr, "request_server: the process %s failed\n", mode);
    std::exit(1);
  }
  return figures;
}

bool compare(const std::string& requests, const std::string& threads) {
  Figures fresh = run_process("--fresh", requests, threads);
  Figures pooled = run_process("--pooled", requests, threads);
  if (fresh["sum"] != pooled["sum"]) {
    std::fprintf(stderr, "request_server: the answers differ\n");
    return false;
  }
  std::printf("%-36s %12s %12s\n", "", "without", "with pool");
  const std::pair<const char*, const char*> rows[] = {
      {"allocations", "objects allocated a request"},
      {"bytes", "bytes allocated a request"},
      {"collections", "collections"},
      {"max_handshake_us", "longest handshake, us"},
      {"max_assist_us", "longest assist, us"},
      {"max_stall_us", "longest stall, us"},
      {"resident", "peak resident set, MiB"},
      {"slope", "its growth, KiB per 1,000 requests"},
      {"wall", "wall time a request, us"},
      {"cpu", "processor time a request, us"},
  };
  for (const auto& [key, title] : rows)
    std::printf("%-36s %12.2f %12.2f\n", title, fresh[key], pooled[key]);

  const auto pause = [](Figures& f) {
    return std::max({f["max_handshake_us"], f["max_assist_us"], f["max_stall_us"]});
  };
  const bool fewer = pooled["allocations"] * 10 <= fresh["allocations"];
  const bool shorter = pause(pooled) <= pause(fresh);
  const bool flat = pooled["slope"] <= std::max(fresh["slope"], 1.0);
  std::printf(
      "verdict: %s (allocations x%.4f: %s; longest time a thread was held or delayed x%.2f: %s; "
      "resident set %+.2f KiB per 1,000 requests: %s)\n",
      fewer && shorter && flat ? "the pool pays in all three"
                               : "the pool does not pay in all three",
      pooled["allocations"] / fresh["allocations"], fewer ? "yes" : "no",
      pause(pooled) / std::max(pause(fresh), 1.0), shorter ? "yes" : "no", pooled["slope"],
      flat ? "yes" : "no");
  return true;
}

std::string option(int argc, char** argv, std::string_view name, const std::string& otherwise) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument.substr(0, name.size()) == name) return std::string(argument.substr(name.size()));
  }
  return otherwise;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view mode = argc > 1 ? argv[1] : "";
  if (argc == 4 && (mode == "--fresh" || mode == "--pooled")) {
    run(mode == "--pooled", std::strtoull(argv[2], nullptr, 10),
        static_cast<unsigned>(std::strtoul(argv[3], nullptr, 10)));
    return 0;
  }
  const bool quick = std::find(argv + 1, argv + argc, std::string_view("--quick")) != argv + argc;
  const auto cores = std::max(1u, std::thread::hardware_concurrency());
  return compare(option(argc, argv, "--requests=", quick ? "10000" : "100000"),
                 option(argc, argv, "--threads=", std::to_string(cores)))
             ? 0
             : 1;
}
