// SPDX-License-Identifier: Apache-2.0
// A subscriber's descriptor for select, poll and asyncio.
//
// Promise: it becomes readable after every publication, at the end of the channel, and when its subscriber is closed
// (for copies made by dup(), which last longer). It may be readable without a new frame; the program then waits again.
#pragma once

#include <memory>
#include <utility>

#include "framebus/base/namespace.hpp"
#include "framebus/notify/fallback_notifier.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail {

class Notifier {
 public:
  Notifier(std::shared_ptr<ReaderSession> session, bool watch_publisher) {
    fallback_.add(event_fd_, std::move(session), watch_publisher);
  }
  Notifier(const Notifier&) = delete;
  Notifier& operator=(const Notifier&) = delete;
  ~Notifier() {
    fallback_.remove(event_fd_);
    event_fd_.signal();
  }

  [[nodiscard]] int fd() const noexcept { return event_fd_.fd(); }
  void signal() noexcept { event_fd_.signal(); }
  void signal_at(std::int64_t until_ns) { fallback_.signal_at(event_fd_, until_ns); }
  // The subscriber has rejoined; the descriptor stays the same.
  void move_to(std::shared_ptr<ReaderSession> session) {
    fallback_.move(event_fd_, std::move(session));
    event_fd_.signal();
  }
  // To be called before a fetch, so that later frames make it readable again.
  void clear() noexcept {
    if (event_fd_.clear()) fallback_.wake();
  }
  // Have the channel's files been removed? Returns true once for each time that was found.
  [[nodiscard]] bool take_removal() noexcept { return event_fd_.take_removal(); }

 private:
  FallbackNotifier& fallback_ = FallbackNotifier::instance();
  EventFd event_fd_;
};

}  // namespace framebus::inline FRAMEBUS_VERSION::detail
