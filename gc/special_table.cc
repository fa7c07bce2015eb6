#include "gc/special_table.h"

#include <new>

namespace tricolor::gc {

size_t SpecialTable::place_of(uintptr_t address) const noexcept {
  size_t place = home(address);
  while (places_[place] != 0 && records_[places_[place] - 1].address != address) {
    place = next(place);
  }
  return place;
}

void SpecialTable::rebuild(size_t count) {
  places_ = std::vector<uint32_t>(count);
  for (size_t i = 0; i < records_.size(); ++i) {
    places_[place_of(records_[i].address)] = static_cast<uint32_t>(i + 1);
  }
}

Special* SpecialTable::find(const char* object) noexcept {
  if (records_.empty()) return nullptr;
  const uint32_t at = places_[place_of(reinterpret_cast<uintptr_t>(object))];
  return at == 0 ? nullptr : &records_[at - 1];
}

std::pair<Special*, bool> SpecialTable::find_or_add(char* object) {
  if (Special* const known = find(object)) return {known, false};
  if ((records_.size() + 1) * 2 > places_.size()) {
    rebuild(places_.empty() ? kFewest : places_.size() * 2);
  }
  Special& record = records_.emplace_back();
  record.address = reinterpret_cast<uintptr_t>(object);
  // The record itself is not found yet: the search ends at a free place.
  places_[place_of(record.address)] = static_cast<uint32_t>(records_.size());
  return {&record, true};
}

void SpecialTable::erase(size_t index) noexcept {
  size_t hole = place_of(records_[index].address);
  const size_t last = records_.size() - 1;
  if (index != last) {
    places_[place_of(records_[last].address)] = static_cast<uint32_t>(index + 1);
    records_[index] = std::move(records_[last]);
  }
  records_.pop_back();
  // [special_table.places] Whoever was placed beyond the hole because it was taken moves up.
  const size_t mask = places_.size() - 1;
  for (size_t at = next(hole); places_[at] != 0; at = next(at)) {
    const size_t way = (at - home(records_[places_[at] - 1].address)) & mask;
    if (way < ((at - hole) & mask)) continue;
    places_[hole] = places_[at];
    hole = at;
  }
  places_[hole] = 0;
}

void SpecialTable::trim() noexcept {
  if (places_.size() <= kFewest || records_.size() * 8 > places_.size()) return;
  size_t count = kFewest;
  while (count < records_.size() * 4) count *= 2;
  try {
    records_.shrink_to_fit();
    rebuild(count);
  } catch (const std::bad_alloc&) {
    // They stay as large as they are.
  }
}

}  // namespace tricolor::gc
