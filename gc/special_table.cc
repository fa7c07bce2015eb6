#include "gc/special_table.h"

#include <algorithm>
#include <new>

namespace tricolor::gc {

size_t SpecialTable::place_of(uintptr_t hidden) const noexcept {
  size_t place = home(hidden);
  while (places_[place] != 0 && records_[places_[place] - 1].hidden != hidden) {
    place = next(place);
  }
  return place;
}

void SpecialTable::place(size_t index) noexcept {
  size_t at = home(records_[index].hidden);
  while (places_[at] != 0) at = next(at);
  places_[at] = static_cast<uint32_t>(index + 1);
}

void SpecialTable::rebuild(size_t count) {
  places_ = Vector<uint32_t>(count);
  for (size_t i = 0; i < records_.size(); ++i) place(i);
}

Special* SpecialTable::find(const char* object) noexcept {
  if (records_.empty()) return nullptr;
  const uint32_t at = places_[place_of(hide(object))];
  return at == 0 ? nullptr : &records_[at - 1];
}

std::pair<Special*, bool> SpecialTable::find_or_add(char* object) {
  if (Special* const known = find(object)) return {known, false};
  if ((records_.size() + 1) * 2 > places_.size()) {
    rebuild(places_.empty() ? kFewest : places_.size() * 2);
  }
  Special& record = records_.emplace_back();
  record.hidden = hide(object);
  place(records_.size() - 1);
  return {&record, true};
}

void SpecialTable::erase(size_t index) noexcept {
  size_t hole = place_of(records_[index].hidden);
  const size_t last = records_.size() - 1;
  if (index != last) {
    places_[place_of(records_[last].hidden)] = static_cast<uint32_t>(index + 1);
    records_[index] = std::move(records_[last]);
  }
  records_.pop_back();
  // [special_table.places] Whoever was placed beyond the hole because it was taken moves up.
  const size_t mask = places_.size() - 1;
  for (size_t at = next(hole); places_[at] != 0; at = next(at)) {
    const size_t way = (at - home(records_[places_[at] - 1].hidden)) & mask;
    if (way < ((at - hole) & mask)) continue;
    places_[hole] = places_[at];
    hole = at;
  }
  places_[hole] = 0;
}

void SpecialTable::erase_empty(size_t count) noexcept {
  if (count == 0) return;
  // One by one each costs two searches and a walk; all places anew, less than that a record.
  if (count < records_.size() / 8) {
    for (size_t i = records_.size(); i-- > 0;) {
      if (records_[i].empty()) erase(i);
    }
    return;
  }
  const auto end = std::remove_if(records_.begin(), records_.end(),
                                  [](const Special& record) { return record.empty(); });
  records_.erase(end, records_.end());
  std::fill(places_.begin(), places_.end(), 0);
  for (size_t i = 0; i < records_.size(); ++i) place(i);
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
