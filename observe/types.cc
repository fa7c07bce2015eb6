#include "observe/types.h"

#include <cstring>
#include <mutex>
#include <new>

#include "runtime/base/immortal.h"
#include "runtime/heap/heap_map.h"

namespace tricolor::observe {

using gc::detail::kGranule;
using runtime::g_heap;

namespace {

constinit runtime::Immortal<KnownTypes> g_the_known_types;
constinit runtime::Immortal<TypeTable> g_the_type_table;

size_t granule_of(const void* object) noexcept {
  return static_cast<size_t>(static_cast<const char*>(object) - g_heap.base()) / kGranule;
}

}  // namespace

KnownTypes& g_known_types = g_the_known_types.value;
TypeTable& g_type_table = g_the_type_table.value;

// The same address may come to hold another type's description, where one library went and another
// came.
bool KnownTypes::describes(const Entry& entry, const TypeInfo& type) noexcept {
  return entry.original == &type && entry.original_name == type.name.data() &&
         entry.copy.name.size() == type.name.size() && entry.copy.size == type.size &&
         entry.copy.array == type.array;
}

uint16_t KnownTypes::number_of(const TypeInfo* type) noexcept {
  if (type == nullptr) return 0;
  const size_t first = (reinterpret_cast<uintptr_t>(type) >> 4) * 0x9e3779b97f4a7c15u >> 48;
  static_assert(kSlots == size_t{1} << 16);
  for (size_t i = 0; i < kSlots; ++i) {
    const size_t slot = (first + i) % kSlots;
    uint16_t number = slots_[slot].load(std::memory_order_acquire);
    if (number == 0) {
      const std::lock_guard guard(lock_);
      number = slots_[slot].load(std::memory_order_relaxed);
      if (number == 0) return add_locked(*type, slot);
    }
    if (describes(*entries_[number].load(std::memory_order_relaxed), *type)) return number;
  }
  return 0;
}

uint16_t KnownTypes::add_locked(const TypeInfo& type, size_t slot) noexcept {
  if (count_ + 1 >= kMost) return 0;
  void* const memory = arena_.allocate(sizeof(Entry));
  auto* const name = static_cast<char*>(arena_.allocate(type.name.size() + 1));
  if (memory == nullptr || name == nullptr) return 0;
  std::memcpy(name, type.name.data(), type.name.size());
  auto* const entry = ::new (memory) Entry{&type, type.name.data(), type};
  entry->copy.name = {name, type.name.size()};
  const auto number = static_cast<uint16_t>(++count_);
  entries_[number].store(entry, std::memory_order_relaxed);
  slots_[slot].store(number, std::memory_order_release);
  return number;
}

const TypeInfo* KnownTypes::type(uint16_t number) const noexcept {
  if (number == 0) return nullptr;
  // Whoever has the number has seen what was stored with it.
  return &entries_[number].load(std::memory_order_relaxed)->copy;
}

bool TypeTable::start() noexcept {
  if (is_on()) return true;
  if (!numbers_.reserve(g_heap.reserved_bytes() / kGranule)) return false;
  on_.store(true, std::memory_order_relaxed);
  return true;
}

bool TypeTable::reaches(size_t granule) noexcept {
  if (granule < end_.load(std::memory_order_acquire)) return true;
  const std::lock_guard guard(lock_);
  const size_t described = g_heap.described_bytes() / kGranule;
  if (!numbers_.commit_to(described)) return false;
  end_.store(described, std::memory_order_release);
  return granule < described;
}

void TypeTable::note(const void* object, const TypeInfo* type) noexcept {
  if (!is_on()) return;
  const size_t granule = granule_of(object);
  if (!reaches(granule)) return;
  __atomic_store_n(&numbers_[granule], g_known_types.number_of(type), __ATOMIC_RELEASE);
}

const TypeInfo* TypeTable::find(const void* object) const noexcept {
  const size_t granule = granule_of(object);
  if (granule >= end_.load(std::memory_order_acquire)) return nullptr;
  return g_known_types.type(__atomic_load_n(&numbers_[granule], __ATOMIC_ACQUIRE));
}

const TypeInfo* recorded_type(const void* address) noexcept {
  if (!g_type_table.is_on()) return nullptr;
  const runtime::Cell cell = g_heap.find_allocated(address);
  return cell ? g_type_table.find(g_heap.cell_address(cell)) : nullptr;
}

}  // namespace tricolor::observe
