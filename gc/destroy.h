#pragma once

// Destroy: the end of a single object, by gc::destroy or by the finalizer thread after its death.
//
// [destroy.not-while-marking]  the cell is freed at once only while barriers are off for this thread; otherwise it is
//                              left to the next sweep: a marker may still come across it.
// [destroy.before-sweep]       nor between the end of a cycle for this thread and the sweep of the span: that would
//                              free the cell again, and whoever had been given it by then would lose it.

#include <cstddef>

namespace tricolor::gc {

// Around the destructors of the dead: collected containers leave their storage alone meanwhile,
// which may have died before them.
class EndingDead {
 public:
  EndingDead() noexcept;
  ~EndingDead();
  EndingDead(const EndingDead&) = delete;
  EndingDead& operator=(const EndingDead&) = delete;

 private:
  bool outer_;
};

// Runs the destructor that the hidden words of a cell of Kind::kDestructor name, if any, exactly
// once; whether there was one.
bool run_destructor(char* object, size_t cell_size) noexcept;

// In the child of fork(), of the last object that the finalizer thread began with: if its
// destructor was still running, it counts as run, and the next sweep frees the cell.
void give_up_destruction(char* object) noexcept;

}  // namespace tricolor::gc
