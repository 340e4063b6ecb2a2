// SPDX-License-Identifier: Apache-2.0
// Threads on Linux: how one rests, stops for good, or starts in the background.
#pragma once

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <thread>
#include <utility>

#include "framebus/base/namespace.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail::os {

// Rests for so long, or until a signal has been handled.
inline void sleep_ns(std::int64_t duration) noexcept {
  constexpr std::int64_t kSecond = 1'000'000'000;
  const struct timespec pause = {duration / kSecond, duration % kSecond};
  ::nanosleep(&pause, nullptr);
}

// Lets another thread that is ready to run have this processor.
inline void yield() noexcept { ::sched_yield(); }

// The thread goes no further. It ends with the process.
[[noreturn]] inline void stop_thread() noexcept {
  for (;;) ::pause();
}

// Starts a thread of the library's own. Signals go to the program's threads, except those that a fault of this one
// causes. Throws std::system_error.
template <class Run>
std::thread start_background_thread(Run run) {
  struct Blocked {
    Blocked() {
      sigset_t all;
      ::sigfillset(&all);
      for (const int own : {SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGABRT}) ::sigdelset(&all, own);
      ::pthread_sigmask(SIG_BLOCK, &all, &before);
    }
    Blocked(const Blocked&) = delete;
    Blocked& operator=(const Blocked&) = delete;
    ~Blocked() { ::pthread_sigmask(SIG_SETMASK, &before, nullptr); }
    sigset_t before;
  };
  const Blocked blocked;  // the new thread inherits it
  std::thread thread(std::move(run));
  ::pthread_setname_np(thread.native_handle(), "framebus");
  return thread;
}

}  // namespace framebus::inline FRAMEBUS_VERSION::detail::os
