// A program that collects nothing, all of whose memory is traced: there is no heap then, no thread
// of the library and no cycle. Prints the number of its threads.
#include <cstdio>
#include <filesystem>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include <tricolor/traced_new.hpp>

int main() {
  std::vector<std::string> strings;
  std::thread([&] {
    for (int i = 0; i < 100'000; ++i) strings.emplace_back(50, 'x');
  }).join();
  const std::filesystem::directory_iterator threads("/proc/self/task");
  std::printf("%zu strings, %td threads\n", strings.size(),
              std::distance(begin(threads), end(threads)));
}
