// SPDX-License-Identifier: Apache-2.0
// An eventfd for select, poll and event loops: readable when there may be a frame.
//
// Promise: it is readable from signal() to clear(), which any thread may call. A forked child does not have it.
#pragma once

#include <cstdint>
#include <mutex>
#include <utility>

#include "framebus/base/namespace.hpp"
#include "framebus/error.hpp"
#include "framebus/os/os.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail {

class EventFd {
 public:
  EventFd() : fd_(os::open_eventfd()) {
    if (!fd_.is_open()) fail_errno("eventfd");
    os::ForkGuard::instance().add(&fd_);
  }
  EventFd(const EventFd&) = delete;
  EventFd& operator=(const EventFd&) = delete;
  ~EventFd() { os::ForkGuard::instance().remove(&fd_); }

  [[nodiscard]] int fd() const noexcept { return fd_.fd(); }

  void signal() noexcept {
    const std::lock_guard lock(mutex_);
    static_cast<void>(try_signal());
  }
  // For the fallback notifier. Suspended: it was still signalled, so the channel need not be watched until clear().
  void signal_and_suspend() noexcept {
    const std::lock_guard lock(mutex_);
    suspended_ = !try_signal();
  }
  void signal_removal() noexcept {
    const std::lock_guard lock(mutex_);
    removed_ = true;
    static_cast<void>(try_signal());
  }
  [[nodiscard]] bool is_suspended() const noexcept {
    const std::lock_guard lock(mutex_);
    return suspended_;
  }

  // To be called before a fetch, so that later frames signal it again. Returns whether it was suspended: the caller
  // then wakes the fallback notifier.
  bool clear() noexcept {
    const std::lock_guard lock(mutex_);
    if (!signalled_) return false;
    drain();
    return std::exchange(suspended_, false);
  }
  // The same if the kernel may have signalled it too, or may still do so.
  bool clear_all() noexcept {
    const std::lock_guard lock(mutex_);
    drain();
    return std::exchange(suspended_, false);
  }
  [[nodiscard]] bool take_removal() noexcept {
    const std::lock_guard lock(mutex_);
    return std::exchange(removed_, false);
  }

 private:
  // False if it is signalled already.
  bool try_signal() noexcept {
    if (signalled_) return false;
    signalled_ = os::signal(fd_);
    return true;
  }

  void drain() noexcept {
    os::drain(fd_);
    signalled_ = false;
  }

  os::File fd_;
  mutable std::mutex mutex_;
  bool signalled_ = false, suspended_ = false, removed_ = false;
};

}  // namespace framebus::inline FRAMEBUS_VERSION::detail
