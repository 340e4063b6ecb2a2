// SPDX-License-Identifier: Apache-2.0
// Ends the process with SIGKILL at a named step. Compiled only with FRAMEBUS_CRASH_POINTS, for tests; see
// tests/multiprocess/test_crash_points.py.
//
// FRAMEBUS_CRASH_AT=NAME:N kills at the N-th arrival at the step NAME.
#pragma once

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <string>

namespace framebus::crash {

inline void step(const char* name) noexcept {
  static const char* const wanted = std::getenv("FRAMEBUS_CRASH_AT");
  if (wanted == nullptr) return;
  static const std::string text = wanted;
  static const std::size_t colon = text.rfind(':');
  static std::atomic<int> left{std::atoi(text.c_str() + colon + 1)};
  if (text.compare(0, colon, name) == 0 && left.fetch_sub(1) == 1) ::kill(::getpid(), SIGKILL);
}

}  // namespace framebus::crash
