// SPDX-License-Identifier: Apache-2.0
// Frames whose bytes follow from a number that is in them: what `Pattern` of numbered.py is, in C++.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>

namespace numbered {

inline constexpr std::uint64_t kA = 0x9E3779B97F4A7C15, kB = 0xC2B2AE3D27D4EB4F;

constexpr std::uint64_t word(std::uint64_t number, std::uint64_t i) { return i == 0 ? number : number * kA + i * kB; }

// The last word may be cut off.
inline void fill(std::span<std::uint8_t> bytes, std::uint64_t number) {
  for (std::size_t i = 0, at = 0; at < bytes.size(); ++i, at += 8) {
    const std::uint64_t w = word(number, i);
    std::memcpy(bytes.data() + at, &w, at + 8 <= bytes.size() ? 8 : bytes.size() - at);
  }
}

// The number that the frame begins with.
inline std::uint64_t number_in(std::span<const std::uint8_t> bytes) {
  std::uint64_t number = 0;
  std::memcpy(&number, bytes.data(), 8);
  return number;
}

inline bool is_whole(std::span<const std::uint8_t> bytes, std::uint64_t number) {
  for (std::size_t i = 0, at = 0; at < bytes.size(); ++i, at += 8) {
    const std::uint64_t w = word(number, i);
    if (std::memcmp(bytes.data() + at, &w, at + 8 <= bytes.size() ? 8 : bytes.size() - at) != 0) return false;
  }
  return true;
}

}  // namespace numbered
