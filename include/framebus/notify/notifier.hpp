// SPDX-License-Identifier: Apache-2.0
// A subscriber's descriptor for select, poll and asyncio.
//
// Promise: it becomes readable after every publication and at the end of the channel, and when its subscriber is closed
// (for copies of it made by dup(), which live longer). It may be readable without news; who finds nothing waits again.
#pragma once

#include <memory>
#include <utility>

#include "framebus/base/namespace.hpp"
#include "framebus/notify/watcher.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail {

class Notifier {
 public:
  Notifier(std::shared_ptr<ReaderSession> session, bool watch_publisher) {
    watcher_.add(bell_, std::move(session), watch_publisher);
  }
  Notifier(const Notifier&) = delete;
  Notifier& operator=(const Notifier&) = delete;
  ~Notifier() {
    watcher_.remove(bell_);
    bell_.ring();
  }

  [[nodiscard]] int fd() const noexcept { return bell_.fd(); }
  void signal() noexcept { bell_.ring(); }
  // The subscriber has attached again; the descriptor stays the same.
  void move_to(std::shared_ptr<ReaderSession> session) {
    watcher_.move(bell_, std::move(session));
    bell_.ring();
  }
  // Before looking for news, so that news that come later make it readable again.
  void clear() noexcept {
    if (bell_.hush()) watcher_.kick();
  }
  // Have the channel's files been removed? Says so once each time it has been found.
  [[nodiscard]] bool take_removal() noexcept { return bell_.take_removal(); }

 private:
  Watcher& watcher_ = Watcher::instance();
  Bell bell_;
};

}  // namespace framebus::inline FRAMEBUS_VERSION::detail
