// Serves itself, and does what lines on its standard input say; ends with that input, still
// serving.
//
//     serve_program [ADDRESS]   without one TRICOLOR_SERVE's is all there is
//
// "serve ADDRESS" prints the port or the error, "stop" stops serving, "fork" prints the id of a
// child that stays until it is killed. Each answers with a line.
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>
#include <thread>

#include "tests/process/program_support.hpp"

#include <tricolor/debug.hpp>

using namespace tricolor::tests;

namespace {

void serve(const std::string& address) {
  try {
    std::cout << debug::serve(address) << std::endl;
  } catch (const std::system_error& e) {
    std::cout << "system_error " << e.what() << std::endl;
  } catch (const std::invalid_argument& e) {
    std::cout << "invalid_argument " << e.what() << std::endl;
  }
}

void work(std::atomic<bool>& stop) {
  const debug::label label("who", "worker");
  while (!stop) {
    make_garbage(1u << 18);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

void make_child() {
  int ready[2];
  if (pipe(ready) != 0) std::abort();
  const pid_t child = fork();
  if (child == 0) {
    for (const int file : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO, ready[0], ready[1]})
      close(file);
    for (;;) pause();
  }
  close(ready[1]);
  char none;
  {
    // Until the child has closed its end, and before that what is not its own.
    const runtime::BlockingScope blocking;
    while (read(ready[0], &none, 1) < 0) continue;
  }
  close(ready[0]);
  std::cout << child << std::endl;
}

// ThreadSanitizer keeps signals back while the C library reads for iostreams.
bool next_line(std::string& line) {
  const runtime::BlockingScope blocking;
  return static_cast<bool>(std::getline(std::cin, line));
}

}  // namespace

int main(int argc, char** argv) {
  const gc::root<Item> list = make_list(1000);
  std::atomic<bool> stop{false};
  std::thread worker([&stop] { work(stop); });
  if (argc > 1) {
    serve(argv[1]);
  } else {
    std::cout << "ready" << std::endl;
  }
  for (std::string line; next_line(line);) {
    if (line.starts_with("serve ")) serve(line.substr(6));
    if (line == "stop") {
      debug::stop_serving();
      std::cout << "stopped" << std::endl;
    }
    if (line == "fork") make_child();
  }
  stop = true;
  worker.join();
  return finish(check_list(list, 1000));
}
