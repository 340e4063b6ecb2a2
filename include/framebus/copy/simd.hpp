// SPDX-License-Identifier: Apache-2.0
// The parts of copy.hpp that need instructions which not every processor has: has_avx() and has_ssse3() ask at run
// time, and copy.hpp has a fallback for each.
//
// Promises, as in copy.hpp: nothing is written outside the target, and nothing is read outside the range from the first
// to the last byte of the elements; no alignment is required.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#if defined(__x86_64__) && defined(__GNUC__)
#define FRAMEBUS_X86 1
#include <tmmintrin.h>  // SSSE3; <immintrin.h>, which has AVX, takes a second to compile

#include "framebus/base/namespace.hpp"
#endif

namespace framebus::inline FRAMEBUS_VERSION::detail::copying {

inline constexpr std::uint64_t kVector = 16;  // bytes that are shuffled at once
inline constexpr std::int64_t kPixel = 8;     // bytes; larger ones, or further apart, are not shuffled

// Pixels whose bytes lie at these offsets, `step` bytes from pixel to pixel. No more bytes than a vector has.
struct Pixels {
  std::int64_t step = 0;
  std::uint64_t bytes = 0;
  std::int64_t places[kVector] = {};
};

#ifdef FRAMEBUS_X86
inline bool has_avx() noexcept {
  static const bool answer = __builtin_cpu_supports("avx") != 0;
  return answer;
}
inline bool has_ssse3() noexcept {
  static const bool answer = __builtin_cpu_supports("ssse3") != 0;
  return answer;
}

// Registers of AVX, which may have the bytes of anything.
using Aligned32 = long long __attribute__((vector_size(32), may_alias));
using Unaligned32 = long long __attribute__((vector_size(32), may_alias, aligned(1)));

__attribute__((target("avx"))) inline void store_past_cache(Aligned32* to, Aligned32 value) noexcept {
#ifdef __clang__
  __builtin_nontemporal_store(value, to);
#else
  __builtin_ia32_movntdq256(to, value);
#endif
}

// Copies past the cache. Ends without a fence, see finish_stream().
__attribute__((target("avx"))) inline void stream(std::byte* to, const std::byte* from, std::uint64_t bytes) noexcept {
  constexpr std::uint64_t kWidth = 32, kStep = 4 * kWidth;
  const std::uint64_t ahead = std::min(bytes, (kWidth - reinterpret_cast<std::uintptr_t>(to) % kWidth) % kWidth);
  std::memcpy(to, from, ahead);
  std::uint64_t at = ahead;
  for (; bytes - at >= kStep; at += kStep) {
    const auto* in = reinterpret_cast<const Unaligned32*>(from + at);
    auto* out = reinterpret_cast<Aligned32*>(to + at);
    const Aligned32 a = in[0], b = in[1], c = in[2], d = in[3];
    store_past_cache(out, a);
    store_past_cache(out + 1, b);
    store_past_cache(out + 2, c);
    store_past_cache(out + 3, d);
  }
  std::memcpy(to + at, from + at, bytes - at);
}
// Only this fence orders non-temporal stores with later ones.
inline void finish_stream() noexcept { _mm_sfence(); }

// Copies the first `count` pixels or fewer: as many as whole vectors on both sides lie inside them, so never the last
// one. Returns their number.
__attribute__((target("ssse3"))) inline std::uint64_t shuffle(std::byte* to, const std::byte* from, std::uint64_t count,
                                                              const Pixels& p) noexcept {
  const auto [low, high] = std::minmax_element(p.places, p.places + p.bytes);
  const std::int64_t span = *high - *low + 1, apart = std::abs(p.step);
  constexpr auto kWide = static_cast<std::int64_t>(kVector);
  if (span > kWide || apart == 0) return 0;
  const std::uint64_t at_once = std::min(kVector / p.bytes, static_cast<std::uint64_t>((kWide - span) / apart + 1));
  if (at_once < 2) return 0;
  // The vector begins with the first pixel or, if the pixels go backwards, ends with it.
  const std::int64_t begin = p.step > 0 ? *low : *high + 1 - kWide;
  alignas(kVector) std::int8_t order[kVector] = {};
  for (std::uint64_t i = 0; i < at_once * p.bytes; ++i) {
    order[i] =
        static_cast<std::int8_t>(static_cast<std::int64_t>(i / p.bytes) * p.step + p.places[i % p.bytes] - begin);
  }
  const __m128i shuffled = _mm_load_si128(reinterpret_cast<const __m128i*>(order));
  const std::uint64_t wide_in = static_cast<std::uint64_t>((kWide - span + apart - 1) / apart + 1);  // pixels
  const std::uint64_t left = std::max({at_once, wide_in, (kVector + p.bytes - 1) / p.bytes});
  std::uint64_t done = 0;
  for (from += begin; count - done >= left; done += at_once) {
    const __m128i in = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm_shuffle_epi8(in, shuffled));
    from += static_cast<std::int64_t>(at_once) * p.step;
    to += at_once * p.bytes;
  }
  return done;
}
#else
inline bool has_avx() noexcept { return false; }
inline bool has_ssse3() noexcept { return false; }
inline void stream(std::byte* to, const std::byte* from, std::uint64_t bytes) noexcept { std::memcpy(to, from, bytes); }
inline void finish_stream() noexcept {}
inline std::uint64_t shuffle(std::byte*, const std::byte*, std::uint64_t, const Pixels&) noexcept { return 0; }
#endif

}  // namespace framebus::inline FRAMEBUS_VERSION::detail::copying
