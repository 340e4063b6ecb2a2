// SPDX-License-Identifier: Apache-2.0
// The receiving side of a channel: the next frame, waiting for it, the end.
//
// Promises: frames come in order and none twice; with every=true none is left out unless the publisher gave it up,
// which is counted; try_recv never waits; a wait holds no lock. Threads may share it: each frame goes to one of them.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "framebus/base/namespace.hpp"
#include "framebus/core/attachment.hpp"
#include "framebus/core/latency_meter.hpp"
#include "framebus/core/subscriber_errors.hpp"
#include "framebus/segment/leaving.hpp"
#include "framebus/statistics.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail {

class SubscriberCore final : ExitHandler {
 public:
  explicit SubscriberCore(const std::string& name, const SubscriberOptions& options, Interrupt interrupt)
      : options_(options), at_(name, options) {
    check_options(name, options);
    const std::int64_t deadline = deadline_after(options_.connect_timeout.ns());
    while (!at_.attach()) {
      if (os::monotonic_ns() >= deadline) fail_not_found(name);
      os::sleep_ns(5'000'000);
      if (interrupt != nullptr) interrupt();
    }
    Participation::instance().handles.add(*this);
  }
  SubscriberCore(const SubscriberCore&) = delete;
  SubscriberCore& operator=(const SubscriberCore&) = delete;
  ~SubscriberCore() {
    Participation::instance().handles.remove(*this);
    close();
  }

  // The next frame if there is one now.
  std::optional<Frame> fetch_now() {
    const auto lock = enter();
    return fetch();
  }

  // The next frame; nullopt if there is none yet. Without reconnect, throws if none will come.
  std::optional<Frame> try_recv() { return try_fetch(false).frame; }

  // The same for iteration: `ended` if next() would return nullopt.
  struct FetchResult {
    std::optional<Frame> frame;
    bool ended = false;
  };
  FetchResult try_next() { return try_fetch(true); }

  // The next frame; waits for it. timeout_ns < 0: without a limit.
  Frame recv(std::int64_t timeout_ns, Interrupt interrupt) {
    auto frame = wait_for_frame(timeout_ns, interrupt, false);
    return std::move(*frame);  // without `until_closed` there is always one
  }

  // The same, but nullopt when the publisher has closed the channel and all its frames have been fetched.
  std::optional<Frame> next(std::int64_t timeout_ns, Interrupt interrupt) {
    return wait_for_frame(timeout_ns, interrupt, true);
  }

  // For a wait for several channels: would try_recv() return a frame or throw? If not, `handle` is set for the sleep.
  struct WaitHandle {
    std::shared_ptr<ReaderSession> session;
    std::uint32_t ticket = 0;
  };
  bool is_ready(WaitHandle& handle) {
    if (mark_.is_inherited()) static_cast<void>(enter());  // throws
    const std::lock_guard lock(mutex_);
    if (closed_ || at_.session()->control().is_broken()) return true;
    if (has_moved(*at_.session())) {
      try {
        at_.rejoin();
      } catch (const Error&) {
        return true;  // try_recv() throws the same
      }
    } else if (options_.reconnect) {
      at_.check_liveness();
    }
    handle = {at_.session(), at_.session()->waiter().ticket()};  // before the check for frames
    return at_.has_news() || (!options_.reconnect && at_.ending(false, true) != Ending::none);
  }

  // Has the publisher closed the channel, and is no frame left to fetch?
  [[nodiscard]] bool is_ended() const {
    const auto lock = enter();
    return at_.ending(true, false) == Ending::closed && !at_.has_news();  // in this order
  }

  // A descriptor that is readable when there may be a new frame; for select, poll, asyncio.
  int fileno() {
    const auto lock = enter();
    if (const Notifier* there = at_.notifications().notifier()) return there->fd();
    Notifier& notifier = at_.notifications().make_notifier(at_.session(), !options_.reconnect);
    // After the notifier has taken its ticket: frames that are published from now on make the descriptor readable.
    if (at_.has_news() || at_.is_over() || is_over(at_.session()->block())) notifier.signal();
    return notifier.fd();
  }

  // A descriptor for one event loop.
  std::shared_ptr<Listener> listen(Notify how) {
    const auto lock = enter();
    return at_.notifications().listen(at_.session(), !options_.reconnect, how);
  }

  [[noreturn]] void fail_timeout(std::int64_t timeout_ns, bool until_closed = false) const {
    fail(enter(), timeout_error(at_, timeout_ns, until_closed));
  }

  void close() noexcept {
    if (mark_.is_inherited()) {
      at_.notifications().forget();
      return;
    }
    std::unique_ptr<Notifier> notifier;  // ended outside the lock
    const std::lock_guard lock(mutex_);
    if (closed_) return;
    closed_ = true;
    notifier = at_.notifications().close();
    os::futex_wake_all(at_.session()->block().wake);  // threads that wait in recv then find it closed
    last_ = measure();
    after_close_ = at_.session();
    at_.detach();
  }
  [[nodiscard]] bool is_closed() const {
    if (mark_.is_inherited()) return true;
    const std::lock_guard lock(mutex_);
    return closed_;
  }
  [[nodiscard]] const std::string& name() const noexcept { return at_.name(); }

  // After close(), the values of that time, except `held`, which still counts the held frames.
  [[nodiscard]] Statistics statistics() const {
    if (mark_.is_inherited() || !is_closed()) {
      const auto lock = enter();
      return measure();
    }
    const std::lock_guard lock(mutex_);
    Statistics s = last_;
    const auto session = after_close_.lock();
    s.held = session == nullptr ? 0 : session->held();
    return s;
  }

 private:
  // No frame is fetched any more; the session gives up the reader record next.
  void leave_at_exit() noexcept override {
    if (const auto lock = lock_briefly(mutex_); lock.owns_lock()) closed_ = true;
  }

  // Locks; throws if the Subscriber may not be used: in a forked child of its process, or after close().
  [[nodiscard]] std::unique_lock<std::mutex> enter() const {
    if (mark_.is_inherited()) {
      detail::fail(Errc::forked_child, "this Subscriber of '" + name() + "' belongs to process " +
                                           std::to_string(pid_) +
                                           ", you are in a forked child of it; make a new Subscriber here");
    }
    std::unique_lock lock(mutex_);
    if (closed_) {
      lock.unlock();
      Participation::instance().stop_if_ending();
      detail::fail(Errc::channel_closed,
                   "this Subscriber of '" + name() + "' is closed; make a new one to receive again");
    }
    at_.session()->control().check_intact();
    return lock;
  }

  // Under the mutex.
  std::optional<Frame> fetch() {
    auto frame = at_.fetch();
    if (frame) count(frame->info());
    return frame;
  }

  void count(const Descriptor& info) {
    const std::int64_t now = os::monotonic_ns();
    // Unsigned, since shared memory may contain any value.
    meter_.add(now, static_cast<std::int64_t>(static_cast<std::uint64_t>(now) -
                                              static_cast<std::uint64_t>(info.published_ns)));
    at_.session()->waiter().observe(info.seq, info.published_ns);
    ++frames_;
    bytes_ += info.payload_bytes;
    // Relaxed: for reports of other programs.
    ReaderRecord& record = at_.session()->record();
    record.frames.store(frames_, std::memory_order_relaxed);
    record.bytes.store(bytes_, std::memory_order_relaxed);
    record.missed.store(at_.missed(), std::memory_order_relaxed);
    record.dropped.store(at_.dropped(), std::memory_order_relaxed);
  }

  // Throws, unless the process is exiting. That closes its own publishers, so their end is not an error of the program,
  // and a thread that waits for a frame stops here.
  [[noreturn]] static void fail(std::unique_lock<std::mutex> lock, const Error& error) {
    lock.unlock();
    Participation::instance().stop_if_ending();
    throw error;
  }

  // Fetches without waiting.
  FetchResult try_fetch(bool until_closed) {
    auto lock = enter();
    if (auto frame = fetch()) return {std::move(frame)};
    FRAMEBUS_STEP("try_recv:nothing_found");
    const auto session = at_.session();
    const Ending found = at_.ending(until_closed, true);
    FRAMEBUS_STEP("try_recv:ending_read");
    if (found == Ending::none) return {};
    if (auto frame = fetch()) return {std::move(frame)};  // it was published before the end, see ending()
    if (session != at_.session()) return {};              // attached again: what has ended is the old control block
    if (found == Ending::closed && until_closed) return {std::nullopt, true};
    fail(std::move(lock), ended_error(name(), found));
  }

  std::optional<Frame> wait_for_frame(std::int64_t timeout_ns, Interrupt interrupt, bool until_closed) {
    constexpr std::uint32_t kFruitless = 16;
    const std::int64_t deadline = deadline_after(timeout_ns);
    bool ask_kernel = false;
    for (std::uint32_t fruitless = 0;;) {
      std::shared_ptr<ReaderSession> session;
      std::uint32_t ticket = 0;
      bool undecided = false;
      {
        auto lock = enter();
        session = at_.session();
        ticket = session->waiter().ticket();
        const Ending found = at_.ending(until_closed, ask_kernel);
        FRAMEBUS_STEP("recv:ending_read");
        if (auto frame = fetch()) return frame;
        if (session != at_.session()) continue;  // attached again: ticket and ending are those of the old control block
        if (found == Ending::closed && until_closed) return std::nullopt;
        if (found != Ending::none) fail(std::move(lock), ended_error(name(), found));
        undecided = at_.is_undecided();
      }
      FRAMEBUS_STEP("recv:nothing_found");
      if (os::monotonic_ns() >= deadline) {
        if (until_closed && is_ended()) return std::nullopt;
        fail_timeout(timeout_ns, until_closed);
      }
      const WaitResult waited = undecided ? Waiter::pause() : session->waiter().wait(ticket, deadline);
      // Not after every `news`, to save time; but `news` need not mean a frame, and there may be many of them.
      const bool check = waited != WaitResult::news || ++fruitless % kFruitless == 0;
      if (interrupt != nullptr && check) interrupt();
      if (waited == WaitResult::almost_due && options_.before_frame != nullptr) options_.before_frame();
      ask_kernel = check && waited != WaitResult::almost_due;
      if (ask_kernel && options_.reconnect) {
        const std::lock_guard lock(mutex_);
        if (!closed_) at_.reattach_if_removed();
      }
    }
  }

  // Under the mutex.
  [[nodiscard]] Statistics measure() const {
    Statistics s;
    s.frames = frames_;
    s.bytes = bytes_;
    s.missed = at_.missed();
    s.dropped = at_.dropped();
    s.pending = at_.fetcher().pending();
    s.held = at_.session()->held();
    s.sleeps = at_.sleeps();
    s.spun_s = static_cast<double>(at_.spun_ns()) * 1e-9;
    const ReaderSession& session = *at_.session();
    for_each_reader(session.block(), [&](std::uint32_t i, ReaderRecord& record) {
      if ((record.flags.load() & kReaderObserver) != 0) return;
      if (&record == &session.record() || is_reader_alive(session.control(), i)) ++s.subscribers;
    });
    s.rate_hz = meter_.rate_hz(os::monotonic_ns());
    s.latency_p50_s = meter_.latency_s(0.50);
    s.latency_p99_s = meter_.latency_s(0.99);
    s.generation = session.block().generation.load();
    s.memory_bytes = os::allocated_bytes(store_path(name(), s.generation));
    if (at_.fetcher().store() != nullptr) s.slots = at_.fetcher().store()->slot_count();
    return s;
  }

  SubscriberOptions options_;
  os::ForkMark mark_;
  std::uint32_t pid_ = os::process_id();
  mutable std::mutex mutex_;  // everything below; never held while waiting
  Attachment at_;
  bool closed_ = false;
  Statistics last_;
  std::weak_ptr<ReaderSession> after_close_;
  std::uint64_t frames_ = 0, bytes_ = 0;
  Meter meter_;
};

}  // namespace framebus::inline FRAMEBUS_VERSION::detail
