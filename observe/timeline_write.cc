// The text of a timeline: Chrome's trace events, by time.

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "observe/timeline.h"
#include "runtime/os/os.h"

namespace tricolor::observe {

namespace os = runtime::os;
using runtime::Timed;

namespace {

// How an event is called, and its figures; nullptr: it has none.
struct Description {
  const char* name;
  const char* category;
  const char* first = nullptr;
  const char* second = nullptr;
};

Description describe(Timed what) noexcept {
  switch (what) {
    case Timed::kCycle:
      return {"cycle", "cycle", "number", "forced"};
    case Timed::kPrepare:
      return {"sweep what is left, run hooks", "cycle"};
    case Timed::kEnter:
      return {"enter", "cycle"};
    case Timed::kBarrierOn:
      return {"H1 barrier on", "cycle", "handshake"};
    case Timed::kGoBlack:
      return {"H2 allocate black", "cycle", "handshake"};
    case Timed::kMark:
      return {"mark", "cycle"};
    case Timed::kTerminate:
      return {"terminate", "cycle", "handshake", "clean"};
    case Timed::kStop:
      return {"stop", "cycle"};
    case Timed::kClear:
      return {"clear", "cycle"};
    case Timed::kLeave:
      return {"leave", "cycle", "handshake"};
    case Timed::kSweep:
      return {"sweep", "cycle", "pages"};
    case Timed::kMarking:
      return {"marking", "marking", "scanned_bytes"};
    case Timed::kAssist:
      return {"assist", "wait", "scanned_bytes"};
    case Timed::kStall:
      return {"stall", "wait"};
    case Timed::kWaitForDead:
      return {"wait for destructors", "wait"};
    case Timed::kCollect:
      return {"collect()", "wait"};
    case Timed::kAside:
      return {"stand aside", "wait"};
    case Timed::kStopped:
      return {"stopped", "wait"};
    case Timed::kAnswer:
      return {"", "handshake", "number"};
    case Timed::kAllocate:
      return {"slow allocation", "allocation", "bytes"};
    case Timed::kDead:
      return {"destructors and finalizers", "dead", "count"};
    case Timed::kTrigger:
      return {"cycle asked for", "cycle", "heap_bytes"};
    case Timed::kSignal:
      return {"signal sent", "handshake", "thread"};
    case Timed::kThreadEnd:
      return {"thread ends", "thread"};
    case Timed::kHeap:
      return {"heap", "heap", "live", "goal"};
  }
  return {"?", "?"};
}

bool is_moment(Timed what) noexcept {
  return what == Timed::kTrigger || what == Timed::kSignal || what == Timed::kThreadEnd;
}

// From asked to answered: on a track beside the thread's, where it may lie across what the thread
// did meanwhile. Beyond the ids of threads.
constexpr int kAskedTrack = 10'000'000;

// What is no printable ASCII is left out: names are 15 bytes cut anywhere.
std::string name_from(const char* text, size_t size) {
  std::string name;
  for (size_t i = 0; i < size && text[i] != '\0' && text[i] != '\n'; ++i) {
    if (text[i] < ' ' || text[i] > '~' || text[i] == '"' || text[i] == '\\')
      name += '?';
    else
      name += text[i];
  }
  return name;
}

std::string name_in(const char* file) {
  char text[64];
  return name_from(text, os::read_file(file, text, sizeof text));
}

class Writer {
 public:
  Writer(const TimedEvents& events, const std::function<void(std::string_view)>& write)
      : events_(events), write_(write), pid_(os::pid()) {
    events.for_each([&](const TimedEvent& event) { look_at(event); });
    std::sort(lines_.begin(), lines_.end(), [](const Line& a, const Line& b) {
      if (a.begin_ns != b.begin_ns) return a.begin_ns < b.begin_ns;
      return a.end_ns > b.end_ns;  // the outer first
    });
  }

  void write() {
    write_("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n");
    write_names();
    for (const Line& line : lines_) {
      if (line.asked)
        write_asked(line);
      else
        write_event(*line.event);
    }
    end_line();
    print(
        "],\"otherData\":{\"producer\":\"tricolor\",\"dropped_events\":\"%llu\","
        "\"began_unix_ns\":\"%lld\",\"recorded_ns\":\"%lld\"}}\n",
        static_cast<unsigned long long>(events_.lost),
        static_cast<long long>(os::wall_ns() - (os::now_ns() - events_.began_ns)),
        static_cast<long long>(events_.ended_ns - events_.began_ns));
  }

 private:
  struct Line {
    int64_t begin_ns;
    int64_t end_ns;
    const TimedEvent* event;
    bool asked;
  };
  struct Track {
    std::string name;  // it ended with
    int rank = 2;      // collector, workers, others
  };

  void look_at(const TimedEvent& event) {
    Track& track = tracks_[event.tid];
    lines_.push_back({event.begin_ns, event.end_ns, &event, false});
    switch (event.what) {
      case Timed::kBarrierOn:
      case Timed::kGoBlack:
      case Timed::kLeave:
      case Timed::kTerminate:
        handshakes_[event.first] = event.what;
        [[fallthrough]];
      case Timed::kMark:
        track.rank = 0;
        break;
      case Timed::kMarking:
        track.rank = std::min(track.rank, 1);
        break;
      case Timed::kAnswer:
        if (event.second < events_.began_ns) break;
        lines_.push_back({event.second, event.end_ns, &event, true});
        asked_.insert(event.tid);
        break;
      case Timed::kThreadEnd: {
        char text[2 * sizeof(int64_t)];
        std::memcpy(text, &event.first, sizeof event.first);
        std::memcpy(text + sizeof event.first, &event.second, sizeof event.second);
        track.name = name_from(text, sizeof text);
        break;
      }
      default:
        break;
    }
  }

  template <class... Args>
  void print(const char* format, Args... args) {
    char text[512];
    const int size = std::snprintf(text, sizeof text, format, args...);
    write_(std::string_view(text, std::min(static_cast<size_t>(size), sizeof text - 1)));
  }

  void begin_line() {
    write_(any_ ? ",\n" : "");
    any_ = true;
  }
  void end_line() { write_("\n"); }

  void write_name(const char* what, int track, const std::string& name) {
    begin_line();
    print(R"({"ph":"M","name":"%s","pid":%d,"tid":%d,"args":{"name":"%s"}})", what, pid_, track,
          name.c_str());
  }

  void write_names() {
    write_name("process_name", pid_, name_in("/proc/self/comm"));
    int order[3] = {0, 1, 1000};
    for (const auto& [tid, track] : tracks_) {
      char file[64];
      std::snprintf(file, sizeof file, "/proc/self/task/%d/comm", tid);
      std::string name = name_in(file);
      if (name.empty()) name = track.name;
      if (name.empty()) name = "thread";
      write_track(tid, name, order[track.rank]++);
      if (asked_.count(tid) != 0)
        write_track(tid + kAskedTrack, name + ": asked", order[track.rank]++);
    }
  }

  void write_track(int track, const std::string& name, int order) {
    write_name("thread_name", track, name);
    begin_line();
    print(R"({"ph":"M","name":"thread_sort_index","pid":%d,"tid":%d,"args":{"sort_index":%d}})",
          pid_, track, order);
  }

  const char* handshake_name(int64_t number) const {
    const auto found = handshakes_.find(number);
    if (found == handshakes_.end()) return "handshake";
    if (found->second == Timed::kTerminate) return "H3 report";
    if (found->second == Timed::kLeave) return "H4 barrier off";
    return describe(found->second).name;
  }

  // The members that all events have but their name, times in microseconds.
  void write_head(const char* phase, const char* category, int track, int64_t begin_ns) {
    const int64_t at = begin_ns - events_.began_ns;
    print(R"("ph":"%s","cat":"%s","pid":%d,"tid":%d,"ts":%lld.%03d)", phase, category, pid_, track,
          static_cast<long long>(at / 1000), static_cast<int>(at % 1000));
  }
  void write_duration(int64_t ns) {
    print(R"(,"dur":%lld.%03d)", static_cast<long long>(ns / 1000), static_cast<int>(ns % 1000));
  }

  void write_asked(const Line& line) {
    begin_line();
    print(R"({"name":"asked: %s",)", handshake_name(line.event->first));
    write_head("X", "handshake", line.event->tid + kAskedTrack, line.begin_ns);
    write_duration(line.end_ns - line.begin_ns);
    print(R"(,"args":{"number":%lld}})", static_cast<long long>(line.event->first));
  }

  void write_event(const TimedEvent& event) {
    if (event.what == Timed::kHeap) {
      write_counter(event, "heap live", event.first);
      constexpr int64_t kNone = int64_t{1} << 50;  // GOGC=off
      if (event.second < kNone) write_counter(event, "heap goal", event.second);
      return;
    }
    const Description text = describe(event.what);
    begin_line();
    if (event.what == Timed::kAnswer)
      print(R"({"name":"answer: %s",)", handshake_name(event.first));
    else
      print(R"({"name":"%s",)", text.name);
    write_head(is_moment(event.what) ? "i" : "X", text.category, event.tid, event.begin_ns);
    if (is_moment(event.what))
      write_(R"(,"s":"t")");
    else
      write_duration(event.end_ns - event.begin_ns);
    if (text.first != nullptr)
      print(R"(,"args":{"%s":%lld)", text.first, static_cast<long long>(event.first));
    if (text.second != nullptr)
      print(R"(,"%s":%lld)", text.second, static_cast<long long>(event.second));
    write_(text.first != nullptr ? "}}" : "}");
  }

  void write_counter(const TimedEvent& event, const char* name, int64_t bytes) {
    begin_line();
    print(R"({"name":"%s",)", name);
    write_head("C", "heap", event.tid, event.begin_ns);
    print(R"(,"args":{"bytes":%lld}})", static_cast<long long>(bytes));
  }

  const TimedEvents& events_;
  const std::function<void(std::string_view)>& write_;
  const int pid_;
  std::vector<Line> lines_;
  std::map<int, Track> tracks_;
  std::set<int> asked_;
  std::map<int64_t, Timed> handshakes_;  // those that phases have told of, by number
  bool any_ = false;
};

}  // namespace

void write_timeline(const TimedEvents& events, const std::function<void(std::string_view)>& write) {
  Writer(events, write).write();
}

}  // namespace tricolor::observe
