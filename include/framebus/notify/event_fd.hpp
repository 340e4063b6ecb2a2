// SPDX-License-Identifier: Apache-2.0
// A descriptor for select, poll and event loops: an eventfd that says "look".
//
// Promise: it is readable from ring() to hush(), whoever calls them in whatever thread. A forked child has it no more.
#pragma once

#include <unistd.h>

#include <cstdint>
#include <mutex>
#include <utility>

#include "framebus/base/namespace.hpp"
#include "framebus/error.hpp"
#include "framebus/os/os.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail {

class Bell {
 public:
  Bell() : fd_(os::open_eventfd()) {
    if (!fd_.is_open()) fail_errno("eventfd");
    os::ForkGuard::instance().add(&fd_);
  }
  Bell(const Bell&) = delete;
  Bell& operator=(const Bell&) = delete;
  ~Bell() { os::ForkGuard::instance().remove(&fd_); }

  [[nodiscard]] int fd() const noexcept { return fd_.fd(); }

  void ring() noexcept {
    const std::lock_guard lock(mutex_);
    static_cast<void>(try_ring());
  }
  // The watcher's: where nobody has looked since the last time, the channel need not be watched.
  void ring_or_doze() noexcept {
    const std::lock_guard lock(mutex_);
    dozing_ = !try_ring();
  }
  void ring_for_removal() noexcept {
    const std::lock_guard lock(mutex_);
    removed_ = true;
    static_cast<void>(try_ring());
  }
  [[nodiscard]] bool is_dozing() const noexcept {
    const std::lock_guard lock(mutex_);
    return dozing_;
  }

  // Before looking for news, so that news that come later ring again. Returns whether it was dozing: then the watcher
  // is to be kicked.
  bool hush() noexcept {
    const std::lock_guard lock(mutex_);
    if (!ringing_) return false;
    swallow();
    return std::exchange(dozing_, false);
  }
  // The same where the kernel may have rung it, too, or may do so late.
  bool hush_all() noexcept {
    const std::lock_guard lock(mutex_);
    swallow();
    return std::exchange(dozing_, false);
  }
  [[nodiscard]] bool take_removal() noexcept {
    const std::lock_guard lock(mutex_);
    return std::exchange(removed_, false);
  }

 private:
  // False where it rings already.
  bool try_ring() noexcept {
    if (ringing_) return false;
    const std::uint64_t one = 1;
    ringing_ = ::write(fd_.fd(), &one, sizeof one) == static_cast<ssize_t>(sizeof one);
    return true;
  }

  void swallow() noexcept {
    std::uint64_t count = 0;
    static_cast<void>(!::read(fd_.fd(), &count, sizeof count));
    ringing_ = false;
  }

  os::File fd_;
  mutable std::mutex mutex_;
  bool ringing_ = false, dozing_ = false, removed_ = false;
};

}  // namespace framebus::inline FRAMEBUS_VERSION::detail
