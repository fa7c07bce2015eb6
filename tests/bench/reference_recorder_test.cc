// The recorders that see references: stores_subject.cc, linked to the one, and boehm_subject.cc,
// with the other preloaded.

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "bench/trace/graph.h"
#include "bench/trace/reader.h"

namespace {

namespace fs = std::filesystem;
using namespace bench::trace;

// The events of a program's trace, with objects named by their sizes.
class Recording {
 public:
  Recording(const char* subject_variable, const char* preload_variable) {
    const char* subject = std::getenv(subject_variable);
    REQUIRE_MESSAGE(subject != nullptr, "run by `meson test`, which sets ", subject_variable);
    std::string folder = (fs::temp_directory_path() / "tricolor-recording-XXXXXX").string();
    REQUIRE(mkdtemp(folder.data()) != nullptr);
    path_ = folder + "/out.trace";
    const pid_t child = fork();
    if (child == 0) {
      setenv("TRICOLOR_TRACE_OUT", path_.c_str(), 1);
      setenv("TRICOLOR_TRACE_SNAPSHOT", "100", 1);
      if (preload_variable != nullptr) setenv("LD_PRELOAD", std::getenv(preload_variable), 1);
      execl(subject, subject, nullptr);
      _exit(123);
    }
    int status = 0;
    waitpid(child, &status, 0);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
    Reader reader(path_);
    flags = reader.flags();
    for (Event event; reader.next(event);) {
      if (makes_object(event.kind)) sizes_.push_back(event.amount);
      events.push_back(event);
    }
  }
  ~Recording() { fs::remove_all(fs::path(path_).parent_path()); }
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

  uint64_t size_of(uint64_t object) const { return object == kNullObject ? 0 : sizes_[object]; }

  // What word `slot` of the object of that size referred to, one after the other, by size.
  std::vector<uint64_t> stored(uint64_t size, uint64_t slot) const {
    std::vector<uint64_t> targets;
    for (const Event& event : events) {
      if (event.kind == Kind::kStore && size_of(event.object) == size && event.number == slot) {
        targets.push_back(size_of(event.target));
      }
    }
    return targets;
  }

  // How often a root was made to refer to the object of that size, and how often one that did was
  // changed or cleared.
  std::pair<int, int> rooted(uint64_t size) const {
    std::map<uint64_t, uint64_t> roots;
    std::pair<int, int> counts{0, 0};
    for (const Event& event : events) {
      if (event.kind != Kind::kRootSet && event.kind != Kind::kRootClear) continue;
      if (roots[event.number] == size) ++counts.second;
      roots[event.number] = size_of(event.target);
      if (roots[event.number] == size) ++counts.first;
    }
    return counts;
  }

  const Event* first_of(uint64_t size) const {
    const auto found = std::find_if(events.begin(), events.end(), [&](const Event& event) {
      return makes_object(event.kind) && event.amount == size;
    });
    return found == events.end() ? nullptr : &*found;
  }

  Graph graph() const {
    Reader reader(path_);
    return read_graph(reader);
  }

  uint32_t flags = 0;
  std::vector<Event> events;

 private:
  std::string path_;
  std::vector<uint64_t> sizes_;
};

using Sizes = std::vector<uint64_t>;

}  // namespace

TEST_CASE("recorder: stores, by the program, by memcpy, by realloc and atomic ones") {
  const Recording recording("TRICOLOR_TEST_STORES_SUBJECT", nullptr);
  CHECK(recording.flags == (kHasFrees | kHasStores | kHasRoots));
  CHECK(recording.stored(1001, 1) == Sizes{1002});
  CHECK(recording.stored(1001, 2) == Sizes{1002, 0});
  CHECK(recording.stored(1004, 1) == Sizes{1002});
  CHECK(recording.stored(1003, 1) == Sizes{1004});
  CHECK(recording.stored(1003, 2) == Sizes{1002});
  CHECK(recording.stored(2001, 1) == Sizes{1002});
}

TEST_CASE("recorder: roots are words outside the heap; one on a stack ends with its function") {
  const Recording recording("TRICOLOR_TEST_STORES_SUBJECT", nullptr);
  CHECK(recording.rooted(1001) == std::pair(1, 1));
  CHECK(recording.rooted(1007) == std::pair(1, 1));
}

TEST_CASE("recorder: references between the objects of a program on Boehm's collector") {
  if (std::getenv("TRICOLOR_TEST_BOEHM_SUBJECT") == nullptr) {
    MESSAGE("built without Boehm's collector");
    return;
  }
  const Recording recording("TRICOLOR_TEST_BOEHM_SUBJECT", "TRICOLOR_TEST_BOEHM_RECORDER");
  CHECK(recording.flags == (kHasStores | kHasRoots | kHasTypes));
  CHECK(recording.rooted(1001).first >= 1);
  CHECK(recording.stored(1001, 0) == Sizes{1002, 2002});
  CHECK(recording.stored(1002, 1) == Sizes{1003});
  CHECK(recording.stored(2002, 1) == Sizes{1003});
  CHECK(recording.first_of(1003)->kind == Kind::kAllocTyped);
  const Graph graph = recording.graph();
  CHECK(graph.objects[recording.first_of(2002)->object].end == kNever);
  CHECK(graph.objects[recording.first_of(1002)->object].end != kNever);
  CHECK(!graph.objects[recording.first_of(1003)->object].may_refer);
}
