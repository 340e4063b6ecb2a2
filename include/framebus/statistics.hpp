// SPDX-License-Identifier: Apache-2.0
// Counts and measurements of one publisher or subscriber. Values that do not apply to it are 0.
#pragma once

#include <cstdint>

#include "framebus/base/namespace.hpp"

namespace framebus::inline FRAMEBUS_VERSION {

struct Statistics {
  std::uint64_t frames = 0;        // sent or fetched
  std::uint64_t bytes = 0;         // of the arrays of those frames
  std::uint64_t dropped = 0;       // given up although a subscriber wanted every frame
  std::uint64_t missed = 0;        // skipped by this subscriber because a newer one was there
  std::uint64_t pending = 0;       // published and not yet received by this subscriber
  std::uint64_t memory_bytes = 0;  // shared memory of the frames
  std::uint32_t held = 0;          // frames held now, by this subscriber or by all
  std::uint32_t subscribers = 0;   // of the channel, now
  std::uint32_t slots = 0;         // frames that the channel has room for
  std::uint32_t generation = 0;    // number of the channel's frame store, from 1
  std::uint64_t sleeps = 0;        // system calls that put this subscriber to sleep
  std::uint64_t wakeups = 0;       // system calls by which this publisher woke subscribers; one wakes them all
  double spun_s = 0;               // processor time that this subscriber has spun for a frame
  double rate_hz = 0;              // recent, see Meter
  double latency_p50_s = 0;        // over the last 512 frames, see Meter
  double latency_p99_s = 0;
};

}  // namespace framebus::inline FRAMEBUS_VERSION
