// SPDX-License-Identifier: Apache-2.0
// A publisher's wish to be woken when a reader releases a slot: `space_wanted` in the control block.
//
// Promise: the word is set exactly while a thread of this publisher waits. The publisher's mutex protects it.
#pragma once

#include <mutex>

#include "framebus/base/namespace.hpp"
#include "framebus/core/publisher_files.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail {

// Of one thread, while it exists. `waiters` counts those of all threads.
class SpaceWanted {
 public:
  SpaceWanted(std::mutex& mutex, PublisherFiles& files, int& waiters)
      : mutex_(mutex), files_(files), waiters_(waiters) {}
  SpaceWanted(const SpaceWanted&) = delete;
  SpaceWanted& operator=(const SpaceWanted&) = delete;
  ~SpaceWanted() {
    if (!set_) return;
    const std::lock_guard lock(mutex_);
    if (--waiters_ == 0) files_.want_space(false);
  }
  [[nodiscard]] bool is_set() const noexcept { return set_; }
  void set() {  // under the mutex
    set_ = true;
    ++waiters_;
    files_.want_space(true);
    FRAMEBUS_STEP("block:space_wanted");
  }

 private:
  std::mutex& mutex_;
  PublisherFiles& files_;
  int& waiters_;
  bool set_ = false;
};

}  // namespace framebus::inline FRAMEBUS_VERSION::detail
