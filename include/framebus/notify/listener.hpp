// SPDX-License-Identifier: Apache-2.0
// A separate descriptor for each event loop that waits for a subscriber.
//
//   loop: fetch; no frame: arm(), fetch once more; no frame: sleep until fd() is readable.
//
// Promise: after arm() each of these makes the descriptor readable: a publication, the end of the channel, the time
// passed to arm(), and the subscriber's close(), after which it stays readable. It may be readable without a new frame.
// Other threads and loops that wait for the same subscriber neither make it readable nor clear it.
//
// If the kernel can do it, a publication makes it readable without a thread of framebus (os::FutexRing); otherwise the
// fallback notifier does it. The only difference is the time it takes. Protocol: that of wait/waiter.hpp; arm() sets
// the bit in `sleepers`, then the ticket is taken, then the caller fetches, and the kernel compares the word with the
// ticket.
//
// Locks: the subscriber's before this one's before the fallback notifier's.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "framebus/base/namespace.hpp"
#include "framebus/notify/fallback_notifier.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail {

enum class Notify : std::uint8_t { io_uring, thread };  // thread: as if the kernel can't do it; for tests

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
      static_cast<void>(state_.release());  // locks, thread and reader record are the parent's
      return;
    }
    close();
  }

  [[nodiscard]] int fd() const noexcept { return state_->event_fd.fd(); }
  [[nodiscard]] bool uses_io_uring() const {
    const std::lock_guard lock(state_->mutex);
    return state_->ring != nullptr;
  }

  // Clears it until the next event or `until_ns` (CLOCK_MONOTONIC). Then fetch, since earlier frames do not signal it
  // any more. If several tasks wait for it, `until_ns` is the earliest time that one of them needs.
  void arm(std::int64_t until_ns = INT64_MAX) {
    if (mark_.is_inherited()) return;
    const std::lock_guard lock(state_->mutex);
    if (state_->session == nullptr) return;  // closed, and readable permanently
    if (state_->ring != nullptr) {
      arm_io_uring();
    } else if (state_->event_fd.clear_all()) {
      FallbackNotifier::instance().wake();
    }
    if (until_ns != INT64_MAX) set_signal_time(until_ns);
  }

  // Makes it readable at `until_ns`, unless something does so before.
  void signal_at(std::int64_t until_ns) {
    if (mark_.is_inherited()) return;
    const std::lock_guard lock(state_->mutex);
    if (state_->session != nullptr) set_signal_time(until_ns);
  }

  // No task waits, so the publisher need not wake this reader. False if it can't stay cleared until arm(): after
  // close(), or if the fallback notifier signals it.
  bool disarm() {
    if (mark_.is_inherited()) return false;
    const std::lock_guard lock(state_->mutex);
    if (state_->ring == nullptr) return false;
    state_->asleep.reset();
    state_->event_fd.clear_all();
    return true;
  }
  // If it is signalled already, the publisher need not wake this reader: the loop will fetch and arm() it again.
  void suspend_if_signalled() noexcept { state_->suspend_if_signalled(); }

  [[nodiscard]] bool take_removal() noexcept { return state_->event_fd.take_removal(); }

  // The subscriber has rejoined.
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
    bool waits_elsewhere = false;           // for a word of the previous control block
    std::int64_t signal_at_ns = INT64_MAX;  // when the fallback notifier signals
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
    // After wait(), which may signal a wait that is over. A signal in between has been cleared with it: if `wake` has
    // changed, or a wait that seemed to be in progress has just completed, signal again.
    state_->event_fd.clear_all();
    if (waiter.ticket() != ticket || state_->ring->has_completed()) state_->event_fd.signal();
  }

  // After the eventfd was cleared, which may have removed the signal of a time that has come. A time that is set
  // earlier is kept: a futile fetch costs less than setting the time at every frame.
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
