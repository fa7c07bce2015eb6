#pragma once

// Reports: what becomes of the checks' findings (runtime/finding.h): a handler's, or the program's
// end.
//
// [reports.queue]  a finding waits in a queue, under a lock that is held in runtime sections only: in a stop nobody
//                  holds it. Who has put one there hands over all that wait, unless somebody does so already, who
//                  then looks again after letting go of the turn.
// [reports.turn]   one handler runs at a time, the turn's. Nobody waits for the turn but collect() and
//                  set_report_handler().
// Threads: the one that starts the library.

namespace tricolor::observe {

void set_up_reports() noexcept;
// After the first thread is attached.
void start_reporter() noexcept;

}  // namespace tricolor::observe
