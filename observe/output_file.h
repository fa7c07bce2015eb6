#pragma once

// OutputFile: a file that is there as a whole or not at all. A regular file is written beside its place and renamed;
// what is none (a pipe, a device) is written to as it is.
//
// Threads: one at a time, in no runtime section. std::system_error names what failed.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace tricolor::observe {

// Where files for the meantime lie: TMPDIR, or /tmp.
std::string temporary_directory();

class OutputFile {
 public:
  explicit OutputFile(std::string path);
  // What finish() has not been reached for goes.
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void write(std::string_view text);
  void write(std::uint64_t number);
  void finish();

  // Where a file for the meantime may lie: beside this one, or where such files lie.
  std::string directory() const;

 private:
  void flush();
  [[noreturn]] void fail(const char* what) const;

  static constexpr std::size_t kBuffer = std::size_t{256} << 10;

  std::string path_;
  std::string written_;  // the file's name until finish(); empty: path_ itself
  int file_ = -1;
  std::unique_ptr<char[]> buffer_;
  std::size_t length_ = 0;
};

// Numbers in a file without a name, written first and then read, from the beginning each time.
class Spool {
 public:
  explicit Spool(const std::string& directory);
  ~Spool();
  Spool(const Spool&) = delete;
  Spool& operator=(const Spool&) = delete;

  void put(std::uint64_t number);
  void rewind();  // what was put is read from now on
  std::uint64_t get();

 private:
  void flush();
  void fill();

  static constexpr std::size_t kBuffer = std::size_t{256} << 10;

  std::string directory_;
  int file_ = -1;
  std::unique_ptr<unsigned char[]> buffer_;
  std::size_t length_ = 0;  // written: of the buffer in use; read: bytes in it
  std::size_t at_ = 0;
  bool reading_ = false;
};

}  // namespace tricolor::observe
