#include "observe/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <system_error>
#include <utility>

namespace tricolor::observe {

namespace {

std::string directory_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

[[noreturn]] void fail(const std::string& what) {
  const int error = errno;
  throw std::system_error(error, std::generic_category(), what);
}

void write_all(int file, const void* data, std::size_t length, const std::string& name) {
  const auto* bytes = static_cast<const char*>(data);
  while (length > 0) {
    const ssize_t written = ::write(file, bytes, length);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail("cannot write " + name);
    bytes += written;
    length -= static_cast<std::size_t>(written);
  }
}

// Followed, so that a link to a file is replaced by nothing but its target's contents.
std::string resolved(const std::string& path) {
  char* const real = ::realpath(path.c_str(), nullptr);
  std::string result = real != nullptr ? real : path;
  std::free(real);
  return result;
}

}  // namespace

std::string temporary_directory() {
  const char* const chosen = std::getenv("TMPDIR");
  return chosen != nullptr && chosen[0] != '\0' ? chosen : "/tmp";
}

OutputFile::OutputFile(std::string path)
    : path_(resolved(path)), buffer_(std::make_unique<char[]>(kBuffer)) {
  struct stat status {};
  const bool there = ::stat(path_.c_str(), &status) == 0;
  if (there && S_ISDIR(status.st_mode)) {
    errno = EISDIR;
    fail("cannot write");
  }
  if (there && !S_ISREG(status.st_mode)) {
    file_ = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY);
    if (file_ < 0) fail("cannot open");
    return;
  }
  // Whoever may not write the file may not replace it either.
  if (there && ::access(path_.c_str(), W_OK) != 0) fail("cannot write");
  written_ = path_ + ".XXXXXX";
  file_ = ::mkostemp(written_.data(), O_CLOEXEC);
  if (file_ < 0) {
    written_.clear();
    fail("cannot make a file beside");
  }
  const mode_t mask = ::umask(0);
  ::umask(mask);
  static_cast<void>(::fchmod(file_, there ? status.st_mode & 07777 : 0666 & ~mask));
}

OutputFile::~OutputFile() {
  if (file_ < 0) return;
  ::close(file_);
  if (!written_.empty()) ::unlink(written_.c_str());
}

void OutputFile::fail(const char* what) const { observe::fail(std::string(what) + " " + path_); }

void OutputFile::flush() { write_all(file_, buffer_.get(), std::exchange(length_, 0), path_); }

void OutputFile::write(std::string_view text) {
  while (!text.empty()) {
    if (length_ == kBuffer) flush();
    const std::size_t part = std::min(text.size(), kBuffer - length_);
    std::memcpy(buffer_.get() + length_, text.data(), part);
    length_ += part;
    text.remove_prefix(part);
  }
}

void OutputFile::write(std::uint64_t number) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  write(std::string_view(digits, static_cast<std::size_t>(end - digits)));
}

// A full disk may say so as late as here.
void OutputFile::finish() {
  flush();
  const bool kept = !written_.empty();
  const int file = std::exchange(file_, -1);
  const int error = ::close(file) == 0 ? 0 : errno;
  if (!kept) {
    if (error != 0) {
      errno = error;
      fail("cannot write");
    }
    return;
  }
  if (error == 0 && ::rename(written_.c_str(), path_.c_str()) == 0) return;
  const int why = error != 0 ? error : errno;
  ::unlink(written_.c_str());
  errno = why;
  fail(error != 0 ? "cannot write" : "cannot put in place");
}

std::string OutputFile::directory() const {
  if (!written_.empty()) return directory_of(path_);
  return temporary_directory();
}

Spool::Spool(const std::string& directory)
    : directory_(directory), buffer_(std::make_unique<unsigned char[]>(kBuffer)) {
  file_ = ::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (file_ >= 0) return;
  // Not every file system has such.
  std::string name = directory + "/tricolor.XXXXXX";
  file_ = ::mkostemp(name.data(), O_CLOEXEC);
  if (file_ < 0) fail("cannot make a file in " + directory);
  ::unlink(name.c_str());
}

Spool::~Spool() {
  if (file_ >= 0) ::close(file_);
}

void Spool::flush() {
  write_all(file_, buffer_.get(), std::exchange(length_, 0), "a file in " + directory_);
}

void Spool::put(std::uint64_t number) {
  if (kBuffer - length_ < 10) flush();
  for (; number >= 0x80; number >>= 7) {
    buffer_[length_++] = static_cast<unsigned char>(number | 0x80);
  }
  buffer_[length_++] = static_cast<unsigned char>(number);
}

void Spool::rewind() {
  if (!reading_) flush();
  reading_ = true;
  length_ = at_ = 0;
  if (::lseek(file_, 0, SEEK_SET) != 0) fail("cannot read a file in " + directory_);
}

void Spool::fill() {
  ssize_t got;
  do {
    got = ::read(file_, buffer_.get(), kBuffer);
  } while (got < 0 && errno == EINTR);
  if (got == 0) errno = EIO;  // somebody has cut it short
  if (got <= 0) fail("cannot read a file in " + directory_);
  length_ = static_cast<std::size_t>(got);
  at_ = 0;
}

std::uint64_t Spool::get() {
  std::uint64_t number = 0;
  for (unsigned shift = 0;; shift += 7) {
    if (at_ == length_) fill();
    const unsigned char byte = buffer_[at_++];
    number |= std::uint64_t{byte & 0x7fu} << (shift & 63);
    if (byte < 0x80) return number;
  }
}

}  // namespace tricolor::observe
