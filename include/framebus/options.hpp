// SPDX-License-Identifier: Apache-2.0
// What a Publisher and a Subscriber can be asked for. Plain values; the defaults fit most programs.
#pragma once

#include <chrono>
#include <cstdint>

#include "framebus/base/namespace.hpp"
#include "framebus/timeout.hpp"

namespace framebus::inline FRAMEBUS_VERSION {

enum class OnFull : std::uint8_t { drop, block, raise };

struct PublisherOptions {
  std::uint32_t slots = 8;
  std::uint64_t max_bytes = 0;  // 0: not known in advance
  std::uint32_t mode = 0600;
  OnFull on_full = OnFull::drop;
};

// park: sleeps. spin: burns a core. adaptive: spins for some microseconds where that has paid recently and a core is
// idle, then sleeps. predictive: sleeps until shortly before the next frame is due, then spins.
enum class Wait : std::uint8_t { adaptive, park, spin, predictive };

inline constexpr Timeout kMaxSpin = std::chrono::microseconds(500);

struct SubscriberOptions {
  bool every = false;
  std::uint32_t hold = 2;
  std::uint32_t history = 0;
  Timeout connect_timeout = kNoWait;
  Wait wait = Wait::adaptive;
  Timeout max_spin = kMaxSpin;  // how long one wait may spin, but for Wait::spin, which always does
  bool reconnect = true;
  // Wait::predictive calls it shortly before a frame is due, in the thread that waits and without a lock, so that what
  // will be done with the frame can be brought back into the caches.
  void (*before_frame)() = nullptr;
  bool observer = false;  // looks without being counted, for tools
  bool keeper = false;    // what it holds is the history of newcomers, see Fetcher; an observer with hold=1
};

// Called between slices of a wait, without a lock; throws to end the wait.
using Interrupt = void (*)();

}  // namespace framebus::inline FRAMEBUS_VERSION
