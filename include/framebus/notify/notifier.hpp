// SPDX-License-Identifier: Apache-2.0
// A subscriber's descriptor for select, poll and asyncio.
//
// Promise: it becomes readable after every publication and at the end of the channel, and when its subscriber is closed
// (for copies of it made by dup(), which live longer). It may be readable without news; who finds nothing waits again.
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
  // The subscriber has attached again; the descriptor stays the same.
  void move_to(std::shared_ptr<ReaderSession> session) {
    fallback_.move(event_fd_, std::move(session));
    event_fd_.signal();
  }
  // Before looking for news, so that news that come later make it readable again.
  void clear() noexcept {
    if (event_fd_.clear()) fallback_.wake();
  }
  // Have the channel's files been removed? Says so once each time it has been found.
  [[nodiscard]] bool take_removal() noexcept { return event_fd_.take_removal(); }

 private:
  FallbackNotifier& fallback_ = FallbackNotifier::instance();
  EventFd event_fd_;
};

}  // namespace framebus::inline FRAMEBUS_VERSION::detail
