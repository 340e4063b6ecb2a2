// SPDX-License-Identifier: Apache-2.0
// A publisher's counts and measurements, for reports of other programs and for its own statistics.
#pragma once

#include <cstdint>

#include "framebus/base/namespace.hpp"
#include "framebus/core/latency_meter.hpp"
#include "framebus/layout/descriptor.hpp"
#include "framebus/layout/layout.hpp"
#include "framebus/os/os.hpp"
#include "framebus/statistics.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail {

class PublishCounts {
 public:
  // Counts one frame. `woken`: what announce() returned for it.
  void add(ControlBlock& block, const Descriptor& frame, std::int64_t since_ns, int woken) noexcept {
    // Relaxed, all of these stores: figures for statistics and for `predictive` waiting, whose guess may be off.
    const std::int64_t gap = frame.published_ns - last_ns_;
    if (frames_ != 0) {
      period_ns_ = period_ns_ == 0 ? gap : period_ns_ + (gap - period_ns_) / 8;
      block.period_ns.store(static_cast<std::uint64_t>(period_ns_), std::memory_order_relaxed);
    }
    last_ns_ = frame.published_ns;
    block.last_publish_ns.store(static_cast<std::uint64_t>(frame.published_ns), std::memory_order_relaxed);
    block.frames.store(++frames_, std::memory_order_relaxed);
    block.bytes.store(bytes_ += frame.payload_bytes, std::memory_order_relaxed);
    meter_.add(frame.published_ns, frame.published_ns - since_ns);
    wakeups_ += woken >= 0 ? 1 : 0;
    futile_wakes_ = woken == 0 ? futile_wakes_ + 1 : 0;
  }

  // Have so many consecutive wake-ups been futile that the sleeping readers should be checked? Then resets the count.
  [[nodiscard]] bool is_futile() noexcept {
    if (futile_wakes_ < kFutileWakes) return false;
    futile_wakes_ = 0;
    return true;
  }

  [[nodiscard]] Statistics statistics() const {
    Statistics s;
    s.frames = frames_;
    s.bytes = bytes_;
    s.wakeups = wakeups_;
    s.rate_hz = meter_.rate_hz(os::monotonic_ns());
    s.latency_p50_s = meter_.latency_s(0.50);
    s.latency_p99_s = meter_.latency_s(0.99);
    return s;
  }

 private:
  static constexpr int kFutileWakes = 16;  // consecutive wake-ups that woke no reader

  std::uint64_t frames_ = 0, bytes_ = 0, wakeups_ = 0;
  std::int64_t last_ns_ = 0, period_ns_ = 0;
  int futile_wakes_ = 0;
  Meter meter_;
};

}  // namespace framebus::inline FRAMEBUS_VERSION::detail
