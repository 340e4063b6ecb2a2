// SPDX-License-Identifier: Apache-2.0
// Kills or stops the process at a named step. Compiled only with FRAMEBUS_CRASH_POINTS, for tests; see
// tests/multiprocess/test_crash_points.py and test_iteration_ends.py.
//
// FRAMEBUS_CRASH_AT=NAME:N kills (SIGKILL) at the N-th arrival at the step NAME.
// FRAMEBUS_STOP_AT=NAME:N stops (SIGSTOP) there. The parent sees the stop with waitpid(), does what has to happen
// meanwhile, and continues the program (SIGCONT). A rare race thus happens every time.
#pragma once

#include <atomic>
#include <cstdlib>
#include <string>

#include "framebus/base/namespace.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail::os {

inline void kill_process() noexcept;  // both are defined in os/
inline void stop_process() noexcept;

}  // namespace framebus::inline FRAMEBUS_VERSION::detail::os

namespace framebus::inline FRAMEBUS_VERSION::detail::crash {

// The step that one environment variable names, and what happens there.
class Trigger {
 public:
  Trigger(const char* variable, void (*act)() noexcept) : act_(act) {
    const char* const text = std::getenv(variable);
    if (text == nullptr) return;
    text_ = text;
    name_ = text_.substr(0, text_.rfind(':'));
    left_ = std::atoi(text_.c_str() + text_.rfind(':') + 1);
  }
  void arrive(const char* name) noexcept {
    if (!name_.empty() && name_ == name && left_.fetch_sub(1) == 1) act_();
  }

 private:
  void (*act_)() noexcept;
  std::string text_, name_;
  std::atomic<int> left_{0};
};

inline void step(const char* name) noexcept {
  static Trigger crash("FRAMEBUS_CRASH_AT", os::kill_process), stop("FRAMEBUS_STOP_AT", os::stop_process);
  crash.arrive(name);
  stop.arrive(name);
}

}  // namespace framebus::inline FRAMEBUS_VERSION::detail::crash
