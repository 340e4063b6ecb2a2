// SPDX-License-Identifier: Apache-2.0
// The fuzzer's bytes, read as numbers. Promise: never runs out; the last byte is followed by zeros.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace fuzz {

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t bytes) : data_(data), left_(bytes) {}

  [[nodiscard]] bool is_empty() const noexcept { return left_ == 0; }
  void take(void* to, std::size_t bytes) noexcept {
    const std::size_t n = std::min(bytes, left_);
    if (n != 0) std::memcpy(to, data_, n);
    data_ += n;
    left_ -= n;
  }
  template <class T>
  T number() noexcept {
    T value{};
    take(&value, sizeof value);
    return value;
  }
  // 0 to below - 1, from as few bytes as possible.
  std::uint32_t below(std::uint32_t limit) noexcept {
    return (limit <= 256 ? number<std::uint8_t>() : number<std::uint16_t>()) % limit;
  }
  // A number near some limit.
  std::uint64_t notable() noexcept {
    constexpr std::uint64_t kNotable[] = {
        0,          1,          2,          3,          7,          8,          63,         64,
        65,         128,        255,        4032,       4095,       4096,       4097,       8128,
        8191,       8192,       8193,       0xffff,     0x10000,    0x7fffffff, 0x80000000, ~0U,
        1ULL << 32, 1ULL << 40, 1ULL << 47, 1ULL << 62, 1ULL << 63, ~0ULL >> 1, ~0xffffULL, ~0ULL};
    return kNotable[below(sizeof kNotable / sizeof kNotable[0])];
  }

 private:
  const std::uint8_t* data_;
  std::size_t left_;
};

}  // namespace fuzz
