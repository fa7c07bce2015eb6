#include "runtime/os/cgroup.h"

#include <doctest/doctest.h>
#include <sched.h>

#include <cmath>
#include <initializer_list>
#include <string>
#include <string_view>
#include <thread>

#include "tests/runtime/root_directory.h"

namespace tricolor::runtime::os {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;

class Root : public tests::RootDirectory {
 public:
  Root& membership(std::string_view text) {
    file("proc/self/cgroup", text);
    return *this;
  }
  Root& group_file(const std::string& name, std::string_view text) {
    file("sys/fs/cgroup/" + name, text);
    return *this;
  }
  CgroupLimits limits() const { return read_cgroup_limits(path().string()); }
};

void check_no_limits(const CgroupLimits& limits) {
  CHECK(limits.memory_limit == CgroupLimits::kNoMemoryLimit);
  CHECK(limits.cpu_quota == CgroupLimits::kNoCpuQuota);
}

TEST_CASE("cgroup: without control groups there are no limits") {
  check_no_limits(Root().limits());
  check_no_limits(read_cgroup_limits("/nowhere/at/all"));
}

TEST_CASE("cgroup: version 2, the group itself") {
  Root root;
  root.membership("0::/app\n");
  root.group_file("app/memory.max", "536870912\n").group_file("app/cpu.max", "150000 100000\n");
  CHECK(root.limits().memory_limit == 512 * kMiB);
  CHECK(root.limits().cpu_quota == doctest::Approx(1.5));
}

TEST_CASE("cgroup: version 2, max is no limit") {
  Root root;
  root.membership("0::/app\n");
  root.group_file("app/memory.max", "max\n").group_file("app/memory.high", "max\n");
  root.group_file("app/cpu.max", "max 100000\n");
  check_no_limits(root.limits());
}

TEST_CASE("cgroup: version 2, the smallest limit on the way up counts") {
  Root root;
  root.membership("0::/a/b/c\n");
  root.group_file("a/b/c/memory.max", "900000000\n").group_file("a/b/memory.max", "max\n");
  root.group_file("a/memory.max", "300000000\n");
  root.group_file("a/b/c/cpu.max", "max 100000\n").group_file("a/b/cpu.max", "50000 100000\n");
  root.group_file("a/cpu.max", "400000 100000\n");
  CHECK(root.limits().memory_limit == 300000000);
  CHECK(root.limits().cpu_quota == doctest::Approx(0.5));
}

TEST_CASE("cgroup: version 2, a group beside ours does not count") {
  Root root;
  root.membership("0::/a/b\n");
  root.group_file("a/c/memory.max", "1000\n").group_file("a/bb/memory.max", "2000\n");
  root.group_file("a/b/d/memory.max", "3000\n");
  check_no_limits(root.limits());
}

TEST_CASE("cgroup: version 2, memory.high is a limit too") {
  Root root;
  root.membership("0::/app\n");
  root.group_file("app/memory.max", "500000000\n").group_file("app/memory.high", "400000000\n");
  CHECK(root.limits().memory_limit == 400000000);
}

TEST_CASE("cgroup: version 2, a container sees its group as the mount") {
  Root root;
  root.membership("0::/\n");
  root.group_file("memory.max", "104857600\n").group_file("cpu.max", "200000 100000\n");
  CHECK(root.limits().memory_limit == 100 * kMiB);
  CHECK(root.limits().cpu_quota == doctest::Approx(2));
}

TEST_CASE("cgroup: version 2, a group outside the namespace falls back to the mount") {
  for (const char* membership : {"0::/../../other\n", "0::/..\n"}) {
    Root root;
    root.membership(membership);
    root.group_file("memory.max", "104857600\n").file("sys/other/memory.max", "1000\n");
    root.file("sys/fs/memory.max", "1000\n");
    root.file("sys/memory.max", "1000\n");
    CHECK(root.limits().memory_limit == 100 * kMiB);
  }
}

TEST_CASE("cgroup: dots within a name are part of the name") {
  Root root;
  root.membership("0::/..a/b..\n");
  root.group_file("..a/b../memory.max", "104857600\n");
  CHECK(root.limits().memory_limit == 100 * kMiB);
}

TEST_CASE("cgroup: version 1 with mounts by the controller's name") {
  Root root;
  root.membership("12:memory:/docker/abc\n5:cpu,cpuacct:/docker/abc\n1:name=systemd:/x\n");
  root.group_file("memory/docker/abc/memory.limit_in_bytes", "268435456\n");
  root.group_file("cpu/docker/abc/cpu.cfs_quota_us", "250000\n");
  root.group_file("cpu/docker/abc/cpu.cfs_period_us", "100000\n");
  CHECK(root.limits().memory_limit == 256 * kMiB);
  CHECK(root.limits().cpu_quota == doctest::Approx(2.5));
}

TEST_CASE("cgroup: version 1 with a mount by the list of controllers") {
  Root root;
  root.membership("5:cpu,cpuacct:/s\n");
  root.group_file("cpu,cpuacct/s/cpu.cfs_quota_us", "75000\n");
  root.group_file("cpu,cpuacct/s/cpu.cfs_period_us", "50000\n");
  CHECK(root.limits().cpu_quota == doctest::Approx(1.5));
}

TEST_CASE("cgroup: version 1, a container sees its group as the mount") {
  Root root;
  root.membership("12:memory:/docker/abc\n5:cpu:/docker/abc\n");
  root.group_file("memory/memory.limit_in_bytes", "268435456\n");
  root.group_file("cpu/cpu.cfs_quota_us", "50000\n");
  root.group_file("cpu/cpu.cfs_period_us", "100000\n");
  CHECK(root.limits().memory_limit == 256 * kMiB);
  CHECK(root.limits().cpu_quota == doctest::Approx(0.5));
}

TEST_CASE("cgroup: version 1, its ways to say no limit") {
  Root root;
  root.membership("12:memory:/\n5:cpu:/\n");
  root.group_file("memory/memory.limit_in_bytes", "9223372036854771712\n");
  root.group_file("cpu/cpu.cfs_quota_us", "-1\n").group_file("cpu/cpu.cfs_period_us", "100000\n");
  check_no_limits(root.limits());
}

TEST_CASE("cgroup: version 1, a controller whose name only contains ours is not ours") {
  Root root;
  root.membership("5:cpuset,cpuacct:/s\n6:hugememory:/s\n");
  root.group_file("cpu/cpu.cfs_quota_us", "50000\n");
  root.group_file("cpu/cpu.cfs_period_us", "100000\n");
  root.group_file("memory/memory.limit_in_bytes", "1000\n");
  check_no_limits(root.limits());
}

TEST_CASE("cgroup: the mixture of both versions") {
  Root root;
  root.membership("4:memory:/m\n0::/u\n");
  root.group_file("memory/m/memory.limit_in_bytes", "268435456\n");
  root.group_file("unified/u/cpu.max", "30000 20000\n");
  CHECK(root.limits().memory_limit == 256 * kMiB);
  CHECK(root.limits().cpu_quota == doctest::Approx(1.5));
}

TEST_CASE("cgroup: malformed memory limits set none") {
  for (const char* text : {"", "\n", "12x\n", "-5\n", "0\n", "99999999999999999999\n", "1 2\n"}) {
    CAPTURE(text);
    Root root;
    root.membership("0::/app\n");
    root.group_file("app/memory.max", text);
    check_no_limits(root.limits());
  }
}

TEST_CASE("cgroup: malformed quotas set none") {
  for (const char* text : {"", "\n", "100000\n", "100000 0\n", "0 100000\n", "a b\n", "1 2 3\n",
                           "100000 100000x\n", "-1 100000\n"}) {
    CAPTURE(text);
    Root root;
    root.membership("0::/app\n");
    root.group_file("app/cpu.max", text);
    check_no_limits(root.limits());
  }
}

TEST_CASE("cgroup: malformed memberships fall back to the mount or nothing") {
  for (const char* text : {"", "\n", ":", "::", "0::", "0::app\n", "0::a/b", "junk\n\n0::\n"}) {
    CAPTURE(text);
    Root root;
    root.membership(text);
    root.group_file("app/memory.max", "1000\n").group_file("a/memory.max", "1000\n");
    check_no_limits(root.limits());
  }
}

TEST_CASE("cgroup: a directory where a file should be sets no limit") {
  Root root;
  root.membership("0::/app\n");
  std::filesystem::create_directories(root.path() / "sys/fs/cgroup/app/memory.max");
  check_no_limits(root.limits());
}

TEST_CASE("cgroup: the processors are those of the affinity mask") {
  const int before = affinity_processors();
  CHECK(before >= 1);
  // On a thread of its own, so that the mask goes with it.
  int narrowed = 0;
  std::thread([&] {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<unsigned>(::sched_getcpu()), &one);
    if (::sched_setaffinity(0, sizeof one, &one) == 0) narrowed = affinity_processors();
  }).join();
  CHECK(narrowed == 1);
  CHECK(affinity_processors() == before);
}

TEST_CASE("cgroup: available processors are positive and within the mask") {
  const double processors = available_processors();
  CHECK(processors > 0);
  CHECK(processors <= affinity_processors());
}

}  // namespace
}  // namespace tricolor::runtime::os
