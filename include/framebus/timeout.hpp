// SPDX-License-Identifier: Apache-2.0
// How long a call may wait, as a std::chrono duration: subscriber.recv(250ms).
//
// Promise: any duration works. A negative one, such as the rest of a time that is over, means "do not wait"; one too
// long for 64 bits of nanoseconds, such as seconds::max(), means "without a limit".
#pragma once

#include <chrono>
#include <cstdint>

#include "framebus/base/namespace.hpp"

namespace framebus::inline FRAMEBUS_VERSION {

class Timeout {
 public:
  constexpr Timeout() noexcept = default;  // without a limit
  template <class Rep, class Period>
  constexpr Timeout(const std::chrono::duration<Rep, Period>& time) noexcept : ns_(saturated(time)) {}
  // For the core and the bindings: nanoseconds as a plain number; negative means without a limit.
  static constexpr Timeout from_ns(std::int64_t ns) noexcept {
    Timeout timeout;
    timeout.ns_ = ns < 0 ? -1 : ns;
    return timeout;
  }

  [[nodiscard]] constexpr std::int64_t ns() const noexcept { return ns_; }  // -1: without a limit

 private:
  template <class Rep, class Period>
  static constexpr std::int64_t saturated(const std::chrono::duration<Rep, Period>& time) noexcept {
    const double seconds = std::chrono::duration<double>(time).count();
    if (!(seconds > 0)) return 0;
    return seconds > 9e9 ? -1 : std::chrono::duration_cast<std::chrono::nanoseconds>(time).count();
  }

  std::int64_t ns_ = -1;
};

inline constexpr Timeout kForever;
inline constexpr Timeout kNoWait = std::chrono::nanoseconds(0);

}  // namespace framebus::inline FRAMEBUS_VERSION
