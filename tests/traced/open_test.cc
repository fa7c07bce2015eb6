// How a process opens, and stops that are in vain.
#include "tests/subprocess.hpp"
#include "tests/support.hpp"

namespace tricolor::tests {

// [open.late]
TEST_CASE("traced: a process that opens in the middle of a cycle") {
  for (const char* const godebug : {"", "gccheckmark=1", "clobberfree=1"}) {
    CAPTURE(godebug);
    ProcessOptions options;
    options.environment = {{"GODEBUG", godebug}};
    const ProcessResult result = run_program("open_program", {"late"}, options);
    INFO(result.err);
    CHECK(result.out == "ok\n");
  }
}

// [handshake.vain]
TEST_CASE("traced: a thread that hears nothing, and waits for one that stands") {
  const ProcessResult result = run_program("open_program", {"masked"});
  INFO(result.err);
  CHECK(result.out == "ok\n");
}

// [tracked.doubt]
TEST_CASE("traced: what the trace says of an open process") {
  ProcessOptions options;
  options.environment = {{"GODEBUG", "gctrace=2"}};
  const ProcessResult result = run_program("new_program", {"keeps"}, options);
  INFO(result.err);
  CHECK(result.out == "ok\n");
  CHECK(result.err.find(" traced_kib=") != std::string::npos);
  const bool tracked = result.err.find("dirty_pages=-1") == std::string::npos;
  const bool said =
      result.err.find("traced memory is read in every stop as a whole") != std::string::npos;
  CHECK(tracked != said);
}

}  // namespace tricolor::tests
