// SPDX-License-Identifier: Apache-2.0
// Turns the channel's futex word into a descriptor for select, poll and asyncio.
//
// Promise: the descriptor becomes readable after every publication and at the end of the channel. It may be readable
// without news; who finds nothing waits again. One thread, started with the first use of the descriptor, asleep
// otherwise.
#pragma once

#include <sys/eventfd.h>

#include <atomic>
#include <memory>
#include <thread>
#include <utility>

#include "reader_session.hpp"

namespace framebus {

class Notifier {
 public:
  Notifier(std::shared_ptr<ReaderSession> session, bool watch_publisher, bool has_news)
      : session_(std::move(session)), fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)), watch_publisher_(watch_publisher) {
    if (!fd_.is_open()) fail_errno("eventfd");
    if (has_news) signal();
    start();
  }
  Notifier(const Notifier&) = delete;
  Notifier& operator=(const Notifier&) = delete;
  ~Notifier() { stop(); }

  [[nodiscard]] int fd() const noexcept { return fd_.fd(); }
  void signal() const noexcept {
    const std::uint64_t one = 1;
    static_cast<void>(!::write(fd_.fd(), &one, sizeof one));  // full means readable already
  }
  // The subscriber has attached again; the descriptor stays the same.
  void move_to(std::shared_ptr<ReaderSession> session) {
    stop();
    session_ = std::move(session);
    signal();
    start();
  }
  // Before looking for news, so that news that come later make it readable again.
  void clear() const noexcept {
    std::uint64_t count = 0;
    static_cast<void>(!::read(fd_.fd(), &count, sizeof count));  // empty is what we want
  }

 private:
  void start() {
    stop_.store(false);
    thread_ = std::thread([this, ticket = session_->waiter().ticket()] { run(ticket); });
  }
  void stop() {
    stop_.store(true);
    os::futex_wake_all(session_->block().wake);
    thread_.join();
  }
  void run(std::uint32_t ticket) {
    bool mourned = false;
    while (!stop_.load()) {
      session_->waiter().wait(ticket, INT64_MAX, Wait::park);
      const std::uint32_t now = session_->waiter().ticket();
      if (session_->control().is_broken()) {
        signal();  // who looks is told
        return;
      }
      if (now != ticket) {
        ticket = now;
        mourned = false;
        signal();
      } else if (watch_publisher_ && !mourned && !is_publisher_alive(session_->control())) {
        mourned = true;
        signal();
      }
    }
  }

  std::shared_ptr<ReaderSession> session_;
  os::File fd_;
  bool watch_publisher_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace framebus
