#pragma once

// The snapshots of a program on Boehm's collector; watch_snapshots.cc says what they find.

namespace tools::recorder {

// Looks at the program's memory when enough was allocated since the last time. Called before an
// allocation, outside of any turn. Any thread.
void snapshot_if_due();

// The block is a root by itself until unpin(); nothing when it is none.
void pin(const void* block);
void unpin(const void* block);

// False for a block that was allocated as one without references.
bool may_refer(const void* block);

}  // namespace tools::recorder
