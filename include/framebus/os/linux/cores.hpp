// SPDX-License-Identifier: Apache-2.0
// Processor cores and timers: is a core idle, was this thread preempted, move it to another core, exact timers.
#pragma once

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>

#include "framebus/base/namespace.hpp"
#include "framebus/os/linux/fds.hpp"
#include "framebus/os/linux/file.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail::os {

// How many cores this thread may run on; 1 if unknown.
inline int usable_cores() noexcept {
  cpu_set_t set;
  CPU_ZERO(&set);
  return ::sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

// How many threads of the whole machine are running or runnable, including this one; -1 if unknown.
inline int running_threads() noexcept {
  const File file(open_path("/proc/loadavg", O_RDONLY));
  char text[128] = {};
  if (!file.is_open() || ::read(file.fd(), text, sizeof text - 1) <= 0) return -1;
  const char* at = text;  // "0.20 0.18 0.12 3/812 4711": the number before the slash
  for (int blanks = 0; *at != '\0' && blanks < 3; ++at) blanks += *at == ' ' ? 1 : 0;
  return *at == '\0' ? -1 : static_cast<int>(std::strtol(at, nullptr, 10));
}

// Are there fewer runnable threads, besides this one, than cores? A process asks the kernel at most once in 20 ms.
inline bool has_idle_core(std::int64_t now_ns) noexcept {
  constexpr std::int64_t kFresh = 20'000'000;
  static std::atomic<std::int64_t> asked{0};
  static std::atomic<bool> idle{false};
  // Relaxed: two threads at the same time may both ask the kernel, or one may use a slightly older answer.
  if (asked.load(std::memory_order_relaxed) == 0 || now_ns - asked.load(std::memory_order_relaxed) > kFresh) {
    const int running = running_threads();
    idle.store(running > 0 && running - 1 < usable_cores(), std::memory_order_relaxed);
    asked.store(now_ns, std::memory_order_relaxed);
  }
  return idle.load(std::memory_order_relaxed);
}

// How often this thread has been preempted by another one.
inline long preemptions() noexcept {
  struct rusage usage{};
  ::getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_nivcsw;
}

// Moves this thread to another core; false if it may run on this one only. Its affinity mask is restored afterwards; a
// change that another program makes in these microseconds is lost.
inline bool change_core() noexcept {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  const int here = ::sched_getcpu();
  if (here < 0 || ::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return false;
  cpu_set_t others = allowed;
  CPU_CLR(static_cast<std::size_t>(here), &others);
  if (CPU_COUNT(&others) == 0 || ::sched_setaffinity(0, sizeof others, &others) != 0) return false;
  ::sched_setaffinity(0, sizeof allowed, &allowed);
  return true;
}

// While it exists, the timers of this thread are exact. Otherwise the kernel delays them by up to 50 us, to group them.
class ExactTimers {
 public:
  ExactTimers() noexcept : slack_(::prctl(PR_GET_TIMERSLACK)) {
    if (slack_ > 0) ::prctl(PR_SET_TIMERSLACK, 1UL);
  }
  ExactTimers(const ExactTimers&) = delete;
  ExactTimers& operator=(const ExactTimers&) = delete;
  ~ExactTimers() {
    if (slack_ > 0) ::prctl(PR_SET_TIMERSLACK, static_cast<unsigned long>(slack_));
  }

 private:
  int slack_;
};

}  // namespace framebus::inline FRAMEBUS_VERSION::detail::os
