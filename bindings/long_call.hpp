// SPDX-License-Identifier: Apache-2.0
// Calls that let other Python threads run: they wait, copy or grow.
//
// Promise: when the interpreter ends while a daemon thread is inside such a call, that thread stops there permanently,
// without output. Without this, CPython would end the thread when it takes the GIL, in the middle of C++, and the
// process would abort. At exit, src/framebus/channel/handle.py calls begin_exit(), closes all handles, which wakes
// every waiting thread, and calls end_long_calls(), which waits until each such thread has either stopped or got the
// GIL. A forked child has none of its parent's threads, so it begins with its own count.
#pragma once

#include <nanobind/nanobind.h>

#include <atomic>
#include <framebus/error.hpp>
#include <framebus/os/os.hpp>
#include <thread>

namespace framebus_python {

namespace nb = nanobind;

struct LongCalls {
  static LongCalls& instance() { return framebus::detail::os::of_this_process<LongCalls>(); }

  std::atomic<int> inside{0};                // threads inside a LongCall that have not stopped
  std::atomic<std::thread::id> exiting{{}};  // the thread that ends the interpreter; none before begin_exit()
};

// Does another thread end the interpreter?
inline bool must_stop() noexcept {
  const std::thread::id exiting = LongCalls::instance().exiting.load();
  return exiting != std::thread::id() && exiting != std::this_thread::get_id();
}

inline void stop_if_exiting() noexcept {
  if (!must_stop()) return;
  LongCalls::instance().inside.fetch_sub(1);
  framebus::detail::os::stop_thread();
}

// Releases the GIL while it exists.
class LongCall {
 public:
  LongCall() = default;
  LongCall(const LongCall&) = delete;
  LongCall& operator=(const LongCall&) = delete;
  ~LongCall() { stop_if_exiting(); }

 private:
  struct Count {
    Count() { inside.fetch_add(1); }
    Count(const Count&) = delete;
    Count& operator=(const Count&) = delete;
    ~Count() { inside.fetch_sub(1); }
    // The count of the process in which the call began: a signal handler that runs inside the call may fork.
    std::atomic<int>& inside = LongCalls::instance().inside;
  };
  Count count_;                      // destroyed last: while it counts, the interpreter waits
  nb::gil_scoped_release released_;  // takes the GIL back
};

// Runs Python's signal handlers between two slices of a wait; throws the exception they raise (KeyboardInterrupt).
inline void check_signals() {
  // Leaves the core, which releases its locks on the way, and gets no further than ~LongCall.
  if (must_stop()) framebus::detail::fail(framebus::Errc::channel_closed, "the program is ending");
  const nb::gil_scoped_acquire acquire;
  if (PyErr_CheckSignals() != 0) throw nb::python_error();
}

inline void begin_exit() { LongCalls::instance().exiting.store(std::this_thread::get_id()); }

// Waits, at most two seconds, until no thread is inside a LongCall any more. False if one still is.
inline bool end_long_calls() {
  const std::int64_t deadline = framebus::detail::os::monotonic_ns() + 2'000'000'000;
  const nb::gil_scoped_release release;
  const std::atomic<int>& inside = LongCalls::instance().inside;
  while (inside.load() != 0 && framebus::detail::os::monotonic_ns() < deadline) {
    framebus::detail::os::sleep_ns(1'000'000);
  }
  return inside.load() == 0;
}

}  // namespace framebus_python
