// SPDX-License-Identifier: Apache-2.0
// Latency and rate of a publisher or a subscriber, over the last frames.
//
// Promise: adding costs one cache line in four frames and no allocation; the percentiles are exact over the last 512.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <vector>

#include "framebus/base/namespace.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail {

class Meter {
 public:
  void add(std::int64_t at_ns, std::int64_t latency_ns) noexcept {
    entries_[count_++ % kEntries] = {at_ns, latency_ns};
  }

  // The latency in seconds that the fraction `q` of frames did not exceed; NaN before the first.
  [[nodiscard]] double latency_s(double q) const {
    const std::size_t n = std::min<std::uint64_t>(count_, kEntries);
    if (n == 0) return std::numeric_limits<double>::quiet_NaN();
    std::vector<std::int64_t> sorted(n);
    std::transform(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(n), sorted.begin(),
                   [](const Entry& e) { return e.latency_ns; });
    const auto rank = static_cast<std::ptrdiff_t>(q * static_cast<double>(n - 1) + 0.5);
    std::nth_element(sorted.begin(), sorted.begin() + rank, sorted.end());
    return static_cast<double>(sorted[static_cast<std::size_t>(rank)]) * 1e-9;
  }

  // Frames per second over the last two seconds or the last 512 frames; falls towards 0 when no frame comes any more.
  [[nodiscard]] double rate_hz(std::int64_t now_ns) const noexcept {
    const std::uint64_t n = std::min<std::uint64_t>(count_, kEntries);
    if (n < 2) return 0.0;
    const std::int64_t newest = entry(count_ - 1).at_ns;
    std::uint64_t used = 1;
    while (used < n && newest - entry(count_ - 1 - used).at_ns < kWindow) ++used;
    const std::int64_t oldest = entry(count_ - used).at_ns;
    if (used < 2) return 1e9 / static_cast<double>(std::max<std::int64_t>(now_ns - newest, kWindow));
    const double period = static_cast<double>(newest - oldest) / static_cast<double>(used - 1);
    const double idle = static_cast<double>(now_ns - newest);
    return period <= 0.0 ? 0.0 : 1e9 / std::max(period, idle / 3);
  }

 private:
  static constexpr std::size_t kEntries = 512;
  static constexpr std::int64_t kWindow = 2'000'000'000;
  struct Entry {
    std::int64_t at_ns;
    std::int64_t latency_ns;
  };
  [[nodiscard]] const Entry& entry(std::uint64_t i) const noexcept { return entries_[i % kEntries]; }

  std::array<Entry, kEntries> entries_{};
  std::uint64_t count_ = 0;
};

}  // namespace framebus::inline FRAMEBUS_VERSION::detail
