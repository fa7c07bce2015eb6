#include "tools/recorder/references.h"

#include <cstring>

#include "tools/recorder/recorder.h"

namespace tools::recorder {

BlockMap& block_map() {
  static constinit BlockMap map;
  return map;
}

bool record_word(uintptr_t address) {
  address &= ~uintptr_t{7};
  BlockMap& map = block_map();
  uintptr_t value;
  memcpy(&value, reinterpret_cast<const void*>(address), sizeof value);
  const BlockMap::Block* const to = map.find(value);
  uint64_t* const known = map.target(address, to != nullptr);
  const uint64_t now = to == nullptr ? 0 : to->ticket + 1;
  if (known == nullptr || *known == now) return false;
  const uint64_t target = to == nullptr ? kNoTicket : to->ticket;
  const BlockMap::Block* const in = map.find(address);
  if (in != nullptr) {
    const uint64_t slot = (address - in->start) / 8;
    if (address < in->start || slot * 8 + 8 > in->bytes) return false;
    note_reference(Kind::kStore, in->ticket, slot, target);
  } else {
    note_reference(to == nullptr ? Kind::kRootClear : Kind::kRootSet, address / 8, 0, target);
  }
  *known = now;
  return in == nullptr && to != nullptr;
}

void record_root_end(uintptr_t address) {
  uint64_t* const known = block_map().target(address, false);
  if (known == nullptr || *known == 0 || block_map().find(address) != nullptr) return;
  *known = 0;
  note_reference(Kind::kRootClear, address / 8, 0, kNoTicket);
}

}  // namespace tools::recorder
