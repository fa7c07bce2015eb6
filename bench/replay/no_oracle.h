#pragma once

// NoOracle: takes the place of an Oracle (oracle.h) where nothing is checked. Any thread.

namespace bench::replay {

struct NoOracle {
  static constexpr bool kIsOn = false;
};

}  // namespace bench::replay
