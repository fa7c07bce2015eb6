// What the control group and the affinity mask leave of the machine: memory and processors.
//
// Both versions of the control group interface are read, and their mixture. A group is bounded by
// every group above it, so the smallest limit on the way up to the mount counts; a group that is
// not visible (a container sees its own as the mount's top) is passed over.
// Threads: any; each call reads the files anew and keeps nothing. Not for signal handlers.
#pragma once

#include <cstdint>
#include <limits>
#include <string>

namespace tricolor::runtime::os {

struct CgroupLimits {
  static constexpr int64_t kNoMemoryLimit = std::numeric_limits<int64_t>::max();
  static constexpr double kNoCpuQuota = std::numeric_limits<double>::infinity();

  // Bytes. In version 2 the smaller of memory.max and memory.high: the kernel throttles a group
  // above the latter until it stands still.
  int64_t memory_limit = kNoMemoryLimit;
  // Processors: 1.5 is 150 ms of CPU in every 100 ms.
  double cpu_quota = kNoCpuQuota;
};

// Reads <root>/proc/self/cgroup and <root>/sys/fs/cgroup. What is missing or malformed sets no
// limit.
CgroupLimits read_cgroup_limits(const std::string& root = "/");

// What a group is charged for this process and cannot get back while there is no swap: its memory
// that is no file's. 0 where the system does not tell. Needs no memory.
int64_t anonymous_bytes() noexcept;

// Processors the calling thread may run on; at least 1.
int affinity_processors();

// The smaller of the affinity mask and the CPU quota; positive, below 1 for a small quota.
double available_processors();

}  // namespace tricolor::runtime::os
