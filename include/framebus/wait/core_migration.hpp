// SPDX-License-Identifier: Apache-2.0
// Moves a spinning reader off the publisher's core.
//
// Both threads sleep most of the time, and the kernel tends to place a thread that is woken beside the one that woke
// it. The two then stay on that core, because each is woken by its own timer where it ran last. A publisher that is due
// while the reader spins has to preempt it, and the reader sees the frame only when it gets the core back, some
// microseconds later. The visible sign is that the reader was preempted while it spun. After two such spins in a row
// the thread moves to another core, at a time when no frame is expected. Then it does not move again for a number of
// spins, since on a busy machine it would be preempted on every core.
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

  // After the spin, at a time when no frame is expected. Returns whether the thread has moved to another core.
  bool after_spin() {
    {
      const std::lock_guard lock(mutex_);
      if (thread_ != std::this_thread::get_id()) return false;  // no spin since the last call, or in another thread
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
  static constexpr int kPreemptions = 2;  // consecutive spins
  static constexpr int kCooldown = 16;    // spins

  std::mutex mutex_;
  std::thread::id thread_;
  long before_ = 0;
  int consecutive_ = 0, cooldown_ = 0;
};

}  // namespace framebus::inline FRAMEBUS_VERSION::detail
