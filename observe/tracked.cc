// debug::tracked and debug::leaks(): resources by the stack that made them.

#include <unwind.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <exception>
#include <mutex>
#include <new>

#include "gc/collector.h"
#include "gc/finalizer_thread.h"
#include "observe/symbol_table.h"
#include "runtime/base/lock.h"
#include "runtime/base/memory.h"
#include "runtime/thread.h"

#include <tricolor/debug_tracked.hpp>
#include <tricolor/detail/block.hpp>
#include <tricolor/runtime.hpp>

namespace tricolor::debug {

namespace detail {

// Sites are never freed: there are as many as there are ways to a constructor.
struct CreationSite : runtime::FromMalloc {
  static constexpr size_t kMostFrames = 24;

  std::array<uintptr_t, kMostFrames> stack{};
  size_t frames = 0;
  size_t hash = 0;
  std::string_view type;
  CreationSite* next = nullptr;   // of its chain; constant once it is found
  CreationSite* after = nullptr;  // of all
  // Figures: relaxed.
  std::atomic<size_t> open{0};
  std::atomic<size_t> leaked{0};
};

namespace {

constexpr size_t kChains = 1024;
// Stored under the lock (release), walked without it (acquire).
std::array<std::atomic<CreationSite*>, kChains> g_sites{};
constinit std::atomic<CreationSite*> g_all{nullptr};
constinit runtime::Lock g_lock{runtime::LockRank::leaf};

_Unwind_Reason_Code note_frame(_Unwind_Context* context, void* argument) noexcept {
  auto& site = *static_cast<CreationSite*>(argument);
  const uintptr_t pc = _Unwind_GetIP(context);
  if (pc == 0 || site.frames == CreationSite::kMostFrames) return _URC_END_OF_STACK;
  site.stack[site.frames++] = pc;
  return _URC_NO_REASON;
}

CreationSite* find(const CreationSite& wanted) noexcept {
  for (CreationSite* site = g_sites[wanted.hash % kChains].load(std::memory_order_acquire);
       site != nullptr; site = site->next) {
    if (site->hash == wanted.hash && site->frames == wanted.frames && site->type == wanted.type &&
        site->stack == wanted.stack) {
      return site;
    }
  }
  return nullptr;
}

// nullptr without memory: then the resource is not tracked.
CreationSite* add(const CreationSite& wanted) noexcept {
  runtime::Thread* thread = nullptr;
  try {
    thread = &runtime::Thread::attached();
  } catch (const std::exception&) {
    return nullptr;
  }
  const runtime::RuntimeScope scope(*thread);
  const std::lock_guard guard(g_lock);
  if (CreationSite* const site = find(wanted)) return site;
  auto* const site = new (std::nothrow) CreationSite;
  if (site == nullptr) return nullptr;
  site->stack = wanted.stack;
  site->frames = wanted.frames;
  site->hash = wanted.hash;
  site->type = wanted.type;
  std::atomic<CreationSite*>& chain = g_sites[wanted.hash % kChains];
  site->next = chain.load(std::memory_order_relaxed);
  site->after = g_all.load(std::memory_order_relaxed);
  chain.store(site, std::memory_order_release);
  g_all.store(site, std::memory_order_release);
  return site;
}

}  // namespace

__attribute__((noinline)) OpenResource::OpenResource(std::string_view type) noexcept {
  CreationSite here;
  here.type = type;
  _Unwind_Backtrace(note_frame, &here);
  // Without this function's own frame.
  const size_t own = std::min<size_t>(here.frames, 1);
  std::move(here.stack.begin() + own, here.stack.begin() + here.frames, here.stack.begin());
  here.frames -= own;
  for (size_t i = here.frames; i < here.stack.size(); ++i) here.stack[i] = 0;
  for (const uintptr_t pc : here.stack) here.hash = (here.hash ^ pc) * 0x9e3779b97f4a7c15u;
  here.hash ^= here.hash >> 32;
  site_ = find(here);
  if (site_ == nullptr) site_ = add(here);
  if (site_ != nullptr) site_->open.fetch_add(1, std::memory_order_relaxed);
}

OpenResource& OpenResource::operator=(OpenResource&& other) noexcept {
  if (this != &other) {
    close();
    site_ = std::exchange(other.site_, nullptr);
  }
  return *this;
}

// What the destructor of a dead object closes was never closed by the program.
void OpenResource::end() noexcept {
  CreationSite* const site = std::exchange(site_, nullptr);
  site->open.fetch_sub(1, std::memory_order_relaxed);
  // One on the stack of such a destructor is the program's own affair.
  const auto place = static_cast<size_t>(reinterpret_cast<const char*>(this) -
                                         static_cast<const char*>(__builtin_frame_address(0)));
  constexpr size_t kNear = size_t{64} << 10;
  if (gc::detail::ending_dead_object() && place > kNear)
    site->leaked.fetch_add(1, std::memory_order_relaxed);
}

void OpenResource::forget() noexcept {
  if (site_ != nullptr) std::exchange(site_, nullptr)->open.fetch_sub(1, std::memory_order_relaxed);
}

}  // namespace detail

std::vector<Leak> leaks() {
  runtime::Thread::attached();
  if (!gc::finalizer_thread().on_this_thread()) {
    gc::g_collector.collect();
    gc::finalizer_thread().wait_until_idle();
  }
  observe::SymbolTables symbols;
  std::vector<Leak> found;
  for (const detail::CreationSite* site = detail::g_all.load(std::memory_order_acquire);
       site != nullptr; site = site->after) {
    const size_t count = site->leaked.load(std::memory_order_relaxed);
    if (count == 0) continue;
    Leak& leak = found.emplace_back();
    leak.type = site->type;
    leak.count = count;
    leak.open = site->open.load(std::memory_order_relaxed);
    for (size_t i = 0; i < site->frames; ++i) {
      // A return address may lie behind its function.
      const observe::Symbol symbol = symbols.function_at(site->stack[i] - 1);
      LeakFrame& frame = leak.stack.emplace_back();
      frame.code = reinterpret_cast<const void*>(site->stack[i]);  // NOLINT
      frame.function = symbol.name;
      frame.file = symbol.file;
      frame.offset = symbol.offset_in_file;
    }
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const Leak& a, const Leak& b) { return a.count > b.count; });
  return found;
}

std::string describe(const std::vector<Leak>& leaks) {
  std::string text;
  for (const Leak& leak : leaks) {
    text += std::to_string(leak.count) + " x " + leak.type + " never closed";
    if (leak.open != 0) text += " (" + std::to_string(leak.open) + " more are open)";
    text += ", made in\n";
    for (const LeakFrame& frame : leak.stack) {
      char place[64];
      std::snprintf(place, sizeof place, "+0x%zx)\n", frame.offset);
      text += "    " + (frame.function.empty() ? "?" : frame.function) + " (" + frame.file + place;
    }
  }
  return text;
}

}  // namespace tricolor::debug
