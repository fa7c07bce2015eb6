#include <tricolor/sync/lane.hpp>

namespace tricolor::sync::detail {

LaneFrame*& lane_frames() noexcept {
  constinit thread_local LaneFrame* frames = nullptr;
  return frames;
}

}  // namespace tricolor::sync::detail
