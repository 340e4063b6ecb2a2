// SPDX-License-Identifier: Apache-2.0
// Sleeping on a 32-bit word of shared memory, and waking all sleepers of a word.
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "framebus/base/atomic.hpp"
#include "framebus/base/namespace.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail::os {

enum class Slept { woken, timed_out, interrupted };

// Sleeps while the word is `expected`, for `timeout_ns` at most. The kernel compares under its own lock, so a
// change before the sleep is never missed. May return early without a reason.
inline Slept futex_wait(Atomic<std::uint32_t>& word, std::uint32_t expected, std::int64_t timeout_ns) noexcept {
  struct timespec ts{};
  ts.tv_sec = timeout_ns / 1'000'000'000;
  ts.tv_nsec = timeout_ns % 1'000'000'000;
  const long rc = ::syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&word), FUTEX_WAIT, expected, &ts, nullptr, 0);
  if (rc == 0 || errno == EAGAIN) return Slept::woken;
  return errno == EINTR ? Slept::interrupted : Slept::timed_out;
}

// Returns how many were woken.
inline int futex_wake_all(Atomic<std::uint32_t>& word) noexcept {
  const long rc =
      ::syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&word), FUTEX_WAKE, 0x7fffffff, nullptr, nullptr, 0);
  return rc > 0 ? static_cast<int>(rc) : 0;
}

}  // namespace framebus::inline FRAMEBUS_VERSION::detail::os
