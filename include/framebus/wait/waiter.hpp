// SPDX-License-Identifier: Apache-2.0
// Waiting for the next frame, and the protocol by which a publisher wakes its readers.
//
// Protocol. A reader takes a ticket (the value of `wake`), looks for a frame, finds none, and waits while `wake` is
// equal to the ticket. Before it sleeps it sets the bit of its record in `sleepers`. The publisher stores `head`, then
// `wake`, then loads `sleepers`, and makes the system call only if a bit is set. All of these are sequentially
// consistent. If the publisher misses the bit, the bit was set after the publisher's load, thus after its store of
// `wake`; the kernel compares `wake` with the ticket before it lets a thread sleep, and so does not let this reader
// sleep.
//
// A sleeper that is killed leaves its bit. After a few wake-ups that wake no reader, the publisher asks the kernel
// which readers are alive, and clears the bits of the others (publisher_core.hpp).
//
// No sleep is longer than kSlice, so that a reader notices Unix signals, dead publishers and deleted files.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>

#include "framebus/base/namespace.hpp"
#include "framebus/layout/layout.hpp"
#include "framebus/options.hpp"
#include "framebus/os/os.hpp"
#include "framebus/segment/announce.hpp"
#include "framebus/segment/leaving.hpp"
#include "framebus/wait/core_migration.hpp"
#include "framebus/wait/predictor.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail {

inline constexpr std::int64_t kSlice = 50'000'000;      // ns; the longest sleep of a reader
inline constexpr std::int64_t kSpaceSlice = 5'000'000;  // ns; the longest sleep of a publisher that waits for a reader
inline constexpr std::int64_t kShortSpin = 20'000;      // ns; how long `adaptive` spins before it sleeps

// Why a wait is over. `news`: `wake` has changed. `almost_due`: it may not have changed, but the next frame is due
// soon; the reader is to try to fetch now, which also brings code and memory for the frame into the caches.
enum class WaitResult : std::uint8_t { news, almost_due, slice };

// Reader: how one subscriber waits. Threads that share it may wait at the same time.
class Waiter {
 public:
  Waiter(ControlBlock& control, std::uint64_t bit, Wait policy, std::int64_t max_spin_ns)
      : control_(control), bit_(bit), policy_(policy), max_spin_(max_spin_ns) {}

  // Keeps the reader's bit in `sleepers` set while it exists. Every sleep on `wake`, of one or of several channels, has
  // one.
  class Asleep {
   public:
    explicit Asleep(Waiter& waiter) : waiter_(waiter) { waiter_.fall_asleep(); }
    Asleep(const Asleep&) = delete;
    Asleep& operator=(const Asleep&) = delete;
    ~Asleep() { waiter_.wake_up(); }

   private:
    Waiter& waiter_;
  };

  // From now on threads that are still asleep do not change `sleepers`. False if the lock was not free in time.
  [[nodiscard]] bool retire() noexcept {
    const auto lock = lock_briefly(mutex_);
    retired_ = lock.owns_lock();
    return retired_;
  }

  [[nodiscard]] std::uint32_t ticket() const noexcept { return control_.wake.load(); }

  // A frame was fetched: for the forecast of the next one.
  void observe(std::uint64_t seq, std::int64_t published_ns) {
    if (policy_ != Wait::predictive) return;
    const std::lock_guard lock(mutex_);
    predictor_.observe(seq, published_ns);
  }

  // Until `wake` differs from `ticket`, `until_ns` (CLOCK_MONOTONIC) has come, a signal arrives, or a slice is over.
  WaitResult wait(std::uint32_t ticket, std::int64_t until_ns) { return wait(ticket, until_ns, policy_); }
  WaitResult wait(std::uint32_t ticket, std::int64_t until_ns, Wait policy) {
    const std::int64_t now = os::monotonic_ns();
    const std::int64_t end = std::min(until_ns, now + kSlice);
    switch (policy) {
      case Wait::spin:
        return spin(ticket, now, end);
      case Wait::park:
        break;
      case Wait::adaptive:
        if (spin_adaptively(ticket, now, end)) return WaitResult::news;
        break;
      case Wait::predictive:
        if (const auto waited = wait_for_predicted(ticket, now, end)) return *waited;
        break;
    }
    return park(ticket, end);
  }

  // In place of wait(), where the publisher is about to decide on the next frame: that changes no word, and it needs a
  // processor. Looking again is worthwhile, as after `news`.
  static WaitResult pause() noexcept {
    os::sleep_ns(50'000);
    return WaitResult::news;
  }

  [[nodiscard]] std::int64_t spun_ns() const noexcept { return spun_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t sleeps() const noexcept { return sleeps_.load(std::memory_order_relaxed); }

 private:
  WaitResult spin(std::uint32_t ticket, std::int64_t now, std::int64_t end) noexcept {
    const std::int64_t began = now;
    bool news = false;
    while (!news && now < end) {
      for (int i = 0; i < 64 && !news; ++i) {
        news = control_.wake.load(std::memory_order_acquire) != ticket;  // pairs with announce()
        if (!news) cpu_relax();
      }
      now = os::monotonic_ns();
    }
    spun_.fetch_add(now - began, std::memory_order_relaxed);  // relaxed: for statistics
    return news ? WaitResult::news : WaitResult::slice;
  }

  // Spins briefly if that has been successful recently; otherwise only every kRetry-th time. Never if every core is
  // busy: a reader that spins there keeps the publisher from running.
  bool spin_adaptively(std::uint32_t ticket, std::int64_t now, std::int64_t end) {
    constexpr std::uint32_t kRetry = 64;
    const std::uint32_t futile = futile_.load(std::memory_order_relaxed);  // relaxed: a guess, shared by threads
    if (futile >= 4 && futile % kRetry != 0) {
      futile_.store(futile + 1, std::memory_order_relaxed);
      return false;
    }
    if (!os::has_idle_core(now)) return false;
    const bool paid = spin(ticket, now, std::min({end, now + kShortSpin, now + max_spin_})) == WaitResult::news;
    futile_.store(paid ? 0 : futile + 1, std::memory_order_relaxed);
    return paid;
  }

  // Sleeps until shortly before the next frame is due, or spins once that time has come. nullopt: there is no forecast,
  // or the frame is late.
  std::optional<WaitResult> wait_for_predicted(std::uint32_t ticket, std::int64_t now, std::int64_t end) {
    if (max_spin_ == 0) return std::nullopt;
    std::optional<Predictor::Window> window;
    std::int64_t rise = 0;
    {
      const std::lock_guard lock(mutex_);
      window = predictor_.next(max_spin_);
      if (window) rise = window->from - std::min(kWakeEarly + oversleep_, max_spin_ / 2);
    }
    if (!window || now >= window->to || rise >= end) return std::nullopt;
    if (now >= rise) {
      core_migration_.before_spin();
      if (spin(ticket, now, std::min({end, window->to, now + max_spin_})) == WaitResult::news) return WaitResult::news;
      return std::nullopt;
    }
    static_cast<void>(core_migration_.after_spin());
    const os::ExactTimers exact;
    if (park(ticket, rise) == WaitResult::news) return WaitResult::news;
    const std::int64_t late = os::monotonic_ns() - rise;
    if (late < 0) return WaitResult::slice;  // a signal
    const std::lock_guard lock(mutex_);
    // Rises at once and falls slowly: being late costs more than being early.
    const std::int64_t step = late - oversleep_;
    oversleep_ = std::min(oversleep_ + (step > 0 ? step : step / 16), kLatest);
    return WaitResult::almost_due;
  }

  WaitResult park(std::uint32_t ticket, std::int64_t end) {
    const std::int64_t left = end - os::monotonic_ns();
    if (left <= 0) return WaitResult::slice;
    const Asleep asleep(*this);
    if (control_.wake.load() == ticket) os::futex_wait(control_.wake, ticket, left);
    FRAMEBUS_STEP("wait:woken");
    return control_.wake.load() == ticket ? WaitResult::slice : WaitResult::news;
  }

  void fall_asleep() {
    {
      const std::lock_guard lock(mutex_);
      ++sleeps_;
      if (++asleep_ == 1 && !retired_) control_.sleepers.fetch_or(bit_);
    }
    FRAMEBUS_STEP("wait:bit_set");
  }
  void wake_up() {
    const std::lock_guard lock(mutex_);
    if (--asleep_ == 0 && !retired_) control_.sleepers.fetch_and(~bit_);
  }

  static constexpr std::int64_t kWakeEarly = 40'000;  // ns; for one try and before_frame before the window
  static constexpr std::int64_t kLatest = 200'000;    // ns; the largest delay of a timer that is compensated

  ControlBlock& control_;
  std::uint64_t bit_;
  Wait policy_;
  std::int64_t max_spin_;
  std::atomic<std::uint32_t> futile_{0};
  std::atomic<std::int64_t> spun_{0};
  std::atomic<std::uint64_t> sleeps_{0};
  std::mutex mutex_;  // everything below
  int asleep_ = 0;
  bool retired_ = false;
  Predictor predictor_;
  std::int64_t oversleep_ = kLatest / 4;  // how late a timer is
  CoreMigration core_migration_;
};

// The deadline on CLOCK_MONOTONIC; a negative timeout means no deadline.
inline std::int64_t deadline_after(std::int64_t timeout_ns) noexcept {
  constexpr std::int64_t kNever = INT64_MAX;
  const std::int64_t now = timeout_ns < 0 ? 0 : os::monotonic_ns();
  return timeout_ns < 0 || timeout_ns > kNever - now ? kNever : now + timeout_ns;
}

}  // namespace framebus::inline FRAMEBUS_VERSION::detail
