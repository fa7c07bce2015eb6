#pragma once

// Replayer: runs a program's lanes on a backend (runner.h), in as many copies as asked for.
//
// Threads: the main thread. It starts one for each lane of each copy where there are several lanes.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>
#include <thread>
#include <vector>

#include "bench/replay/clock.h"
#include "bench/replay/measure.h"
#include "bench/replay/program.h"
#include "bench/replay/runner.h"
#include "bench/replay/walk.h"

namespace bench::replay {

template <typename Backend, typename Oracle = NoOracle>
class Replayer {
 public:
  using Word = typename Backend::Word;

  // The program has to outlive the replayer.
  Replayer(Backend& backend, const Program& program, uint64_t copies, Oracle& oracle)
      : program_(program),
        copies_(copies),
        oracle_(oracle),
        shared_(backend, program.info, copies) {}

  // Runs every copy of the program once, from an empty heap to an empty heap.
  void run(Stalls& stalls) {
    for (Progress& progress : shared_.progress) {
      progress.signals.store(0, std::memory_order_relaxed);
    }
    const uint32_t lanes = program_.info.lanes;
    std::vector<Stalls> own(lanes == 1 ? 0 : lanes * copies_);
    std::vector<Lane> all;
    for (uint64_t copy = 0; copy < copies_; ++copy) {
      uintptr_t* const hidden = shared_.hidden.data() + copy * hidden_names(program_.info);
      for (uint32_t lane = 0; lane < lanes; ++lane) {
        Stalls& mine = lanes == 1 ? stalls : own[all.size()];
        all.push_back({{program_.code[lane].data(), program_.shapes.data(), hidden},
                       {shared_, program_.info, copy, lane, oracle_, mine}});
      }
    }
    if (lanes == 1) {
      take_turns(all);
    } else {
      run_threads(all, own);
      for (const Stalls& mine : own) stalls.include(mine);
      stalls.begin(ticks());
    }
    for (const Lane& lane : all) checksum_ = checksum_ * 31 + lane.runner.checksum();
  }

  uint64_t checksum() const { return checksum_; }

 private:
  struct Lane {
    Place place;
    Runner<Backend, Oracle> runner;
  };

  void take_turns(std::vector<Lane>& copies) {
    // On this thread's stack, one for each copy.
    auto* windows =
        static_cast<Window<Word>*>(__builtin_alloca(copies.size() * sizeof(Window<Word>)));
    for (size_t i = 0; i < copies.size(); ++i) ::new (windows + i) Window<Word>();
    while (!copies.back().place.is_done()) {
      for (size_t i = 0; i < copies.size(); ++i) {
        Lane& lane = copies[i];
        walk<false>(lane.place, lane.runner, windows[i], kTurn / kClocked);
        if constexpr (Oracle::kIsOn) {
          while (!is_between_steps(*lane.place.at)) {
            walk<true>(lane.place, lane.runner, windows[i], 1);
          }
          oracle_.turn_ended();
        }
      }
    }
  }

  void run_threads(std::vector<Lane>& lanes, std::vector<Stalls>& stalls) {
    std::vector<std::thread> threads;
    for (size_t i = 0; i < lanes.size(); ++i) {
      threads.emplace_back([&lane = lanes[i], &mine = stalls[i]] {
        const typename Backend::ThreadScope scope;
        Window<Word> window;
        mine.begin(ticks());
        walk<false>(lane.place, lane.runner, window, ~uint64_t{0});
      });
    }
    const typename Backend::BlockingScope blocking;
    for (std::thread& thread : threads) thread.join();
  }

  const Program& program_;
  uint64_t copies_;
  Oracle& oracle_;
  Shared<Backend> shared_;
  uint64_t checksum_ = 0;
};

}  // namespace bench::replay
