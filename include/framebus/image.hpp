// SPDX-License-Identifier: Apache-2.0
// A view of an image in memory that other code owns: a camera's, a cv::Mat, a bitmap, or a received frame.
//
//   publisher.send(framebus::Image(mat.ptr(), mat.rows, mat.cols, mat.channels(), mat.step));
//   auto image = frame.image<std::uint8_t>();  image(y, x, 2);  image.row(y)
//
// Promise: an Image is a pointer and four numbers; it owns nothing, copies nothing and throws nothing. Rows may be
// farther apart than they are long, and, with a negative distance, stored from the bottom up. The numbers of an Image
// that a program makes are checked when it is sent.
#pragma once

#include <cassert>
#include <concepts>
#include <cstddef>
#include <span>
#include <type_traits>

#include "framebus/base/namespace.hpp"
#include "framebus/element.hpp"

namespace framebus::inline FRAMEBUS_VERSION {

template <Element T>
class Image {
 public:
  // `data` is the first element of the top row; `row_bytes` the distance to the next row, 0 for rows without gaps.
  constexpr Image(T* data, std::integral auto height, std::integral auto width, std::integral auto channels,
                  std::integral auto row_bytes) noexcept
      : data_(data),
        shape_(height, width, channels),
        row_bytes_(row_bytes == 0 ? packed_bytes() : static_cast<std::ptrdiff_t>(row_bytes)) {}
  constexpr Image(T* data, std::integral auto height, std::integral auto width, std::integral auto channels) noexcept
      : Image(data, height, width, channels, 0) {}
  constexpr Image(T* data, std::integral auto height, std::integral auto width) noexcept
      : Image(data, height, width, 1, 0) {}
  // A writable image converts to a read-only one.
  constexpr Image(const Image<std::remove_const_t<T>>& other) noexcept
    requires std::is_const_v<T>
      : data_(other.data()), shape_(other.shape()), row_bytes_(other.row_bytes()) {}

  [[nodiscard]] constexpr T* data() const noexcept { return data_; }
  [[nodiscard]] constexpr std::uint64_t height() const noexcept { return shape_[0]; }
  [[nodiscard]] constexpr std::uint64_t width() const noexcept { return shape_[1]; }
  [[nodiscard]] constexpr std::uint64_t channels() const noexcept { return shape_[2]; }
  [[nodiscard]] constexpr std::ptrdiff_t row_bytes() const noexcept { return row_bytes_; }
  [[nodiscard]] constexpr const Shape& shape() const noexcept { return shape_; }  // always three dimensions
  [[nodiscard]] constexpr bool is_packed() const noexcept { return row_bytes_ == packed_bytes(); }

  // Row `y` from the top, all channels of all its pixels. Not checked, like the element of a span.
  [[nodiscard]] std::span<T> row(std::uint64_t y) const noexcept {
    assert(y < height());
    using Byte = std::conditional_t<std::is_const_v<T>, const std::byte, std::byte>;
    auto* const begin = reinterpret_cast<Byte*>(data_) + static_cast<std::ptrdiff_t>(y) * row_bytes_;
    return {reinterpret_cast<T*>(begin), static_cast<std::size_t>(row_elements())};
  }
  [[nodiscard]] T& operator()(std::uint64_t y, std::uint64_t x, std::uint64_t channel = 0) const noexcept {
    assert(x < width() && channel < channels());
    return row(y)[x * channels() + channel];
  }

 private:
  [[nodiscard]] constexpr std::uint64_t row_elements() const noexcept { return width() * channels(); }

  [[nodiscard]] constexpr std::ptrdiff_t packed_bytes() const noexcept {
    return static_cast<std::ptrdiff_t>(row_elements() * sizeof(T));
  }

  T* data_;
  Shape shape_;
  std::ptrdiff_t row_bytes_;
};

}  // namespace framebus::inline FRAMEBUS_VERSION
