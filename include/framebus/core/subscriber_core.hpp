// SPDX-License-Identifier: Apache-2.0
// The receiving end of a channel: attaching, the next frame, waiting for it, the end.
//
// Promises: frames come in order and none twice; with every=true none is left out unless the publisher gave it up, and
// then it is counted; try_recv never waits; a wait holds no lock. Threads may share it: each frame goes to one of them.
#pragma once

#include <algorithm>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "framebus/base/namespace.hpp"
#include "framebus/core/fetcher.hpp"
#include "framebus/notify/listener.hpp"
#include "framebus/segment/listing.hpp"
#include "framebus/core/latency_meter.hpp"
#include "framebus/notify/notifier.hpp"
#include "framebus/statistics.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail {

class SubscriberCore final : Leaver {
 public:
  explicit SubscriberCore(std::string name, const SubscriberOptions& options, void (*interrupt)())
      : name_(std::move(name)), options_(options) {
    check_options();
    const std::int64_t deadline = deadline_after(options_.connect_timeout.ns());
    while (!attach()) {
      if (os::monotonic_ns() >= deadline) fail_not_found();
      constexpr struct timespec kPause = {0, 5'000'000};
      ::nanosleep(&kPause, nullptr);
      if (interrupt != nullptr) interrupt();
    }
    Participation::instance().ends.add(*this);
  }
  SubscriberCore(const SubscriberCore&) = delete;
  SubscriberCore& operator=(const SubscriberCore&) = delete;
  ~SubscriberCore() {
    Participation::instance().ends.remove(*this);
    close();
  }

  // The next frame if there is one now.
  std::optional<Frame> fetch_now() {
    const auto lock = enter();
    return fetch();
  }

  // The next frame, or nothing where there is none yet. Without reconnect, throws where none will come.
  std::optional<Frame> try_recv() { return look(false).frame; }

  // The same for those who iterate: `ended` where next() would return nothing.
  struct Look {
    std::optional<Frame> frame;
    bool ended = false;
  };
  Look try_next() { return look(true); }

  // The next frame; waits for it. timeout_ns < 0: for ever.
  Frame recv(std::int64_t timeout_ns, void (*interrupt)()) {
    auto frame = wait_for_frame(timeout_ns, interrupt, false);
    return std::move(*frame);  // without `until_closed` there is always one
  }

  // The same, but nothing when the publisher has closed the channel and all its frames have been fetched.
  std::optional<Frame> next(std::int64_t timeout_ns, void (*interrupt)()) {
    return wait_for_frame(timeout_ns, interrupt, true);
  }

  // For those who wait for several: would try_recv() give a frame or throw? Where not, `berth` is what to sleep on.
  struct Berth {
    std::shared_ptr<ReaderSession> session;
    std::uint32_t ticket = 0;
  };
  bool is_ready(Berth& berth);

  // Has the publisher closed the channel, and is nothing left to fetch?
  [[nodiscard]] bool is_ended() const {
    const auto lock = enter();
    return ending(true, false) == Ending::closed && !has_news();  // in this order
  }

  // A descriptor that is readable when there may be something new; for select, poll, asyncio.
  int fileno() {
    const auto lock = enter();
    if (notifier_ == nullptr) {
      notifier_ = std::make_unique<Notifier>(session_, !options_.reconnect);
      // After the notifier has taken its ticket: what comes from now on rings by itself.
      if (has_news() || is_replaced() || is_over(session_->block())) notifier_->signal();
    }
    return notifier_->fd();
  }

  // A descriptor for one event loop alone. Ends with whichever ends first, but the descriptor stays open.
  std::shared_ptr<Listener> listen(Ringing how) {
    const auto lock = enter();
    std::erase_if(listeners_, [](const auto& listener) { return listener.expired(); });
    auto fresh = std::make_shared<Listener>(session_, !options_.reconnect, how);
    listeners_.emplace_back(fresh);
    return fresh;
  }

  [[noreturn]] void fail_timeout(std::int64_t timeout_ns, bool until_closed = false) const;

  void close() noexcept {
    if (mark_.is_inherited()) {
      static_cast<void>(notifier_.release());  // its thread is the parent's
      return;
    }
    std::unique_ptr<Notifier> notifier;  // ended outside the lock
    const std::lock_guard lock(mutex_);
    if (closed_) return;
    closed_ = true;
    notifier = std::move(notifier_);
    for_each_listener([](Listener& listener) { listener.close(); });
    os::futex_wake_all(session_->block().wake);  // threads that wait in recv look and find it closed
    last_ = measure();
    after_close_ = session_;
    fetcher_.reset();
    session_.reset();
  }
  [[nodiscard]] bool is_closed() const {
    if (mark_.is_inherited()) return true;
    const std::lock_guard lock(mutex_);
    return closed_;
  }
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  // After close() what it was then, but for `held`, which still counts the frames that are kept.
  [[nodiscard]] Statistics statistics() const;

 private:
  // Nothing is fetched any more; the place is given up next, by the session.
  void leave_at_exit() noexcept override {
    const auto lock = lock_briefly(mutex_);
    if (lock.owns_lock()) closed_ = true;
  }
  void check_options() const;
  [[nodiscard]] bool attach();
  [[noreturn]] void fail_not_found() const {
    fail(Errc::channel_not_found, "no program publishes '" + name_ + "'; " + running_channels_text() +
                                      ". Start program A first, or pass connect_timeout=");
  }
  [[nodiscard]] std::unique_lock<std::mutex> enter() const;
  enum class Ending : std::uint8_t { none, closed, died };  // of the publisher, as this subscriber sees it

  std::optional<Frame> fetch();
  Look look(bool until_closed);
  std::optional<Frame> wait_for_frame(std::int64_t timeout_ns, void (*interrupt)(), bool until_closed);
  [[nodiscard]] Ending ending(bool until_closed, bool ask_kernel) const;
  [[nodiscard]] bool is_replaced() const;
  [[nodiscard]] bool has_news() const;
  [[noreturn]] void fail_ended(Ending ending) const;
  void reattach_if_removed();
  void look_around();
  [[nodiscard]] bool is_lost();
  [[nodiscard]] bool has_moved() const;
  [[nodiscard]] bool is_left_behind() const;
  [[nodiscard]] bool has_successor() const;
  bool come_again();
  [[nodiscard]] Statistics measure() const;
  template <class Function>
  void for_each_listener(Function function) {
    for (const auto& one : listeners_) {
      if (const auto listener = one.lock()) function(*listener);
    }
  }

  std::string name_;
  SubscriberOptions options_;
  os::ForkMark mark_;
  std::uint32_t pid_ = static_cast<std::uint32_t>(::getpid());
  mutable std::mutex mutex_;  // everything below; never held while waiting
  std::shared_ptr<ReaderSession> session_;
  std::unique_ptr<Fetcher> fetcher_;
  std::unique_ptr<Notifier> notifier_;
  std::vector<std::weak_ptr<Listener>> listeners_;
  bool closed_ = false;
  std::int64_t looked_around_ns_ = 0;
  Statistics last_;
  std::weak_ptr<ReaderSession> after_close_;
  FetchCounts before_;  // counts of earlier sessions
  std::uint64_t before_sleeps_ = 0;
  std::int64_t before_spun_ns_ = 0;
  std::uint64_t frames_ = 0, bytes_ = 0;
  Meter meter_;
};

}  // namespace framebus::detail

#include "framebus/core/subscriber_steps.hpp"
// After the steps.
#include "framebus/core/subscriber_counts.hpp"
#include "framebus/core/subscriber_files.hpp"
