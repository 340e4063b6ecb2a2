// SPDX-License-Identifier: Apache-2.0
// Copying an array of any strides into shared memory, directly from where it is.
//
// Promises: writes every byte of the target and none beyond it; reads only the elements, and what lies between the
// bytes of pixels; allocates nothing and uses no temporary; requires no alignment. The copied bytes are ordered before
// any later store of this thread, so an ordinary release store can publish a frame.
//
// The copy for each kind of array, as measured (benchmarks/copies.py, docs/performance.md):
//   few bytes                       memcpy: the reader finds the bytes in the cache
//   many bytes                      past the cache (non-temporal stores), if the processor has AVX, else memcpy: a
//                                   store through the cache first fetches what it then overwrites, from memory or from
//                                   the cache of the core that read the last frame. Many are kStreamFrom, since a few
//                                   such frames fill the cache; and kStreamColdFrom where the target is Target::cold,
//                                   that is, where other work has replaced it in the cache since it was last used
//   rows with gaps, upside down     the same for each row
//   pixels, a part or a permutation of their bytes, forwards or backwards: BGR to RGB, BGRA to BGR, one channel of
//                                   several, left to right, every second pixel
//                                   shuffled in registers, if the processor has SSSE3
//   transposed                      in tiles, so that a cache line is used completely before it is evicted
//   repeated (broadcast)            from the beginning of the row that is already there
//   any other                       element by element, the innermost loop compiled for the size of the element
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "framebus/base/namespace.hpp"
#include "framebus/copy/simd.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail {

inline constexpr std::uint64_t kStreamFrom = 7 << 20;        // bytes of an array
inline constexpr std::uint64_t kStreamColdFrom = 256 << 10;  // the same for a cold target

enum class Target : std::uint8_t { cached, cold };

// Whether memory that was last used `idle_ns` ago is probably not in the cache any more: longer than four copies of
// `bytes` at 4 bytes a nanosecond, which is how fast memory is that is not cached.
constexpr Target target_after(std::int64_t idle_ns, std::uint64_t bytes) noexcept {
  return idle_ns > static_cast<std::int64_t>(bytes) ? Target::cold : Target::cached;
}

// An array of any strides.
struct StridedArray {
  static constexpr std::uint32_t kDims = 8;

  const std::byte* data = nullptr;  // the element at index 0 of every dimension
  std::uint64_t item = 1;           // bytes of an element
  std::uint32_t ndim = 0;
  std::uint64_t shape[kDims] = {};
  std::int64_t strides[kDims] = {};  // bytes
};

namespace copying {

inline constexpr std::uint64_t kRow = 64;    // bytes; shorter runs are copied as elements
inline constexpr std::uint64_t kTile = 32;   // elements each way
inline constexpr std::uint64_t kFewest = 8;  // elements each way that are worth a tile

// Reduces the dimensions: those of length 1 are removed, those without a gap between them are joined, and a last one
// without gaps becomes part of the element. False if there is no element.
inline bool simplify(StridedArray& a) noexcept {
  std::uint32_t kept = 0;
  for (std::uint32_t i = 0; i < a.ndim; ++i) {
    if (a.shape[i] == 0) return false;
    if (a.shape[i] == 1) continue;
    if (kept > 0 && a.strides[kept - 1] == a.strides[i] * static_cast<std::int64_t>(a.shape[i])) {
      a.shape[kept - 1] *= a.shape[i];
      a.strides[kept - 1] = a.strides[i];
      continue;
    }
    a.shape[kept] = a.shape[i];
    a.strides[kept++] = a.strides[i];
  }
  if (kept > 0 && a.strides[kept - 1] == static_cast<std::int64_t>(a.item)) a.item *= a.shape[--kept];
  a.ndim = kept;
  return a.item != 0;
}

// Two dimensions of an array, `cols` without gaps in the target.
struct Plane {
  std::uint64_t rows, cols;
  std::uint64_t to_row;             // bytes from row to row in the target
  std::int64_t from_row, from_col;  // bytes in the array
};

// Writes `count` copies of one element.
inline void repeat(std::byte* to, const std::byte* from, std::uint64_t size, std::uint64_t count) noexcept {
  constexpr std::uint64_t kNear = 16 << 10;  // bytes; at this distance they are still in the innermost cache
  const std::uint64_t bytes = size * count;
  std::memcpy(to, from, size);
  for (std::uint64_t done = size, more = 0; done < bytes; done += more) {
    more = std::min({done, bytes - done, std::max(kNear / size, std::uint64_t{1}) * size});
    std::memcpy(to + done, to + done - more, more);
  }
}

// Element by element. Size: the size of the elements, 0 means `size`.
template <std::uint64_t Size>
void copy_row(std::byte* to, const std::byte* from, std::uint64_t count, std::int64_t step,
              std::uint64_t size) noexcept {
  for (; count > 0; --count, to += Size == 0 ? size : Size, from += step)
    std::memcpy(to, from, Size == 0 ? size : Size);
}

template <std::uint64_t Size>
void copy_rows(std::byte* to, const std::byte* from, const Plane& p, std::uint64_t size) noexcept {
  Pixels pixels{p.from_col, size, {}};
  for (std::uint64_t i = 0; i < std::min(size, kVector); ++i) pixels.places[i] = static_cast<std::int64_t>(i);
  const bool close = has_ssse3() && p.cols >= kVector && std::abs(p.from_col) <= kPixel && size <= kVector / 2;
  for (std::uint64_t y = 0; y < p.rows; ++y, to += p.to_row, from += p.from_row) {
    if (p.from_col == 0) {
      repeat(to, from, size, p.cols);
      continue;
    }
    const std::uint64_t done = close ? shuffle(to, from, p.cols, pixels) : 0;
    copy_row<Size>(to + done * size, from + static_cast<std::int64_t>(done) * p.from_col, p.cols - done, p.from_col,
                   size);
  }
}

// Rows of few elements, such as the channels of a pixel, for which a loop would cost more than the copy.
template <std::uint64_t Size, std::uint64_t Cols>
void copy_pixels(std::byte* to, const std::byte* from, const Plane& p) noexcept {
  constexpr std::uint64_t kBytes = Size * Cols;
  std::uint64_t y = 0;
  if (kBytes <= kVector && p.to_row == kBytes && std::abs(p.from_row) <= kPixel && has_ssse3()) {
    Pixels pixels{p.from_row, kBytes, {}};
    for (std::uint64_t i = 0; i < kBytes; ++i) {
      pixels.places[i] = static_cast<std::int64_t>(i / Size) * p.from_col + static_cast<std::int64_t>(i % Size);
    }
    y = shuffle(to, from, p.rows, pixels);
  }
  to += y * p.to_row;
  from += static_cast<std::int64_t>(y) * p.from_row;
  for (; y < p.rows; ++y, to += p.to_row, from += p.from_row) {
    for (std::uint64_t x = 0; x < Cols; ++x) {
      std::memcpy(to + x * Size, from + static_cast<std::int64_t>(x) * p.from_col, Size);
    }
  }
}

// In tiles if the rows are nearer to each other than the columns.
template <std::uint64_t Size>
void copy_plane(std::byte* to, const std::byte* from, const Plane& p, std::uint64_t size) noexcept {
  if constexpr (Size != 0) {
    if (p.cols == 2) return copy_pixels<Size, 2>(to, from, p);
    if (p.cols == 3) return copy_pixels<Size, 3>(to, from, p);
    if (p.cols == 4) return copy_pixels<Size, 4>(to, from, p);
  }
  const bool tiled = std::abs(p.from_row) < std::abs(p.from_col) && p.rows >= kFewest && p.cols >= kFewest;
  if (!tiled) return copy_rows<Size>(to, from, p, size);
  for (std::uint64_t y = 0; y < p.rows; y += kTile) {
    for (std::uint64_t x = 0; x < p.cols; x += kTile) {
      std::byte* t = to + y * p.to_row + x * size;
      const std::byte* f = from + static_cast<std::int64_t>(y) * p.from_row + static_cast<std::int64_t>(x) * p.from_col;
      const std::uint64_t cols = std::min(kTile, p.cols - x);
      for (std::uint64_t i = std::min(kTile, p.rows - y); i > 0; --i, t += p.to_row, f += p.from_row) {
        copy_row<Size>(t, f, cols, p.from_col, size);
      }
    }
  }
}

inline void copy_plane(std::byte* to, const std::byte* from, const Plane& p, std::uint64_t size) noexcept {
  switch (size) {
    case 1:
      return copy_plane<1>(to, from, p, size);
    case 2:
      return copy_plane<2>(to, from, p, size);
    case 3:
      return copy_plane<3>(to, from, p, size);
    case 4:
      return copy_plane<4>(to, from, p, size);
    case 6:
      return copy_plane<6>(to, from, p, size);
    case 8:
      return copy_plane<8>(to, from, p, size);
    case 12:
      return copy_plane<12>(to, from, p, size);
    case 16:
      return copy_plane<16>(to, from, p, size);
    default:
      return copy_plane<0>(to, from, p, size);
  }
}

// Calls visit(target, source) for every combination of the indices of the dimensions that are left in `a`.
template <class Visit>
void for_each_index(std::byte* to, const StridedArray& a, const std::uint64_t (&to_strides)[StridedArray::kDims],
                    Visit visit) noexcept {
  std::uint64_t index[StridedArray::kDims] = {};
  const std::byte* from = a.data;
  for (;;) {
    visit(to, from);
    std::uint32_t i = a.ndim;
    for (;;) {
      if (i == 0) return;
      --i;
      if (++index[i] < a.shape[i]) break;
      index[i] = 0;
      to -= to_strides[i] * (a.shape[i] - 1);
      from -= a.strides[i] * static_cast<std::int64_t>(a.shape[i] - 1);
    }
    to += to_strides[i];
    from += a.strides[i];
  }
}

}  // namespace copying

// Does a copy of `bytes` go past the cache?
inline bool is_streamed(std::uint64_t bytes, Target target) noexcept {
  return bytes >= (target == Target::cold ? kStreamColdFrom : kStreamFrom) && copying::has_avx();
}

// Copies without gaps on either side.
inline void copy_bytes(std::byte* to, const std::byte* from, std::uint64_t bytes, Target target) noexcept {
  if (!is_streamed(bytes, target)) {
    std::memcpy(to, from, bytes);
    return;
  }
  copying::stream(to, from, bytes);
  copying::finish_stream();
}

// Copies an array of any strides to C order at `to`, which must not overlap it.
inline void copy_strided(std::byte* to, StridedArray a, Target target) noexcept {
  using namespace copying;
  if (!simplify(a)) return;
  if (a.ndim == 0) return copy_bytes(to, a.data, a.item, target);
  std::uint64_t to_strides[StridedArray::kDims] = {};
  std::uint64_t bytes = a.item;
  for (std::uint32_t i = a.ndim; i-- > 0; bytes *= a.shape[i]) to_strides[i] = bytes;
  if (a.item >= kRow) {
    if (is_streamed(bytes, target)) {
      for_each_index(to, a, to_strides, [&](std::byte* t, const std::byte* f) { stream(t, f, a.item); });
      return finish_stream();
    }
    return for_each_index(to, a, to_strides, [&](std::byte* t, const std::byte* f) { std::memcpy(t, f, a.item); });
  }
  Plane plane{1, a.shape[a.ndim - 1], 0, 0, a.strides[a.ndim - 1]};
  if (--a.ndim > 0) {
    // The rows of the plane are the dimension whose elements are nearest to each other; of equal ones, the last.
    std::uint32_t rows = a.ndim - 1;
    for (std::uint32_t i = rows; i-- > 0;) {
      if (std::abs(a.strides[i]) < std::abs(a.strides[rows])) rows = i;
    }
    plane.rows = a.shape[rows];
    plane.from_row = a.strides[rows];
    plane.to_row = to_strides[rows];
    --a.ndim;
    std::copy(a.shape + rows + 1, a.shape + a.ndim + 1, a.shape + rows);
    std::copy(a.strides + rows + 1, a.strides + a.ndim + 1, a.strides + rows);
    std::copy(to_strides + rows + 1, to_strides + a.ndim + 1, to_strides + rows);
  }
  for_each_index(to, a, to_strides, [&](std::byte* t, const std::byte* f) { copy_plane(t, f, plane, a.item); });
}

}  // namespace framebus::inline FRAMEBUS_VERSION::detail
