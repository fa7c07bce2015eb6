// The program that the recorder's tests run with the recorder preloaded. Its argument says what it
// does; the sizes it allocates are unlike any other's, so that a test finds them again in the
// trace.

#include <fcntl.h>
#include <malloc.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "tools/recorder/tricolor_trace.h"

namespace {

void* volatile sink;

// Keeps the compiler from dropping an allocation that is not used.
void* used(void* block) {
  sink = block;
  return sink;
}

void heap() {
  void* a = used(malloc(10007));
  void* b = used(calloc(3, 1001));
  void* c = used(malloc(20011));
  c = used(realloc(c, 30011));
  void* d = nullptr;
  if (posix_memalign(&d, 4096, 10009) != 0) _exit(9);
  used(d);
  void* e = used(memalign(64, 10037));
  void* f = used(aligned_alloc(256, 10240));
  void* g = used(realloc(nullptr, 10039));
  void* h = used(reallocarray(nullptr, 7, 1511));
  free(a);
  free(b);
  free(c);
  free(d);
  free(e);
  free(f);
  free(g);
  used(h);
}

// Each thread allocates blocks that the next one frees.
void threads() {
  constexpr int kThreads = 4;
  constexpr int kBlocks = 20000;
  std::vector<std::atomic<void*>> boxes(kThreads * kBlocks);
  std::vector<std::thread> workers;
  for (int t = 0; t < kThreads; ++t) {
    workers.emplace_back([&boxes, t] {
      for (int i = 0; i < kBlocks; ++i) {
        boxes[static_cast<size_t>(t * kBlocks + i)].store(malloc(40000 + static_cast<size_t>(t)));
        auto& box = boxes[static_cast<size_t>((t + 1) % kThreads * kBlocks + i)];
        void* block = nullptr;
        while ((block = box.exchange(nullptr)) == nullptr) std::this_thread::yield();
        free(block);
      }
    });
  }
  for (std::thread& worker : workers) worker.join();
}

// Many threads that live for a moment.
void churn() {
  for (int i = 0; i < 300; ++i) std::thread([] { free(used(malloc(50021))); }).join();
}

void fork_and_allocate() {
  void* inherited = used(malloc(60013));
  const pid_t child = fork();
  if (child == 0) {
    free(inherited);
    used(malloc(60017));
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  used(malloc(60029));
}

void many_blocks() {
  for (size_t i = 0; i < 400'000; ++i) used(malloc(16 + i * 7919 % 1000));
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  if (what == "heap") heap();
  if (what == "threads") threads();
  if (what == "churn") churn();
  if (what == "fork") fork_and_allocate();
  if (what == "many") many_blocks();
  if (what == "_exit") {
    used(malloc(70001));
    _exit(3);
  }
  if (what == "abort") {
    used(malloc(70003));
    abort();
  }
  if (what == "kill") {
    used(malloc(70009));
    raise(SIGKILL);
  }
  if (what == "exec") {
    used(malloc(70019));
    execl("/nonexistent/program", "program", nullptr);
    used(malloc(70039));
    execl(argv[0], argv[0], "heap", nullptr);
  }
  if (what == "fork-exec") {
    const pid_t child = fork();
    if (child == 0) {
      used(malloc(80021));
      execlp(argv[0], argv[0], "heap", nullptr);
    }
    int status = 0;
    waitpid(child, &status, 0);
  }
  if (what == "vfork") {
    const pid_t child = vfork();
    if (child == 0) {
      execl("/nonexistent/program", "program", nullptr);
      _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    used(malloc(90001));
  }
  if (what == "mark") {
    if (tricolor_trace_mark != nullptr) tricolor_trace_mark("half way");
    if (tricolor_trace_request_begin != nullptr) tricolor_trace_request_begin(5);
    if (tricolor_trace_request_end != nullptr) tricolor_trace_request_end(5);
  }
  if (what == "close-all") {
    for (int fd = 3; fd < 256; ++fd) close(fd);
    if (chdir("/") != 0) return 8;
    used(malloc(90007));
  }
  printf("done %s\n", what.c_str());
  return 0;
}
