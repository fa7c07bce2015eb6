#include "bench/replay/load.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <system_error>

namespace bench::replay {
namespace {

// What stands in the memory file in front of the shapes, the lengths of the lanes and the lanes.
struct Prefix {
  ProgramInfo info;
  uint64_t error_bytes;  // 0, or the length of the message that stands in place of the code
};

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

void write_fully(int fd, const void* data, size_t size) {
  const auto* at = static_cast<const std::byte*>(data);
  while (size > 0) {
    const ssize_t done = ::write(fd, at, size);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) _exit(1);
    at += done;
    size -= static_cast<size_t>(done);
  }
}

[[noreturn]] void compile_in_child(const std::string& trace, Threads threads, int fd) {
  Prefix prefix{};
  try {
    trace::Reader reader(trace);
    const CompiledProgram program = compile(reader, threads);
    prefix.info = program.info;
    write_fully(fd, &prefix, sizeof prefix);
    write_fully(fd, program.shapes.data(), program.shapes.size() * sizeof(Shape));
    for (const std::vector<uint32_t>& lane : program.code) {
      const uint64_t words = lane.size();
      write_fully(fd, &words, sizeof words);
    }
    for (const std::vector<uint32_t>& lane : program.code) {
      write_fully(fd, lane.data(), lane.size() * sizeof(uint32_t));
    }
  } catch (const std::exception& error) {
    prefix.error_bytes = std::strlen(error.what());
    write_fully(fd, &prefix, sizeof prefix);
    write_fully(fd, error.what(), prefix.error_bytes);
  }
  _exit(0);
}

}  // namespace

LoadedProgram::LoadedProgram(const std::string& trace, Threads threads) {
  const int fd = memfd_create("program", MFD_CLOEXEC);
  if (fd < 0) fail("a memory file for the program");
  const pid_t child = fork();
  if (child < 0) fail("a process to compile the trace");
  if (child == 0) compile_in_child(trace, threads, fd);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    close(fd);
    throw std::runtime_error("compiling the trace failed (out of memory?)");
  }
  page_bytes_ = static_cast<size_t>(lseek(fd, 0, SEEK_END));
  pages_ = mmap(nullptr, page_bytes_, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
  close(fd);
  if (pages_ == MAP_FAILED) fail("mapping the program");
  Prefix prefix;
  std::memcpy(&prefix, pages_, sizeof prefix);
  const auto* behind = static_cast<const std::byte*>(pages_) + sizeof prefix;
  if (prefix.error_bytes != 0) {
    const std::string message(reinterpret_cast<const char*>(behind), prefix.error_bytes);
    munmap(pages_, page_bytes_);
    throw std::runtime_error(message);
  }
  program_.info = prefix.info;
  const ProgramInfo& info = program_.info;
  program_.shapes = {reinterpret_cast<const Shape*>(behind), info.shapes};
  behind += info.shapes * sizeof(Shape);
  const auto* lane = reinterpret_cast<const uint32_t*>(behind + info.lanes * sizeof(uint64_t));
  for (uint32_t i = 0; i < info.lanes; ++i) {
    uint64_t words = 0;
    std::memcpy(&words, behind + i * sizeof words, sizeof words);
    program_.code.emplace_back(lane, words);
    lane += words;
  }
}

LoadedProgram::~LoadedProgram() { munmap(pages_, page_bytes_); }

}  // namespace bench::replay
