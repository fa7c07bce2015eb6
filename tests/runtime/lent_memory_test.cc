#include "runtime/os/lent_memory.h"

#include <doctest/doctest.h>

#include <cerrno>
#include <string_view>

#include "tests/runtime/root_directory.h"

namespace tricolor::runtime::os {
namespace {

using tests::RootDirectory;

constexpr std::string_view kReporting = "0110010100000000000000000000000010000000\n";
constexpr std::string_view kSilent = "0110000100000000000000000000000010000000\n";

bool is_lent(const RootDirectory& root) { return memory_is_lent(root.path().c_str()); }

void add_balloon(RootDirectory& root, const char* device, std::string_view features) {
  root.file(std::string("sys/bus/virtio/drivers/virtio_balloon/") + device + "/features", features);
}

TEST_CASE("lent memory: a machine without a balloon keeps its memory") {
  RootDirectory root;
  errno = ERANGE;
  CHECK_FALSE(is_lent(root));
  CHECK_FALSE(memory_is_lent("/nowhere/at/all"));
  CHECK(errno == ERANGE);
  root.file("sys/bus/virtio/drivers/virtio_net/virtio1/features", kReporting);
  CHECK_FALSE(is_lent(root));
}

TEST_CASE("lent memory: a balloon that reports free pages gives them away") {
  RootDirectory root;
  add_balloon(root, "virtio0", kSilent);
  CHECK_FALSE(is_lent(root));
  add_balloon(root, "virtio12", kReporting);
  CHECK(is_lent(root));
}

TEST_CASE("lent memory: what cannot be understood says nothing") {
  RootDirectory root;
  add_balloon(root, "virtio0", "");
  add_balloon(root, "virtio1", "01100");
  add_balloon(root, "virtio2", "01100x");
  root.file("sys/bus/virtio/drivers/virtio_balloon/virtio3/features/a_directory", "");
  CHECK_FALSE(is_lent(root));
  CHECK_FALSE(memory_is_lent(std::string(10'000, 'x').c_str()));
}

}  // namespace
}  // namespace tricolor::runtime::os
