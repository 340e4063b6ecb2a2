// SPDX-License-Identifier: Apache-2.0
// framebus::Subscriber: receives frames from a channel.
//
//   framebus::Subscriber subscriber("camera0");
//   framebus::Frame frame = subscriber.recv(250ms);      // the newest frame not yet seen; waits for one
//   if (auto frame = subscriber.try_recv()) ...          // never waits
//   for (const framebus::Frame& frame : subscriber) ...  // until the publisher closes the channel
//
// Promise: threads may share a Subscriber, all calls but moving and destroying it, and each frame goes to one of them.
// Frames outlive their Subscriber. Receiving allocates nothing.
#pragma once

#include <cstddef>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "framebus/base/namespace.hpp"
#include "framebus/core/subscriber_core.hpp"
#include "framebus/timeout.hpp"

namespace framebus::inline FRAMEBUS_VERSION {

class Subscriber {
 public:
  using Interrupt = void (*)();  // called after a slice of a wait, without a lock; an exception ends the wait
  class Iterator;

  explicit Subscriber(const std::string& name, const SubscriberOptions& options = {}, Interrupt interrupt = nullptr)
      : core_(std::make_unique<detail::SubscriberCore>(name, options, interrupt)) {}
  // Without exceptions; nothing where it fails.
  static std::optional<Subscriber> open(const std::string& name, const SubscriberOptions& options,
                                        std::error_code& error) noexcept {
    return without_throwing(error, [&] { return std::optional<Subscriber>(std::in_place, name, options); });
  }
  Subscriber(Subscriber&&) noexcept = default;  // a moved-from Subscriber is closed
  Subscriber& operator=(Subscriber&&) noexcept = default;

  // The next frame; waits for it.
  Frame recv(Timeout timeout = {}, Interrupt interrupt = nullptr) { return core().recv(timeout.ns(), interrupt); }
  // The next frame; nullopt if there is none yet. Without reconnect, throws if none will come.
  std::optional<Frame> try_recv() { return core().try_recv(); }
  // The same for loops that end with the channel: `ended` if next() would return nullopt. Never waits.
  [[nodiscard]] detail::SubscriberCore::FetchResult try_next() { return core().try_next(); }
  // The next frame if there is one now, without asking whether any will come.
  std::optional<Frame> fetch_now() { return core().fetch_now(); }
  // As recv(), but nullopt when the publisher has closed the channel and all its frames have been fetched.
  std::optional<Frame> next(Timeout timeout = {}, Interrupt interrupt = nullptr) {
    return core().next(timeout.ns(), interrupt);
  }

  // The same without exceptions; nullopt and a code if it fails.
  std::optional<Frame> recv(Timeout timeout, std::error_code& error) noexcept {
    return without_throwing(error, [&] { return std::optional<Frame>(recv(timeout)); });
  }
  std::optional<Frame> try_recv(std::error_code& error) noexcept {
    return without_throwing(error, [&] { return try_recv(); });
  }
  std::optional<Frame> next(std::error_code& error) noexcept {
    return without_throwing(error, [&] { return next(); });
  }

  // All frames until the publisher closes the channel. Fetches the first one at once.
  Iterator begin();
  static std::default_sentinel_t end() noexcept { return std::default_sentinel; }

  // Has the publisher closed the channel, and is no frame left to fetch?
  [[nodiscard]] bool is_ended() const { return core().is_ended(); }
  // A descriptor that is readable when there may be a new frame; for select, poll, epoll.
  [[nodiscard]] int fileno() { return core().fileno(); }
  // For an event loop that shares the Subscriber with others, or is to be woken without another thread in between; to
  // be used in the loop's thread. See listener.hpp. `how` is for tests.
  [[nodiscard]] std::shared_ptr<detail::Listener> listen(detail::Notify how = detail::Notify::io_uring) {
    return core().listen(how);
  }
  // Throws what recv(timeout) throws after its timeout, for programs that wait for fileno() instead.
  [[noreturn]] void fail_timeout(Timeout timeout) const { core().fail_timeout(timeout.ns()); }
  // Leaves the channel. Waits of other threads fail with channel_closed. Held frames stay valid.
  void close() noexcept {
    if (core_ != nullptr) core_->close();
  }
  [[nodiscard]] bool is_closed() const { return core_ == nullptr || core_->is_closed(); }
  [[nodiscard]] const std::string& name() const { return core().name(); }
  // After close(), the values of that time, except `held`, which still counts the held frames.
  [[nodiscard]] Statistics statistics() const { return core().statistics(); }

 private:
  friend class WaitAny;
  [[nodiscard]] detail::SubscriberCore& core() const {
    if (core_ == nullptr)
      detail::fail(Errc::moved_from, "this Subscriber has been moved from; use the one it was moved to");
    return *core_;
  }

  std::unique_ptr<detail::SubscriberCore> core_;
};

// Iterates over a Subscriber's frames; has one of them at a time, which may be moved out of it.
class Subscriber::Iterator {
 public:
  using value_type = Frame;
  using difference_type = std::ptrdiff_t;

  explicit Iterator(Subscriber& subscriber) : subscriber_(&subscriber), frame_(subscriber.next()) {}

  [[nodiscard]] Frame& operator*() const noexcept { return *frame_; }
  [[nodiscard]] Frame* operator->() const noexcept { return &*frame_; }
  Iterator& operator++() {
    frame_.reset();  // before the wait for the next one, so that hold=1 will do
    frame_ = subscriber_->next();
    return *this;
  }
  void operator++(int) { ++*this; }
  friend bool operator==(const Iterator& it, std::default_sentinel_t) noexcept { return !it.frame_.has_value(); }

 private:
  Subscriber* subscriber_;
  mutable std::optional<Frame> frame_;  // mutable: an iterator does not own what it points at, so const is not deep
};

inline Subscriber::Iterator Subscriber::begin() { return Iterator(*this); }

}  // namespace framebus::inline FRAMEBUS_VERSION
