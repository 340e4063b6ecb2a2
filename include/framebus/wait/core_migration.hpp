// SPDX-License-Identifier: Apache-2.0
// A reader that spins must not sit on the publisher's core.
//
// Both sleep most of the time, and the kernel likes to put a thread that is woken beside the one that woke it. There
// the two stay: each is woken by its own timer where it was last. A publisher that is due while the reader spins then
// has to push it aside, and the reader sees the frame only when it gets the core back, some microseconds later instead
// of at once. What can be seen of this is that the reader was interrupted while it spun. After two such spins in a row
// the thread changes to another core, in the time in which nothing is expected; and then not again for a while, since
// on a busy machine it would be interrupted everywhere.
#pragma once

#include <mutex>
#include <thread>

#include "framebus/base/namespace.hpp"
#include "framebus/os/os.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail {

class CoreMigration {
 public:
  void before_spin() {
    const long before = os::preemptions();
    const std::lock_guard lock(mutex_);
    thread_ = std::this_thread::get_id();
    before_ = before;
  }

  // After the spin, when there is time. Returns whether the thread has changed to another core.
  bool after_spin() {
    {
      const std::lock_guard lock(mutex_);
      if (thread_ != std::this_thread::get_id()) return false;  // nobody has spun, or another thread
      thread_ = {};
      const bool preempted = os::preemptions() > before_;
      consecutive_ = preempted ? consecutive_ + 1 : 0;
      if (cooldown_ > 0) --cooldown_;
      if (cooldown_ > 0 || consecutive_ < kPreemptions) return false;
      cooldown_ = kCooldown;
      consecutive_ = 0;
    }
    return os::change_core();
  }

 private:
  static constexpr int kPreemptions = 2;  // spins in a row
  static constexpr int kCooldown = 16;    // spins

  std::mutex mutex_;
  std::thread::id thread_;
  long before_ = 0;
  int consecutive_ = 0, cooldown_ = 0;
};

}  // namespace framebus::inline FRAMEBUS_VERSION::detail
