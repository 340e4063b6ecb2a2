// SPDX-License-Identifier: Apache-2.0
// Predicts when the next frame is due, from the sequence numbers and publication times of the frames before it.
//
// There are two kinds of publishers. One keeps to a grid, as a camera or a loop that sleeps until absolute times does:
// a delay of one frame does not delay the next, and the best prediction averages over many frames. The other begins
// each period when it has sent, as a loop around sleep() does: delays add up, and the best prediction is the newest
// frame plus a period. Both models are kept, each with its recent errors; the one with the smaller errors is used.
//
// The forecast is a window, as wide as the caller may spin. Only its beginning has to be chosen: spinning costs the
// time from the beginning to the frame, a frame before the beginning finds a sleeper, and so does one after the end.
// Each has a price, and the beginning with the lowest total price for the last frames is chosen.
//
// Promise: observing a frame costs a few dozen operations, a forecast some hundreds; no memory but its own, no system
// call. There is no forecast before kMinIntervals intervals, and none after a stop, a change of rate or a jump of the
// clock until that many intervals were observed again; and none if fewer than half of the last frames came when they
// were expected.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <optional>

#include "framebus/base/namespace.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail {

class Predictor {
 public:
  struct Window {  // CLOCK_MONOTONIC, ns
    std::int64_t from;
    std::int64_t to;
  };

  // A frame was fetched. Both numbers come from shared memory and may be anything.
  void observe(std::uint64_t seq, std::int64_t published_ns) noexcept {
    const std::uint64_t steps = seq - seq_;
    const std::int64_t gap =
        static_cast<std::int64_t>(static_cast<std::uint64_t>(published_ns) - static_cast<std::uint64_t>(newest_));
    const bool follows = seq_ != 0 && steps >= 1 && steps <= kMostSteps && gap > 0 && gap < kLongest &&
                         published_ns > 0 && published_ns < kEndOfTime;
    seq_ = seq;
    newest_ = published_ns;
    if (!follows) {
      count_ = 0;
      return;
    }
    const auto period = static_cast<double>(gap) / static_cast<double>(steps);
    const bool surprise = count_ != 0 && std::abs(period - step_.period) > step_.period / 4;
    surprises_ = surprise ? surprises_ + 1 : 0;
    if (count_ == 0 || surprises_ >= 2) {
      grid_ = step_ = {static_cast<double>(gap), period, {}};
      origin_ = published_ns - gap;
      count_ = outcomes_ = 0;
      judged_ = surprises_ = 0;
      forecast_.reset();
    } else {
      judge(published_ns, steps);
      const auto at = static_cast<double>(published_ns - origin_);
      if (surprise) {  // one is a delay, which must not change the models; two in a row are another rate
        grid_.phase = step_.phase = at;
        return;
      }
      take(at, static_cast<double>(steps));
    }
    ++count_;
  }

  // The window of the next frame, no wider than `most` ns and a quarter of a period.
  [[nodiscard]] std::optional<Window> next(std::int64_t most) noexcept {
    if (count_ < kMinIntervals) return std::nullopt;
    if (!forecast_) forecast_ = forecast(most);
    return 2 * std::popcount(outcomes_ & ((1U << judged_) - 1)) >= judged_ ? forecast_ : std::nullopt;
  }

 private:
  static constexpr std::uint64_t kMinIntervals = 6;
  static constexpr std::uint64_t kMostSteps = 16;
  static constexpr std::int64_t kLongest = 10'000'000'000;
  static constexpr std::int64_t kEndOfTime = INT64_MAX / 4;
  static constexpr std::uint32_t kOffsets = 64;
  static constexpr std::int64_t kEarly = 50'000;    // ns; a sleeper wakes up this long before the window
  static constexpr std::uint32_t kMostLeftOut = 8;  // frames that may come before the beginning of the window
  static constexpr double kMissed = 20'000'000;     // ns of spinning that one more frame in the window is worth
  static constexpr int kJudged = 16;                // the number of newest forecasts that are judged
  static constexpr double kSettled = 24;            // frames over which the grid is averaged at most

  struct Beginning {
    double offset = 0;  // from the time a frame is due to the beginning of the window
    double price = 0;
  };

  struct Model {
    double phase = 0;                        // of the newest frame, in ns after `origin_`
    double period = 0;                       // ns
    std::array<double, kOffsets> offsets{};  // by how much the last frames came later than expected

    void take(double at, double steps, double phase_gain, double period_gain, std::uint32_t place) noexcept {
      const double expected = phase + steps * period, offset = at - expected;
      offsets[place] = offset;
      phase = expected + phase_gain * offset;
      period += period_gain * offset / steps;
    }

    [[nodiscard]] Beginning best_beginning(std::uint32_t filled, double width) const noexcept {
      std::array<double, kOffsets> sorted = offsets;
      std::sort(sorted.begin(), sorted.begin() + filled);
      Beginning best;
      for (std::uint32_t first = 0; first < std::min(filled, kMostLeftOut); ++first) {
        double price = first * kMissed;
        for (std::uint32_t i = first; i < filled; ++i) {
          const double spun = sorted[i] - sorted[first];
          price += spun <= width ? spun : width + kMissed;
        }
        if (first == 0 || price < best.price) best = {sorted[first], price};
      }
      return best;
    }
  };

  [[nodiscard]] Window forecast(std::int64_t most) const noexcept {
    const double width = std::min(static_cast<double>(most), step_.period / 4);
    const Beginning of_grid = grid_.best_beginning(filled(), width), of_step = step_.best_beginning(filled(), width);
    const bool on_grid = of_grid.price < of_step.price;
    const Model& model = on_grid ? grid_ : step_;
    const double from = model.phase + model.period + (on_grid ? of_grid : of_step).offset;
    return {origin_ + static_cast<std::int64_t>(from), origin_ + static_cast<std::int64_t>(from + width)};
  }

  // Did the frame come in its window?
  void judge(std::int64_t came, std::uint64_t steps) noexcept {
    if (forecast_ && steps == 1) {
      judged_ = std::min(judged_ + 1, kJudged);
      outcomes_ = outcomes_ << 1 | (came >= forecast_->from - kEarly && came <= forecast_->to ? 1U : 0U);
    }
    forecast_.reset();
  }

  void take(double at, double steps) noexcept {
    const auto place = static_cast<std::uint32_t>((count_ - 1) % kOffsets);
    // At first these gains fit the best straight line through all frames so far; later the oldest lose their weight.
    const double n = std::min(static_cast<double>(count_), kSettled);
    grid_.take(at, steps, 2 * (2 * n + 1) / ((n + 1) * (n + 2)), 6 / ((n + 1) * (n + 2)), place);
    step_.take(at, steps, 1, std::max(1 / (n + 1), 1.0 / 16), place);
  }
  [[nodiscard]] std::uint32_t filled() const noexcept {
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(count_ - 1, kOffsets));
  }

  std::uint64_t seq_ = 0, count_ = 0;  // count_: intervals since the models began
  std::int64_t newest_ = 0, origin_ = 0;
  Model grid_, step_;
  std::optional<Window> forecast_;
  int judged_ = 0;              // the number of forecasts in `outcomes_`
  std::uint32_t outcomes_ = 0;  // a bit for each forecast, the newest lowest: did the frame come in its window?
  int surprises_ = 0;
};

}  // namespace framebus::inline FRAMEBUS_VERSION::detail
