// Recorded types: each object's, whatever made it, and none where nobody asked.

#include "tests/subprocess.hpp"

namespace tricolor::tests {

// [watch.types]
TEST_CASE("types: every object's type is recorded") {
  for (const char* mode : {"plain", "threads", "fork"}) {
    CAPTURE(mode);
    const ProcessResult result =
        run_program("types_program", {mode}, {.environment = {{"GODEBUG", "types=1"}}});
    CAPTURE(result.out);
    CAPTURE(result.err);
    CHECK(result.exit_code == 0);
    CHECK(result.out == "0 wrong\n");
  }
}

TEST_CASE("types: recorded with every cycle's checks on") {
  const ProcessResult result = run_program(
      "types_program", {"threads"},
      {.environment = {{"GODEBUG", "types=1,gccheckmark=1,clobberfree=1,gcstress=5000"}}});
  CAPTURE(result.out);
  CAPTURE(result.err);
  CHECK(result.exit_code == 0);
}

#if !TRICOLOR_CHECKS
TEST_CASE("types: nothing is recorded where nobody asked") {
  const ProcessResult result = run_program("types_program", {"plain"});
  CHECK(result.exit_code == 1);
  CHECK(result.out.find("Small is recorded as nothing") != std::string::npos);
}
#endif

}  // namespace tricolor::tests
