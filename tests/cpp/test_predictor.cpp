// SPDX-License-Identifier: Apache-2.0
// The forecast of the next frame, with simulated publishers: without a clock and without waiting.
#include <cmath>
#include <cstdint>
#include <framebus/wait/predictor.hpp>
#include <random>

#include "check.hpp"

namespace {

using framebus::detail::Predictor;

constexpr std::int64_t kPeriod = 10'000'000;
constexpr std::int64_t kMost = 500'000;
constexpr std::int64_t kStart = 1'000'000'000'000;

// The number of right forecasts and of missing ones, and how long a reader would have spun for the right ones.
struct Outcome {
  int right = 0, wrong = 0, none = 0;
  std::int64_t spun = 0;
};

// Observes `frames` frames at the times that `at(i)` returns; judges those from `from` on.
template <class At>
Outcome judge(Predictor& predictor, int frames, int from, At&& at) {
  Outcome outcome;
  for (int i = 0; i < frames; ++i) {
    const std::int64_t time = at(i);
    const auto window = predictor.next(kMost);
    if (i >= from && !window) ++outcome.none;
    if (i >= from && window) {
      const bool right = window->from <= time && time <= window->to;
      ++(right ? outcome.right : outcome.wrong);
      if (right) outcome.spun += time - window->from;
      CHECK(window->to - window->from <= kMost);
    }
    predictor.observe(static_cast<std::uint64_t>(i) + 1, time);
  }
  return outcome;
}

std::exponential_distribution<double> jitter_of(double mean_ns) {
  return std::exponential_distribution<double>(1.0 / mean_ns);
}

void a_publisher_on_a_grid_is_forecast_from_many_frames() {
  std::mt19937_64 random(1);
  auto jitter = jitter_of(40'000);
  Predictor predictor;
  const Outcome o = judge(predictor, 2000, 100,
                          [&](int i) { return kStart + i * kPeriod + static_cast<std::int64_t>(jitter(random)); });
  CHECK(o.none == 0 && o.wrong < 1900 * 8 / 100);
  CHECK(o.spun / o.right < 100'000);
}

void a_publisher_whose_delays_add_up_is_forecast_from_the_newest() {
  std::mt19937_64 random(2);
  auto jitter = jitter_of(80'000);
  Predictor predictor;
  std::int64_t time = kStart;
  const Outcome o =
      judge(predictor, 2000, 100, [&](int) { return time += kPeriod + static_cast<std::int64_t>(jitter(random)); });
  CHECK(o.none == 0 && o.wrong < 1900 * 8 / 100);
  CHECK(o.spun / o.right < 200'000);
}

void a_perfect_clock_costs_next_to_nothing() {
  Predictor predictor;
  const Outcome o = judge(predictor, 200, 20, [&](int i) { return kStart + i * std::int64_t{16'666'667}; });
  CHECK(o.none == 0 && o.wrong == 0 && o.spun / o.right < 1000);
}

void there_is_no_forecast_before_a_few_frames_and_after_nonsense() {
  Predictor predictor;
  CHECK(!predictor.next(kMost));
  for (std::uint64_t i = 1; i <= 5; ++i) {
    predictor.observe(i, kStart + static_cast<std::int64_t>(i) * kPeriod);
    CHECK(!predictor.next(kMost));
  }
  for (std::uint64_t i = 6; i <= 30; ++i) {  // with right forecasts, so that a single miss does not end them
    predictor.observe(i, kStart + static_cast<std::int64_t>(i) * kPeriod);
    CHECK(i < 7 || predictor.next(kMost).has_value());
  }
  constexpr std::int64_t kNonsense[] = {INT64_MIN, -1, 0, kStart - 1, INT64_MAX, kStart + INT64_MAX / 2};
  for (const std::int64_t time : kNonsense) {
    Predictor spoiled = predictor;
    spoiled.observe(31, time);
    CHECK(!spoiled.next(kMost));
  }
  for (const std::uint64_t seq : {std::uint64_t{0}, std::uint64_t{30}, std::uint64_t{5}, UINT64_MAX}) {
    Predictor spoiled = predictor;
    spoiled.observe(seq, kStart + 31 * kPeriod);
    CHECK(!spoiled.next(kMost));
  }
  Predictor at_the_end_of_time;
  for (std::uint64_t i = 1; i <= 50; ++i) {
    at_the_end_of_time.observe(i, INT64_MAX - (100 - static_cast<std::int64_t>(i)) * kPeriod);
    CHECK(!at_the_end_of_time.next(kMost));
  }
}

void a_stutter_is_forgiven_and_another_rate_is_learned() {
  Predictor predictor;
  std::int64_t time = kStart;
  std::uint64_t seq = 0;
  const auto send = [&](std::int64_t gap) { predictor.observe(++seq, time += gap); };
  for (int i = 0; i < 50; ++i) send(kPeriod);
  send(5 * kPeriod);
  const auto after_stutter = predictor.next(kMost);
  CHECK(after_stutter && std::abs(after_stutter->from - time - kPeriod) < 50'000);
  for (int i = 0; i < 50; ++i) send(kPeriod);
  send(kPeriod / 3);
  send(kPeriod / 3);
  CHECK(!predictor.next(kMost));  // another rate, not learned yet
  for (int i = 0; i < 20; ++i) send(kPeriod / 3);
  const auto faster = predictor.next(kMost);
  CHECK(faster && std::abs(faster->from - time - kPeriod / 3) < 50'000);
}

void frames_that_were_skipped_are_reckoned_with() {
  Predictor predictor;
  for (std::uint64_t seq = 1; seq < 100; seq += seq % 5 == 0 ? 3 : 1) {
    predictor.observe(seq, kStart + static_cast<std::int64_t>(seq) * kPeriod);
  }
  const auto window = predictor.next(kMost);
  CHECK(window && window->to - kStart > 0 && (window->from - kStart + 1000) % kPeriod < 2000);
}

// A source without a rhythm: spinning would not be worth it, so there is almost never a forecast.
void where_frames_come_at_random_there_is_no_forecast() {
  std::mt19937_64 random(3);
  std::uniform_int_distribution<std::int64_t> gap(7'600'000, 12'400'000);
  Predictor predictor;
  std::int64_t time = kStart;
  const Outcome o = judge(predictor, 3000, 100, [&](int) { return time += gap(random); });
  CHECK(o.none > 2900 * 9 / 10);
}

void a_fast_source_is_watched_for_a_quarter_of_its_period() {
  Predictor predictor;
  for (std::uint64_t seq = 1; seq < 100; ++seq) {
    predictor.observe(seq, kStart + static_cast<std::int64_t>(seq) * 400'000);
  }
  const auto window = predictor.next(kMost);
  CHECK(window && window->to - window->from <= 100'001);
}

}  // namespace

int main() {
  a_publisher_on_a_grid_is_forecast_from_many_frames();
  a_publisher_whose_delays_add_up_is_forecast_from_the_newest();
  a_perfect_clock_costs_next_to_nothing();
  there_is_no_forecast_before_a_few_frames_and_after_nonsense();
  a_stutter_is_forgiven_and_another_rate_is_learned();
  frames_that_were_skipped_are_reckoned_with();
  where_frames_come_at_random_there_is_no_forecast();
  a_fast_source_is_watched_for_a_quarter_of_its_period();
  return check::finish();
}
