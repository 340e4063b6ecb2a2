// SPDX-License-Identifier: Apache-2.0
// Calls that let other Python threads run: they wait, copy or grow.
//
// Promise: when the interpreter ends while another thread is inside such a call, that thread comes out of it with an
// error before the interpreter is gone. Without this, CPython would end the thread inside C++, and the process would
// abort. At exit, src/framebus/end.py closes all ends, calls end_long_calls(), and waits there until the last one has
// come out.
#pragma once

#include <nanobind/nanobind.h>

#include <atomic>
#include <framebus/error.hpp>
#include <framebus/os/os.hpp>

namespace framebus_python {

namespace nb = nanobind;

inline std::atomic<int> long_calls{0};       // threads inside a LongCall
inline std::atomic<bool> is_exiting{false};  // set once, by end_long_calls()

// Releases the GIL as long as it lives.
class LongCall {
 public:
  LongCall() = default;
  LongCall(const LongCall&) = delete;
  LongCall& operator=(const LongCall&) = delete;

 private:
  struct Count {
    Count() { long_calls.fetch_add(1); }
    ~Count() { long_calls.fetch_sub(1); }
  };
  Count count_;                      // ends last: while it counts, the interpreter waits
  nb::gil_scoped_release released_;  // ends first: takes the GIL back
};

// Runs Python's signal handlers between two slices of a wait; throws what they raise (KeyboardInterrupt).
inline void check_signals() {
  if (is_exiting.load()) framebus::fail(framebus::Errc::channel_closed, "the program is ending");
  const nb::gil_scoped_acquire acquire;
  if (PyErr_CheckSignals() != 0) throw nb::python_error();
}

// Waits, at most two seconds, until no thread is inside a LongCall any more.
inline void end_long_calls() {
  is_exiting.store(true);
  const std::int64_t deadline = framebus::os::monotonic_ns() + 2'000'000'000;
  const nb::gil_scoped_release release;
  while (long_calls.load() != 0 && framebus::os::monotonic_ns() < deadline) {
    constexpr struct timespec kPause = {0, 1'000'000};
    ::nanosleep(&kPause, nullptr);
  }
}

}  // namespace framebus_python
