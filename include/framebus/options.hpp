// SPDX-License-Identifier: Apache-2.0
// The options of a Publisher and a Subscriber: plain values, with defaults that fit most programs.
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

// park: sleeps. spin: keeps a core busy. adaptive: spins for some microseconds if that has been successful recently and
// a core is idle, then sleeps. predictive: sleeps until shortly before the next frame is due, then spins.
enum class Wait : std::uint8_t { adaptive, park, spin, predictive };

inline constexpr Timeout kMaxSpin = std::chrono::microseconds(500);

struct SubscriberOptions {
  bool every = false;
  std::uint32_t hold = 2;
  std::uint32_t history = 0;
  Timeout connect_timeout = kNoWait;
  Wait wait = Wait::adaptive;
  Timeout max_spin = kMaxSpin;  // how long one wait may spin; not for Wait::spin, which always spins
  bool reconnect = true;
  // Wait::predictive calls it shortly before a frame is due, in the waiting thread and without a lock. It can warm up
  // the caches with the code and memory that will use the frame.
  void (*before_frame)() = nullptr;
  bool observer = false;  // not counted as a subscriber, for tools
  bool keeper = false;    // its frame is history for new subscribers, see Fetcher; an observer with hold=1
};

// Called between slices of a wait, without a lock. An exception ends the wait.
using Interrupt = void (*)();

}  // namespace framebus::inline FRAMEBUS_VERSION
