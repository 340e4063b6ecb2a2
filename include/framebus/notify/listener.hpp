// SPDX-License-Identifier: Apache-2.0
// A descriptor of its own for one event loop that waits for a subscriber.
//
//   loop: look; none: arm(), look once more; none: sleep until fd() is readable.
//
// Promise: what comes after arm() makes the descriptor readable: a publication, the end of the channel, the time given
// to arm(), and the subscriber's close(), after which it stays so. It may be readable without news. Others who wait for
// the same subscriber, in threads or loops of their own, neither make it readable nor take that back.
//
// Where the kernel can, a publication makes it readable without any thread of ours (os::FutexRing); elsewhere the
// thread behind fileno() does it. Which it is shows nowhere but in the time it takes. Protocol: that of
// wait/waiter.hpp; arm() says "wake me", then the ticket is taken, then the caller looks, and the kernel compares the
// word with the ticket.
//
// Locks: the subscriber's before this one's before the watcher's.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "framebus/base/namespace.hpp"
#include "framebus/notify/fallback_notifier.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail {

enum class Notify : std::uint8_t { io_uring, thread };  // thread: as if the kernel could not; for tests

class Listener {
 public:
  Listener(std::shared_ptr<ReaderSession> session, bool watch_publisher, Notify how = Notify::io_uring)
      : state_(std::make_unique<State>(session)) {
    if (how == Notify::io_uring) state_->ring = os::FutexRing::open(fd());
    KernelNotifier* kernel_notifier = state_->ring != nullptr ? state_.get() : nullptr;
    FallbackNotifier::instance().add(state_->event_fd, std::move(session), watch_publisher, kernel_notifier);
  }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  ~Listener() {
    if (mark_.is_inherited()) {
      static_cast<void>(state_.release());  // locks, thread and place in the channel are the parent's
      return;
    }
    close();
  }

  [[nodiscard]] int fd() const noexcept { return state_->event_fd.fd(); }
  [[nodiscard]] bool uses_io_uring() const {
    const std::lock_guard lock(state_->mutex);
    return state_->ring != nullptr;
  }

  // Silences it until something comes or `until_ns` (CLOCK_MONOTONIC) has; then look, since what came before does not
  // ring any more. Where several wait for it, that is the first time that one of them needs.
  void arm(std::int64_t until_ns = INT64_MAX) {
    if (mark_.is_inherited()) return;
    const std::lock_guard lock(state_->mutex);
    if (state_->session == nullptr) return;  // closed, and rings for good
    if (state_->ring != nullptr) {
      arm_io_uring();
    } else if (state_->event_fd.clear_all()) {
      FallbackNotifier::instance().wake();
    }
    if (until_ns != INT64_MAX) set_signal_time(until_ns);
  }

  // Nobody waits; the publisher need not wake anybody. False where it can't be silenced until arm(): after close(), or
  // since the thread rings it.
  bool disarm() {
    if (mark_.is_inherited()) return false;
    const std::lock_guard lock(state_->mutex);
    if (state_->ring == nullptr) return false;
    state_->asleep.reset();
    state_->event_fd.clear_all();
    return true;
  }
  // The publisher need not wake anybody where it rings: somebody is going to look and to arm() it again.
  void suspend_if_signalled() noexcept { state_->suspend_if_signalled(); }

  [[nodiscard]] bool take_removal() noexcept { return state_->event_fd.take_removal(); }

  // The subscriber has attached again.
  void move_to(const std::shared_ptr<ReaderSession>& session) {
    const std::lock_guard lock(state_->mutex);
    if (state_->session == nullptr) return;
    state_->asleep.reset();
    if (state_->ring != nullptr) state_->waits_elsewhere = true;
    state_->session = session;
    FallbackNotifier::instance().move(state_->event_fd, session);
    state_->event_fd.signal();
  }
  // The subscriber is closed.
  void close() {
    std::shared_ptr<ReaderSession> session;  // ends after the lock
    const std::lock_guard lock(state_->mutex);
    if (state_->session == nullptr) return;
    state_->asleep.reset();
    state_->ring.reset();
    FallbackNotifier::instance().remove(state_->event_fd);
    session = std::move(state_->session);
    state_->event_fd.signal();
  }

 private:
  struct State final : KernelNotifier {
    explicit State(std::shared_ptr<ReaderSession> s) : session(std::move(s)) {}
    void suspend_if_signalled() noexcept override {
      const std::unique_lock lock(mutex, std::try_to_lock);
      if (lock && asleep && ring->has_completed()) asleep.reset();
    }

    EventFd event_fd;
    mutable std::mutex mutex;  // everything below
    std::shared_ptr<ReaderSession> session;
    std::unique_ptr<os::FutexRing> ring;
    bool waits_elsewhere = false;           // for a word of the channel before
    std::int64_t signal_at_ns = INT64_MAX;  // when the watcher rings
    std::optional<Waiter::Asleep> asleep;   // ends before the session
  };

  void arm_io_uring() {
    Waiter& waiter = state_->session->waiter();
    if (!state_->asleep) state_->asleep.emplace(waiter);
    const std::uint32_t ticket = waiter.ticket();
    if (state_->waits_elsewhere) state_->ring = os::FutexRing::open(fd());
    state_->waits_elsewhere = false;
    const Atomic<std::uint32_t>& word = state_->session->block().wake;
    if (!begin_wait(word, ticket)) {
      fall_back_to_thread();
      return;
    }
    // After wait(), which may ring for what is over. What has rung meanwhile has been silenced with it: there is news,
    // or a wait that seemed to be under way was just coming to its end.
    state_->event_fd.clear_all();
    if (waiter.ticket() != ticket || state_->ring->has_completed()) state_->event_fd.signal();
  }

  // After the bell was silenced, which may have swallowed an alarm; then that one's time has come. One that is set for
  // earlier is left so: a look in vain costs less than to set it at every frame.
  void set_signal_time(std::int64_t until_ns) {
    if (until_ns >= state_->signal_at_ns && state_->signal_at_ns > os::monotonic_ns()) return;
    state_->signal_at_ns = until_ns;
    FallbackNotifier::instance().signal_at(state_->event_fd, until_ns);
  }

  bool begin_wait(const Atomic<std::uint32_t>& word, std::uint32_t ticket) {
    if (state_->ring != nullptr) {
      if (state_->ring->wait(word, ticket)) return true;
      if (state_->ring->has_failed()) return false;
    }
    state_->ring = os::FutexRing::open(fd());  // the loop may run in another thread now
    return state_->ring != nullptr && state_->ring->wait(word, ticket);
  }

  void fall_back_to_thread() {
    state_->asleep.reset();
    state_->ring.reset();
    state_->event_fd.clear_all();
    FallbackNotifier::instance().watch_for_news(state_->event_fd);
  }

  os::ForkMark mark_;
  std::unique_ptr<State> state_;
};

}  // namespace framebus::inline FRAMEBUS_VERSION::detail
