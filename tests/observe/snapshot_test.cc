// debug::write_heap_snapshot(): the file is there as a whole or not at all, whatever goes wrong.
// What is in it, the tests of tools/heap look at.

#include <sys/stat.h>

#include <csignal>
#include <fstream>
#include <system_error>

#include "tests/directory.hpp"
#include "tests/subprocess.hpp"

#include <tricolor/debug.hpp>
#include <tricolor/prelude.hpp>

namespace tricolor::tests {

namespace {

struct Item {
  gc::ptr<Item> next;
  long number = 0;
};

std::string contents(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

bool is_whole(const std::string& text) {
  return text.starts_with("{\"snapshot\":") && text.ends_with("]}\n");
}

// The system's error, 0 for none.
int error_of(const std::string& path) {
  try {
    debug::write_heap_snapshot(path);
    return 0;
  } catch (const std::system_error& error) {
    INFO(error.what());
    CHECK(std::string(error.what()).find(path.substr(0, path.rfind('/'))) != std::string::npos);
    return error.code().value();
  }
}

void keep(gc::root<Item>& items, int count) {
  on_fresh_thread([&] {
    for (int i = 0; i < count; ++i) {
      Item* const item = gc::make<Item>();
      item->next = items.get();
      items = item;
    }
  });
}

}  // namespace

TEST_CASE("snapshot: one file, and nothing beside it") {
  const Directory directory;
  gc::root<Item> items;
  keep(items, 5000);
  debug::write_heap_snapshot(directory / "heap.heapsnapshot");
  CHECK(is_whole(contents(directory / "heap.heapsnapshot")));
  CHECK(directory.names() == std::vector<std::string>{"heap.heapsnapshot"});
  // Again, over the first.
  debug::write_heap_snapshot(directory / "heap.heapsnapshot");
  CHECK(is_whole(contents(directory / "heap.heapsnapshot")));
  CHECK(directory.names().size() == 1);
}

TEST_CASE("snapshot: a path that cannot be written says so") {
  const Directory directory;
  CHECK(error_of(directory / "none/heap.heapsnapshot") == ENOENT);
  mkdir((directory / "is_directory").c_str(), 0700);
  CHECK(error_of(directory / "is_directory") == EISDIR);
  rmdir((directory / "is_directory").c_str());
  CHECK(error_of("/dev/full") == ENOSPC);
  struct stat status {};
  CHECK(stat("/dev/full", &status) == 0);
  CHECK(S_ISCHR(status.st_mode));
  CHECK(directory.names().empty());
}

TEST_CASE("snapshot: a disk that fills up leaves what was there before") {
  const Directory directory;
  std::ofstream(directory / "heap.heapsnapshot") << "before";
  gc::root<Item> items;
  keep(items, 20000);
  struct sigaction before {};
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  sigaction(SIGXFSZ, &ignore, &before);
  rlimit old{};
  getrlimit(RLIMIT_FSIZE, &old);
  for (const rlim_t most : {rlim_t{64} << 10, rlim_t{300} << 10}) {
    const rlimit limit{most, old.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
    CHECK(error_of(directory / "heap.heapsnapshot") == EFBIG);
    setrlimit(RLIMIT_FSIZE, &old);
    CHECK(contents(directory / "heap.heapsnapshot") == "before");
    CHECK(directory.names().size() == 1);
  }
  sigaction(SIGXFSZ, &before, nullptr);
  debug::write_heap_snapshot(directory / "heap.heapsnapshot");
  CHECK(is_whole(contents(directory / "heap.heapsnapshot")));
}

TEST_CASE("snapshot: beside threads that allocate, drop and destroy") {
  const Directory directory;
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      gc::root<Item> items;
      for (int round = 0; !stop; ++round) {
        Item* const item = gc::make<Item>();
        item->next = items.get();
        items = item;
        if (round % 1000 == 0) items = nullptr;
        if (round % 7 == 0) gc::destroy(gc::make<Item>());
      }
    });
  }
  for (int i = 0; i < 5; ++i) {
    debug::write_heap_snapshot(directory / "heap.heapsnapshot");
    CHECK(is_whole(contents(directory / "heap.heapsnapshot")));
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
}

TEST_CASE("snapshot: during fork, in the parent and in the child") {
  const Directory directory;
  gc::root<Item> items;
  keep(items, 3000);
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    while (!stop) debug::write_heap_snapshot(directory / "parent.heapsnapshot");
  });
  for (int i = 0; i < 10; ++i) {
    const std::string path = directory / ("child" + std::to_string(i));
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      alarm(60);
      debug::write_heap_snapshot(path);
      _exit(debug::why_alive(items.get()).empty() ? 1 : 0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
    CHECK(is_whole(contents(path)));
  }
  stop = true;
  writer.join();
  CHECK(is_whole(contents(directory / "parent.heapsnapshot")));
}

TEST_CASE("snapshot: at exit, and without memory") {
  const Directory directory;
  const ProcessResult at_exit = run_program("heap_program", {"exit", directory / "exit"});
  CAPTURE(at_exit.err);
  CHECK(at_exit.exit_code == 0);
  CHECK(at_exit.out == "written\n");
  CHECK(is_whole(contents(directory / "exit")));
#if !TRICOLOR_ASAN && !TRICOLOR_TSAN
  const ProcessResult memory = run_program("heap_program", {"memory", directory / "memory"});
  CAPTURE(memory.err);
  CHECK(memory.exit_code == 0);
  CHECK(memory.out == "bad_alloc\nwritten with memory\n");
  CHECK(is_whole(contents(directory / "memory")));
#endif
  CHECK(directory.names().size() <= 2);
}

}  // namespace tricolor::tests
