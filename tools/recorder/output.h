#pragma once

// Output: the file that a recorded process writes, and the one line on stderr when that fails.
//
// The file is opened by its absolute path for every write and closed again, so that the program's
// descriptors stay what they would be without the recorder, and a program that closes descriptors
// it does not know (a daemon) harms nothing. Signals that a write may raise (SIGXFSZ, SIGPIPE)
// never reach the program.
//
// After the first failure nothing more is written and the partial file, if it was made here, is
// removed.
// Threads: one at a time; the recorder's output lock guards it.

#include <sys/types.h>

#include <cstddef>
#include <cstdint>

namespace tools::recorder {

// Writes "tricolor recorder: TEXT\n" to stderr with one write(2). Allocates nothing.
void complain(const char* text, const char* detail = "", const char* reason = "");

// TRICOLOR_TRACE_LEVEL; `otherwise` when it is not set, or, after a complaint, no number from 1
// to 19.
int level_from_environment(int otherwise);

class Output {
 public:
  // Fixes the path; a relative one is taken from the current directory. False, after a complaint,
  // when it is too long or the directory is unknown.
  bool set_path(const char* path);
  // What a forked child records into: the path with ".PID" behind it, created when first written.
  void become_child(pid_t pid);

  // Creates the file. An existing regular file is never overwritten: ".PID", then ".PID.2"... is
  // put behind the name instead (the same process after an exec, for one). Other kinds of file (a
  // pipe, a device) are written to as they are.
  bool create(pid_t pid);
  bool is_created() const { return created_; }
  // False after the first failure, which was complained about.
  bool write(const std::byte* data, size_t size);
  uint64_t size() const { return size_; }
  // Cuts the file back to `size`, to go on behind what was written before a closing record.
  bool truncate(uint64_t size);

 private:
  bool fail(const char* what);

  char path_[4096] = {};
  uint64_t size_ = 0;
  bool created_ = false;
  bool removable_ = false;
};

}  // namespace tools::recorder
