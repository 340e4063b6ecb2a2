// SPDX-License-Identifier: Apache-2.0
// Waiting for the next frame, and waking those who wait.
//
// Protocol. A reader takes a ticket (the value of `wake`), looks for news, finds none, and waits until `wake` is no
// longer the ticket. To sleep it sets its bit in `sleepers` first. The publisher stores `head`, then `wake`, then reads
// `sleepers` and makes the system call only if there is a bit. All of these are sequentially consistent: if the
// publisher misses the bit, the bit was set after the publisher's read, thus after its store of `wake`, and the kernel,
// which compares `wake` with the ticket before it lets anybody sleep, sends the reader back.
//
// A sleeper that is killed leaves its bit; the publisher's wake-ups then wake nobody, and after a few of those it asks
// the kernel who is still alive (publisher.hpp).
//
// No sleep is longer than kSlice, so that signals, dead publishers and removed files are noticed.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <mutex>

#include "layout.hpp"
#include "os/os.hpp"

namespace framebus {

inline constexpr std::int64_t kSlice = 50'000'000;      // ns; the longest sleep of a reader
inline constexpr std::int64_t kSpaceSlice = 5'000'000;  // ns; the longest sleep of a publisher that waits for a reader
inline constexpr std::int64_t kShortSpin = 20'000;      // ns; what `adaptive` spends before it sleeps
inline constexpr std::int64_t kSpinMargin = 150'000;    // ns; how early `predictive` wakes up, and how long it stays up

enum class Wait : std::uint8_t { adaptive, park, spin, predictive };

// Publisher: tells everybody that there is news. Returns how many were asleep and are woken, -1 where nobody slept.
inline int announce(ControlBlock& control) {
  control.wake.store(control.wake.load(std::memory_order_relaxed) + 1);  // relaxed: only this side writes it
  FRAMEBUS_STEP("publish:wake");
  if (control.sleepers.load() == 0) return -1;
  return os::futex_wake_all(control.wake);
}

// Reader: how one subscriber waits. Threads that share it may wait at the same time.
class Waiter {
 public:
  Waiter(ControlBlock& control, std::uint64_t bit, Wait policy) : control_(control), bit_(bit), policy_(policy) {}

  // Says "wake me" as long as it lives. Whoever sleeps on `wake`, here or among several channels, has one.
  class Asleep {
   public:
    explicit Asleep(Waiter& waiter) : waiter_(waiter) { waiter_.fall_asleep(); }
    Asleep(const Asleep&) = delete;
    Asleep& operator=(const Asleep&) = delete;
    ~Asleep() { waiter_.wake_up(); }

   private:
    Waiter& waiter_;
  };

  [[nodiscard]] std::uint32_t ticket() const noexcept { return control_.wake.load(); }

  // Until there is news after `ticket`, `until_ns` (CLOCK_MONOTONIC) has come, a signal has, or a slice is over.
  void wait(std::uint32_t ticket, std::int64_t until_ns) { wait(ticket, until_ns, policy_); }
  void wait(std::uint32_t ticket, std::int64_t until_ns, Wait policy) {
    const std::int64_t now = os::monotonic_ns();
    const std::int64_t end = std::min(until_ns, now + kSlice);
    switch (policy) {
      case Wait::spin:
        spin(ticket, end);
        return;
      case Wait::park:
        break;
      case Wait::adaptive:
        if (spin_adaptively(ticket, now, end)) return;
        break;
      case Wait::predictive:
        if (wait_for_predicted(ticket, now, end)) return;
        break;
    }
    park(ticket, end);
  }

 private:
  bool spin(std::uint32_t ticket, std::int64_t end) const noexcept {
    for (;;) {
      for (int i = 0; i < 64; ++i) {
        if (control_.wake.load(std::memory_order_acquire) != ticket) return true;  // pairs with announce()
        cpu_relax();
      }
      if (os::monotonic_ns() >= end) return false;
    }
  }

  // Spins briefly as long as that has paid of late; otherwise tries it again now and then.
  bool spin_adaptively(std::uint32_t ticket, std::int64_t now, std::int64_t end) {
    constexpr std::uint32_t kRetry = 64;
    const std::uint32_t futile = futile_.load(std::memory_order_relaxed);  // relaxed: a guess, shared by threads
    if (futile >= 4 && futile % kRetry != 0) {
      futile_.store(futile + 1, std::memory_order_relaxed);
      return false;
    }
    const bool paid = spin(ticket, std::min(end, now + kShortSpin));
    futile_.store(paid ? 0 : futile + 1, std::memory_order_relaxed);
    return paid;
  }

  // Sleeps until shortly before the next frame is due, then spins; gives up where the publisher is late.
  bool wait_for_predicted(std::uint32_t ticket, std::int64_t now, std::int64_t end) {
    const auto period = static_cast<std::int64_t>(std::min<std::uint64_t>(control_.period_ns.load(), 1'000'000'000));
    const auto last = static_cast<std::int64_t>(
        std::min(control_.last_publish_ns.load(), static_cast<std::uint64_t>(now)));  // not later, whatever it says
    const std::int64_t due = last + period;
    if (period == 0 || due + kSpinMargin < now || due - kSpinMargin > end) return false;
    if (due - kSpinMargin > now) {
      park(ticket, due - kSpinMargin);
      if (control_.wake.load() != ticket) return true;
    }
    return spin(ticket, std::min(end, due + kSpinMargin));
  }

  void park(std::uint32_t ticket, std::int64_t end) {
    const std::int64_t left = end - os::monotonic_ns();
    if (left <= 0) return;
    const Asleep asleep(*this);
    if (control_.wake.load() == ticket) os::futex_wait(control_.wake, ticket, left);
    FRAMEBUS_STEP("wait:woken");
  }

  void fall_asleep() {
    {
      const std::lock_guard lock(mutex_);
      if (++asleep_ == 1) control_.sleepers.fetch_or(bit_);
    }
    FRAMEBUS_STEP("wait:bit_set");
  }
  void wake_up() {
    const std::lock_guard lock(mutex_);
    if (--asleep_ == 0) control_.sleepers.fetch_and(~bit_);
  }

  ControlBlock& control_;
  std::uint64_t bit_;
  Wait policy_;
  std::atomic<std::uint32_t> futile_{0};
  std::mutex mutex_;
  int asleep_ = 0;
};

// A moment on CLOCK_MONOTONIC; a negative timeout means never.
inline std::int64_t deadline_after(std::int64_t timeout_ns) noexcept {
  constexpr std::int64_t kNever = INT64_MAX;
  const std::int64_t now = timeout_ns < 0 ? 0 : os::monotonic_ns();
  return timeout_ns < 0 || timeout_ns > kNever - now ? kNever : now + timeout_ns;
}

}  // namespace framebus
