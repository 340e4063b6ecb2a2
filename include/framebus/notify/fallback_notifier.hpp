// SPDX-License-Identifier: Apache-2.0
// One thread of a process that makes eventfds readable when futex words change. It serves all subscribers whose
// fileno() is used, where the kernel can't do it (listener.hpp).
//
// Promise: an added eventfd is readable from the first publication in its channel until clear(). It also becomes
// readable when the publisher has ended, or, for a subscriber with `reconnect`, when the channel's files are deleted.
// The thread runs while any eventfd is added. It sleeps on the words of all channels and on its own wake word, which
// changes when an eventfd is added or removed. It never runs Python and blocks all Unix signals. Another thread waits
// for it at most as long as one check of all channels takes.
//
// At the second publication without a clear() the thread stops watching the channel, and publishing needs no system
// call for it. clear(), which the program calls when it fetches, resumes the watch.
//
// Where the kernel signals an eventfd at every publication, the thread checks only for the end of that channel and does
// not wait for its word. It also makes eventfds readable at given times, so that an event loop can wait for a frame
// without a timer; a timer would cost an alarm of the system for each sleep of the loop.
//
// Locks: `change_` (adding and removing; held while the thread is started and ended) before `mutex_` (the list; held by
// the thread except in its sleep) before that of an eventfd. The thread takes no other. A forked child has no thread
// and makes its own notifier; it never touches the inherited one, whose locks may be held permanently.
#pragma once

#include <algorithm>
#include <atomic>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "framebus/base/namespace.hpp"
#include "framebus/notify/event_fd.hpp"
#include "framebus/session/reader_session.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail {

// The kernel's wait that signals an eventfd, and that can be suspended until the program fetches again.
class KernelNotifier {
 public:
  KernelNotifier() = default;
  KernelNotifier(const KernelNotifier&) = delete;
  KernelNotifier& operator=(const KernelNotifier&) = delete;
  // Never waits for a lock: the fallback notifier calls it with the list locked.
  virtual void suspend_if_signalled() noexcept = 0;

 protected:
  ~KernelNotifier() = default;
};

class FallbackNotifier {
 public:
  explicit FallbackNotifier(os::ManyFutexes how = os::ManyFutexes::together) : how_(how) {}
  FallbackNotifier(const FallbackNotifier&) = delete;
  FallbackNotifier& operator=(const FallbackNotifier&) = delete;

  static FallbackNotifier& instance() { return os::of_this_process<FallbackNotifier>(); }

  // The caller keeps `event_fd`, the session and `kernel_notifier`, which signals new frames if given, until remove().
  void add(EventFd& event_fd, std::shared_ptr<ReaderSession> session, bool watch_publisher,
           KernelNotifier* kernel_notifier = nullptr) {
    const std::lock_guard change(change_);
    {
      const std::lock_guard lock(mutex_);
      entries_.emplace_back(event_fd, std::move(session), watch_publisher, kernel_notifier);
    }
    if (thread_.joinable()) {
      wake();
      return;
    }
    try {
      start();
    } catch (const std::system_error& error) {
      forget_all();
      fail_errno("cannot start the thread behind fileno()", {}, error.code().value());
    } catch (...) {
      forget_all();
      throw;
    }
  }
  // The subscriber has rejoined; the eventfd stays the same.
  void move(EventFd& event_fd, std::shared_ptr<ReaderSession> session) {
    std::list<Entry> old;  // ends after the lock
    const std::lock_guard lock(mutex_);
    const auto at = find(event_fd);
    entries_.emplace_back(event_fd, std::move(session), at->watch_publisher, at->kernel_notifier).signal_at =
        at->signal_at;
    old.splice(old.begin(), entries_, at);
    wake();
  }
  // From now on the thread signals new frames.
  void watch_for_news(EventFd& event_fd) {
    const std::lock_guard lock(mutex_);
    find(event_fd)->kernel_notifier = nullptr;
    wake();
  }
  // Afterwards the thread uses neither eventfd nor session. The thread ends with the last eventfd.
  void remove(EventFd& event_fd) {
    std::list<Entry> old;
    const std::lock_guard change(change_);
    bool last = false;
    {
      const std::lock_guard lock(mutex_);
      old.splice(old.begin(), entries_, find(event_fd));
      last = stop_ = entries_.empty();
    }
    wake();
    if (last) thread_.join();
  }
  // Signals once at `when_ns` (CLOCK_MONOTONIC), in any case; replaces the time that was set last.
  void signal_at(EventFd& event_fd, std::int64_t when_ns) {
    const std::lock_guard lock(mutex_);
    find(event_fd)->signal_at = when_ns;
    if (when_ns < sleeps_until_) wake();
  }
  // The list, or the state of an entry, has changed.
  void wake() noexcept {
    wake_word_.fetch_add(1);
    os::futex_wake_all(wake_word_);
  }

 private:
  struct Entry {
    Entry(EventFd& b, std::shared_ptr<ReaderSession> s, bool watch, KernelNotifier* r)
        : event_fd(b),
          session(std::move(s)),
          watch_publisher(watch),
          kernel_notifier(r),
          ticket(session->waiter().ticket()) {}

    EventFd& event_fd;
    std::shared_ptr<ReaderSession> session;
    bool watch_publisher;
    KernelNotifier* kernel_notifier;
    std::int64_t signal_at = INT64_MAX;
    std::uint32_t ticket;
    bool end_reported = false;             // the end of the channel was signalled
    std::optional<Waiter::Asleep> asleep;  // ends before the session
  };

  std::list<Entry>::iterator find(const EventFd& event_fd) {
    return std::find_if(entries_.begin(), entries_.end(),
                        [&](const Entry& entry) { return &entry.event_fd == &event_fd; });
  }

  void forget_all() noexcept {
    const std::lock_guard lock(mutex_);
    entries_.clear();
  }

  void start() {
    stop_ = false;
    thread_ = os::start_background_thread([this] { run(); });
  }

  void run() {
    std::int64_t check_liveness_at = 0;
    std::unique_lock lock(mutex_);
    while (!stop_) {
      words_.assign(1, {&wake_word_, wake_word_.load()});  // before the list is read, see wake()
      const std::int64_t now = os::monotonic_ns();
      const bool liveness_due = now >= check_liveness_at;
      if (liveness_due) check_liveness_at = now + kSlice;
      sleeps_until_ = check_liveness_at;
      for (Entry& entry : entries_) {
        if (entry.signal_at <= now) {
          entry.signal_at = INT64_MAX;
          entry.event_fd.signal();
        }
        sleeps_until_ = std::min(sleeps_until_, entry.signal_at);
        check(entry, liveness_due);
      }
      const std::int64_t until = sleeps_until_;
      lock.unlock();
      sleep(until);
      lock.lock();
    }
  }

  // Without the lock, so the channels' words may be unmapped at any moment: only the kernel reads them.
  void sleep(std::int64_t until_ns) noexcept {
    os::Slept slept{};
    if (how_ == os::ManyFutexes::together && words_.size() <= os::kMostWords &&
        os::futex_waitv(words_, until_ns, slept)) {
      return;
    }
    const std::int64_t left = until_ns - os::monotonic_ns();
    if (left > 0)
      os::futex_wait(wake_word_, words_[0].expected, words_.size() == 1 ? left : std::min(left, os::kPollSlice));
  }

  void check(Entry& entry, bool liveness_due) noexcept {
    if (entry.kernel_notifier != nullptr) {
      if (liveness_due) entry.kernel_notifier->suspend_if_signalled();
      if (liveness_due) check_for_end(entry);
      return;
    }
    if (entry.event_fd.is_suspended()) {
      entry.asleep.reset();
      return;
    }
    if (!entry.asleep) entry.asleep.emplace(entry.session->waiter());
    const std::uint32_t ticket = entry.session->waiter().ticket();
    if (ticket != entry.ticket) {
      entry.ticket = ticket;
      entry.end_reported = false;
      entry.event_fd.signal_and_suspend();
      if (entry.event_fd.is_suspended()) {
        entry.asleep.reset();
        return;
      }
    } else if (liveness_due && !entry.end_reported) {
      check_liveness(entry);
    }
    if (!entry.session->control().is_broken()) words_.push_back({&entry.session->block().wake, entry.ticket});
  }

  // Signals an end once, and again if a frame has been published after it.
  static void check_for_end(Entry& entry) noexcept {
    const std::uint32_t ticket = entry.session->waiter().ticket();
    if (std::exchange(entry.ticket, ticket) != ticket) entry.end_reported = false;
    if (!entry.end_reported) check_liveness(entry);
  }

  // Signals if the channel is broken, its publisher is gone, or its files were removed.
  static void check_liveness(Entry& entry) noexcept {
    try {
      const Control& control = entry.session->control();
      if (control.is_broken() || (entry.watch_publisher && !is_publisher_alive(control))) {
        entry.end_reported = true;
        entry.event_fd.signal();
      } else if (!entry.watch_publisher && !still_has_name(control)) {
        entry.event_fd.signal_removal();  // repeatedly, since another channel of the name may be created at any time
      }
    } catch (const Error&) {
      entry.event_fd.signal();  // the next fetch throws it
    }
  }

  os::ManyFutexes how_;
  std::mutex change_, mutex_;
  std::list<Entry> entries_;
  std::int64_t sleeps_until_ = 0;
  std::thread thread_;
  bool stop_ = false;
  std::vector<os::ExpectedWord> words_;  // used by the thread only
  Atomic<std::uint32_t> wake_word_{0};
};

}  // namespace framebus::inline FRAMEBUS_VERSION::detail
