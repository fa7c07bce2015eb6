#include "runtime/os/cgroup.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <optional>
#include <string_view>

#include "runtime/os/os.h"

#include "runtime/base/no_cancellation.h"

namespace tricolor::runtime::os {
namespace {

std::optional<std::string> read_file(const std::string& path) {
  const NoCancellation whole;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  std::string text;
  char chunk[512];  // threads with the smallest stack come here
  ssize_t count;
  while ((count = ::read(fd, chunk, sizeof chunk)) != 0) {
    if (count > 0) {
      text.append(chunk, static_cast<size_t>(count));
    } else if (errno != EINTR) {
      break;
    }
  }
  ::close(fd);
  if (count < 0) return std::nullopt;
  return text;
}

// Cuts text up to the separator off its front.
std::string_view take_until(std::string_view& text, char separator) {
  const size_t end = std::min(text.find(separator), text.size());
  const std::string_view part = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return part;
}

// "max", "-1" and whatever is no number are nothing.
std::optional<int64_t> parse_positive(std::string_view text) {
  int64_t value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (result.ec != std::errc{} || result.ptr != text.data() + text.size() || value <= 0) {
    return std::nullopt;
  }
  return value;
}

std::optional<int64_t> read_number(const std::string& path) {
  const auto text = read_file(path);
  if (!text) return std::nullopt;
  std::string_view rest = *text;
  return parse_positive(take_until(rest, '\n'));
}

void lower_memory(CgroupLimits& limits, std::optional<int64_t> bytes) {
  // Version 1 says "no limit" with the largest number of whole pages.
  constexpr int64_t kUnlimited = int64_t{1} << 62;
  if (bytes && *bytes < kUnlimited) limits.memory_limit = std::min(limits.memory_limit, *bytes);
}

void lower_quota(CgroupLimits& limits, std::optional<int64_t> quota_us,
                 std::optional<int64_t> period_us) {
  if (!quota_us || !period_us) return;
  const double processors = static_cast<double>(*quota_us) / static_cast<double>(*period_us);
  limits.cpu_quota = std::min(limits.cpu_quota, processors);
}

void read_version2_group(const std::string& directory, CgroupLimits& limits) {
  lower_memory(limits, read_number(directory + "/memory.max"));
  lower_memory(limits, read_number(directory + "/memory.high"));
  if (const auto text = read_file(directory + "/cpu.max")) {
    std::string_view rest = *text;
    std::string_view line = take_until(rest, '\n');
    const auto quota = parse_positive(take_until(line, ' '));
    lower_quota(limits, quota, parse_positive(line));
  }
}

void read_version1_memory(const std::string& directory, CgroupLimits& limits) {
  lower_memory(limits, read_number(directory + "/memory.limit_in_bytes"));
}

void read_version1_cpu(const std::string& directory, CgroupLimits& limits) {
  lower_quota(limits, read_number(directory + "/cpu.cfs_quota_us"),
              read_number(directory + "/cpu.cfs_period_us"));
}

using GroupReader = void (*)(const std::string& directory, CgroupLimits& limits);

// Calls read for mount + group and every group above it, the mount itself last.
void walk_up(const std::string& mount, std::string_view group, GroupReader read,
             CgroupLimits& limits) {
  // The kernel shows a group outside the namespace as "/../..", which leads nowhere from here.
  if ((std::string(group) + '/').find("/../") != std::string::npos) group = "/";
  if (!group.starts_with('/')) group = "/";
  while (group.size() > 1) {
    read(mount + std::string(group), limits);
    group = group.substr(0, group.rfind('/'));
  }
  read(mount, limits);
}

bool lists(std::string_view controllers, std::string_view wanted) {
  while (!controllers.empty()) {
    if (take_until(controllers, ',') == wanted) return true;
  }
  return false;
}

}  // namespace

CgroupLimits read_cgroup_limits(const std::string& root) {
  CgroupLimits limits;
  const std::string base = root.ends_with('/') ? root.substr(0, root.size() - 1) : root;
  const std::string mounts = base + "/sys/fs/cgroup";
  const auto membership = read_file(base + "/proc/self/cgroup");
  if (!membership) return limits;

  // A line is "id:controllers:group"; version 2 names no controllers.
  std::string_view rest = *membership;
  while (!rest.empty()) {
    std::string_view group = take_until(rest, '\n');
    take_until(group, ':');
    const std::string controllers(take_until(group, ':'));
    if (controllers.empty()) {
      walk_up(mounts, group, read_version2_group, limits);
      walk_up(mounts + "/unified", group, read_version2_group, limits);
      continue;
    }
    // A mount is named by one controller or by the whole list.
    std::string listed_mount = mounts;
    listed_mount += '/';
    listed_mount += controllers;
    if (lists(controllers, "memory")) {
      walk_up(mounts + "/memory", group, read_version1_memory, limits);
      if (controllers != "memory") {
        walk_up(listed_mount, group, read_version1_memory, limits);
      }
    }
    if (lists(controllers, "cpu")) {
      walk_up(mounts + "/cpu", group, read_version1_cpu, limits);
      if (controllers != "cpu") {
        walk_up(listed_mount, group, read_version1_cpu, limits);
      }
    }
  }
  return limits;
}

int64_t anonymous_bytes() noexcept {
  char text[128];  // pages: of address space, resident, of these a file's, ..
  const size_t length = os::read_file("/proc/self/statm", text, sizeof(text) - 1);
  text[length] = 0;
  char* rest = text;
  std::strtoll(rest, &rest, 10);
  const int64_t resident = std::strtoll(rest, &rest, 10);
  return (resident - std::strtoll(rest, &rest, 10)) * static_cast<int64_t>(page_size());
}

int affinity_processors() { return static_cast<int>(cpu_count()); }

double available_processors() {
  return std::min(static_cast<double>(affinity_processors()), read_cgroup_limits().cpu_quota);
}

}  // namespace tricolor::runtime::os
