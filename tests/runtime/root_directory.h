#pragma once

// A directory that stands for "/" in tests of what is read from the system's files; removed with
// its files at the end of the test.

#include <doctest/doctest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace tricolor::tests {

class RootDirectory {
 public:
  RootDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "root.XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~RootDirectory() { std::filesystem::remove_all(path_); }
  RootDirectory(const RootDirectory&) = delete;
  RootDirectory& operator=(const RootDirectory&) = delete;

  void file(const std::string& name, std::string_view text) {
    const std::filesystem::path path = path_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace tricolor::tests
