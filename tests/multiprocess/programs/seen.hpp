// SPDX-License-Identifier: Apache-2.0
// What a subscriber to numbered frames has seen: what `Seen` of seen.py counts, in C++.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

class Seen {
 public:
  std::uint64_t frames = 0;

  void add(std::uint64_t number, bool whole) {
    ++frames;
    if (!whole) ++torn_;
    if (!runs_.empty() && runs_.back().second + 1 == number) {
      runs_.back().second = number;
    } else {
      runs_.emplace_back(number, number);
    }
  }

  // As talk::say takes it.
  std::string told() const {
    std::string list;
    for (const auto& [first, last] : runs_) {
      list += (list.empty() ? "[" : ",[") + std::to_string(first) + "," + std::to_string(last) + "]";
    }
    return ",\"seen\":" + std::to_string(frames) + ",\"torn\":" + std::to_string(torn_) + ",\"runs\":[" + list + "]";
  }

 private:
  std::uint64_t torn_ = 0;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> runs_;
};
