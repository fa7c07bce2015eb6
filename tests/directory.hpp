// Directory: a new one below /tmp, which goes with everything in it.
#pragma once

#include <doctest/doctest.h>
#include <stdlib.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

namespace tricolor::tests {

class Directory {
 public:
  Directory() {
    char name[] = "/tmp/tricolor-test-XXXXXX";
    if (mkdtemp(name) == nullptr) FAIL("mkdtemp: " << std::strerror(errno));
    path_ = name;
  }
  ~Directory() { std::filesystem::remove_all(path_); }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const noexcept { return path_; }
  // Of all that is in it.
  std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(path_)) {
      found.push_back(entry.path().filename());
    }
    return found;
  }

 private:
  std::string path_;
};

}  // namespace tricolor::tests
