// SPDX-License-Identifier: Apache-2.0
// An atomic type that passes control to a seeded scheduler before every access, so that thousands of interleavings of
// the real algorithm can be tried and each can be repeated by its seed.
//
// Promise: exactly one of the scheduled threads runs at any time; the seed alone decides at each access which one
// continues. A thread runs for a burst of accesses, of very different lengths. Threads that are not scheduled use the
// atomic as it is. It explores orders of accesses, not weak memory: for that there is ThreadSanitizer on the same code.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

namespace interleaving {

class Scheduler {
 public:
  // Runs the bodies, one at a time, in an order that depends on the seed only. Returns the number of switches.
  static long run(std::uint64_t seed, const std::vector<std::function<void()>>& bodies) {
    Scheduler scheduler(seed, bodies.size());
    std::vector<std::thread> threads;
    threads.reserve(bodies.size());
    for (std::size_t i = 0; i < bodies.size(); ++i) {
      threads.emplace_back([&scheduler, &bodies, i] {
        scheduler.enter(i);
        bodies[i]();
        scheduler.leave(i);
      });
    }
    for (auto& thread : threads) thread.join();
    return scheduler.switches_;
  }

  // A scheduled thread is about to touch shared memory.
  static void point() {
    if (current_ != nullptr) current_->yield();
  }

 private:
  Scheduler(std::uint64_t seed, std::size_t count) : random_(seed), alive_(count, true), turn_(random_() % count) {}

  void enter(std::size_t i) {
    current_ = this;
    mine_ = i;
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return turn_ == i; });
  }
  void yield() {
    if (--burst_ > 0) return;  // only the running thread touches it
    std::unique_lock lock(mutex_);
    pass_on();
    changed_.wait(lock, [&] { return turn_ == mine_; });
  }
  void leave(std::size_t i) {
    const std::lock_guard lock(mutex_);
    alive_[i] = false;
    current_ = nullptr;
    pass_on();
  }
  void pass_on() {
    std::vector<std::size_t> candidates;
    for (std::size_t i = 0; i < alive_.size(); ++i) {
      if (alive_[i]) candidates.push_back(i);
    }
    if (candidates.empty()) return;
    const std::size_t next = candidates[random_() % candidates.size()];
    burst_ =
        1 + static_cast<long>(random_() % (std::uint64_t{1} << random_() % 9));  // mostly short, at times very long
    if (next == turn_) return;
    ++switches_;
    turn_ = next;
    changed_.notify_all();
  }

  static inline thread_local Scheduler* current_ = nullptr;
  static inline thread_local std::size_t mine_ = 0;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::mt19937_64 random_;
  std::vector<bool> alive_;
  std::size_t turn_;
  long switches_ = 0;
  long burst_ = 0;
};

}  // namespace interleaving

namespace framebus::inline FRAMEBUS_VERSION::detail {

template <class T>
class Atomic {
 public:
  Atomic() = default;
  explicit Atomic(T value) : value_(value) {}
  T load(std::memory_order order = std::memory_order_seq_cst) const {
    interleaving::Scheduler::point();
    return value_.load(order);
  }
  void store(T value, std::memory_order order = std::memory_order_seq_cst) {
    interleaving::Scheduler::point();
    value_.store(value, order);
  }
  T fetch_or(T bits, std::memory_order order = std::memory_order_seq_cst) {
    interleaving::Scheduler::point();
    return value_.fetch_or(bits, order);
  }
  T fetch_and(T bits, std::memory_order order = std::memory_order_seq_cst) {
    interleaving::Scheduler::point();
    return value_.fetch_and(bits, order);
  }
  T fetch_add(T n, std::memory_order order = std::memory_order_seq_cst) {
    interleaving::Scheduler::point();
    return value_.fetch_add(n, order);
  }
  bool compare_exchange_weak(T& expected, T desired, std::memory_order order = std::memory_order_seq_cst) {
    interleaving::Scheduler::point();
    return value_.compare_exchange_strong(expected, desired, order);
  }

 private:
  std::atomic<T> value_;
};

}  // namespace framebus::inline FRAMEBUS_VERSION::detail
