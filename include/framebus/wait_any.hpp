// SPDX-License-Identifier: Apache-2.0
// Waiting on several subscribers, until one of them has a new frame.
//
//   for (framebus::Subscriber* subscriber : framebus::wait_any({&left, &right}, 250ms)) {
//     while (auto frame = subscriber->try_recv()) ...
//   }
//
// Promise: returns, in the order passed, the subscribers whose try_recv() returns a frame or throws now; at least one,
// or none after the timeout. A closed subscriber is among them, and so is one without `reconnect` whose publisher has
// closed, died or been replaced. Another thread may take the frame first. Other threads may receive from the
// subscribers and close them meanwhile.
//
// Protocol: that of wait/waiter.hpp for each channel. Take every ticket, then check for frames; set the bit in
// `sleepers` of every channel, then compare every ticket again (the kernel does so too), then sleep on all words at
// once. It always parks; the subscribers' wait policies have no effect.
#pragma once

#include <initializer_list>
#include <optional>
#include <span>
#include <vector>

#include "framebus/base/namespace.hpp"
#include "framebus/subscriber.hpp"

namespace framebus::inline FRAMEBUS_VERSION {

class WaitAny {
 public:
  WaitAny(std::span<Subscriber* const> subscribers, detail::os::ManyFutexes how)
      : subscribers_(subscribers), how_(how), handles_(subscribers.size()), words_(subscribers.size()) {
    if (subscribers.empty())
      detail::fail(Errc::invalid_argument, "wait_any: no subscriber was given, so nothing can come");
  }

  std::vector<Subscriber*> wait(std::int64_t timeout_ns, Subscriber::Interrupt interrupt) {
    const std::int64_t deadline = detail::deadline_after(timeout_ns);
    for (;;) {
      std::vector<Subscriber*> ready = find_ready();
      const std::int64_t now = detail::os::monotonic_ns();
      if (!ready.empty() || now >= deadline) return ready;
      sleep(std::min(deadline, now + detail::kSlice));
      if (interrupt != nullptr) interrupt();
    }
  }

 private:
  std::vector<Subscriber*> find_ready() {
    std::vector<Subscriber*> ready;
    for (std::size_t i = 0; i < subscribers_.size(); ++i) {
      if (subscribers_[i]->core().is_ready(handles_[i])) ready.push_back(subscribers_[i]);
    }
    return ready;
  }

  void sleep(std::int64_t until_ns) {
    // The vector never grows, so no element is ever moved.
    std::vector<std::optional<detail::Waiter::Asleep>> asleep(handles_.size());
    for (std::size_t i = 0; i < handles_.size(); ++i) {
      asleep[i].emplace(handles_[i].session->waiter());
      words_[i] = {&handles_[i].session->block().wake, handles_[i].ticket};
    }
    detail::os::futex_wait_any(words_, until_ns, how_);
    FRAMEBUS_STEP("wait:woken");
  }

  std::span<Subscriber* const> subscribers_;
  detail::os::ManyFutexes how_;
  std::vector<detail::SubscriberCore::WaitHandle> handles_;
  std::vector<detail::os::ExpectedWord> words_;
};

// `how` is for tests.
inline std::vector<Subscriber*> wait_any(std::span<Subscriber* const> subscribers, Timeout timeout = {},
                                         Subscriber::Interrupt interrupt = nullptr,
                                         detail::os::ManyFutexes how = detail::os::ManyFutexes::together) {
  return WaitAny(subscribers, how).wait(timeout.ns(), interrupt);
}
inline std::vector<Subscriber*> wait_any(std::initializer_list<Subscriber*> subscribers, Timeout timeout = {}) {
  return wait_any(std::span<Subscriber* const>(subscribers.begin(), subscribers.size()), timeout);
}
// The same without exceptions; none and a code if it fails.
inline std::vector<Subscriber*> wait_any(std::span<Subscriber* const> subscribers, Timeout timeout,
                                         std::error_code& error) noexcept {
  return without_throwing(error, [&] { return wait_any(subscribers, timeout); });
}

}  // namespace framebus::inline FRAMEBUS_VERSION
