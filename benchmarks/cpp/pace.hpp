// SPDX-License-Identifier: Apache-2.0
// Shared by the C++ benchmarks: the clock, absolute deadlines, and the ages that the receiving program prints as JSON.
#pragma once

#include <time.h>

#include <cstdint>
#include <cstdio>
#include <vector>

namespace pace {

inline std::int64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000ll + now.tv_nsec;
}

inline void sleep_until(std::int64_t ns) {
  const timespec due{ns / 1'000'000'000ll, ns % 1'000'000'000ll};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, nullptr) != 0) {
  }
}

// Calls send(number) `count` times, `hz` a second, after it has been called `warm` times with numbers that do not
// count.
template <class Send>
void run(int warm, int count, double hz, Send send) {
  const auto period = static_cast<std::int64_t>(1e9 / hz);
  std::int64_t due = now_ns() + period;
  for (int number = -warm; number < count; ++number, due += period) {
    sleep_until(due);
    send(number);
  }
}

// Prints ages in ns, and what the program has used of a core.
inline void report(const std::vector<std::int64_t>& ages, double share) {
  std::printf("{\"share\": %.6f, \"ages_ns\": [", share);
  for (std::size_t i = 0; i < ages.size(); ++i) std::printf("%s%lld", i ? ", " : "", static_cast<long long>(ages[i]));
  std::puts("]}");
}

// CPU time of this program in ns.
inline std::int64_t cpu_ns() {
  timespec used{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return used.tv_sec * 1'000'000'000ll + used.tv_nsec;
}

}  // namespace pace
