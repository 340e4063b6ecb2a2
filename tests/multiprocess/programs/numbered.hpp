// SPDX-License-Identifier: Apache-2.0
// Frames whose bytes follow from a number that is in them: what `Pattern` of numbered.py is, in C++.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>

namespace numbered {

inline constexpr std::uint64_t kA = 0x9E3779B97F4A7C15, kB = 0xC2B2AE3D27D4EB4F;

// Every word but the first, which is the number, is the one before and kB. The last word may be cut off. These loops
// are cheap without optimisation, too.
inline void fill(std::span<std::uint8_t> bytes, std::uint64_t number) {
  std::uint8_t* at = bytes.data();
  std::size_t left = bytes.size();
  std::uint64_t word = number, next = number * kA + kB;
  for (; left >= 8; left -= 8, at += 8, word = next, next += kB) std::memcpy(at, &word, 8);
  std::memcpy(at, &word, left);
}

// The number that the frame begins with.
inline std::uint64_t number_in(std::span<const std::uint8_t> bytes) {
  std::uint64_t number = 0;
  std::memcpy(&number, bytes.data(), 8);
  return number;
}

inline bool is_whole(std::span<const std::uint8_t> bytes, std::uint64_t number) {
  const std::uint8_t* at = bytes.data();
  std::size_t left = bytes.size();
  std::uint64_t word = number, next = number * kA + kB, found = 0;
  for (; left >= 8; left -= 8, at += 8, word = next, next += kB) {
    std::memcpy(&found, at, 8);
    if (found != word) return false;
  }
  return std::memcmp(at, &word, left) == 0;
}

}  // namespace numbered
