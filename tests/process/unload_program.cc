// Loads unload_plugin, which lies beside it, has it make objects, and unloads it again.
//
//     unload_program waited    after all of its objects are destroyed
//     unload_program queued    after they are dead
//     unload_program dropped   after nothing refers to them
//     unload_program alive     and they die later
//     unload_program again     loaded and unloaded many times
#include <dlfcn.h>

#include <atomic>
#include <string>

#include "tests/process/program_support.hpp"

using namespace tricolor::tests;

namespace {

constexpr int kObjects = 20'000;
std::atomic<int> g_destroyed{0};

struct Plugin {
  void* handle = nullptr;
  void* (*make)(std::atomic<int>*, int) = nullptr;
};

Plugin load(const std::string& path) {
  Plugin plugin;
  plugin.handle = dlopen(path.c_str(), RTLD_NOW);
  if (plugin.handle == nullptr) {
    std::printf("%s\n", dlerror());
    return plugin;
  }
  plugin.make = reinterpret_cast<decltype(plugin.make)>(dlsym(plugin.handle, "make_plugged"));
  return plugin;
}

bool unload(const Plugin& plugin, const std::string& path) {
  if (dlclose(plugin.handle) != 0) return false;
  return dlopen(path.c_str(), RTLD_NOW | RTLD_NOLOAD) == nullptr;
}

// Objects whose references are gone with the thread's stack, but for `kept`.
void make_objects(const Plugin& plugin, gc::root<void>* kept) {
  std::thread([&] {
    void* const last = plugin.make(&g_destroyed, kObjects);
    if (kept != nullptr) *kept = last;
  }).join();
}

void churn() {
  for (int i = 0; i < 3; ++i) {
    make_garbage(16u << 20);
    runtime::collect();
    runtime::wait_for_finalizers();
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string way = argc > 1 ? argv[1] : "waited";
  const std::string self = argv[0];
  const std::string path = self.substr(0, self.rfind('/') + 1) + "libunload_plugin.so";
  gc::root<void> kept;
  bool good = true;
  for (int i = 0; i < (way == "again" ? 20 : 1) && good; ++i) {
    const Plugin plugin = load(path);
    if (plugin.make == nullptr) return finish(false);
    make_objects(plugin, way == "alive" ? &kept : nullptr);
    if (way == "waited" || way == "queued") runtime::collect();
    if (way == "waited") runtime::wait_for_finalizers();
    good = unload(plugin, path);
    if (!good) std::puts("it is still loaded");
  }
  kept = nullptr;
  churn();
  std::printf("%d destroyed\n", g_destroyed.load());
  return finish(good);
}
