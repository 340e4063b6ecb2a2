// SPDX-License-Identifier: Apache-2.0
// The arrays of a frame as a program names them: to create (ArraySpec), to send (ArrayRef), to find (ArrayId).
//
// Promise: the arrays of a publisher are checked here, once, before it gets a slot; describing and sending allocates
// nothing.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstring>
#include <ranges>
#include <span>
#include <string>
#include <string_view>

#include "framebus/base/namespace.hpp"
#include "framebus/copy/copy.hpp"
#include "framebus/element.hpp"
#include "framebus/image.hpp"

namespace framebus::inline FRAMEBUS_VERSION {

using detail::ArrayInfo;
using detail::Descriptor;

inline constexpr std::string_view kDefaultArray = "image";

// An array to create, for a loan.
struct ArraySpec {
  std::string name{kDefaultArray};
  ElementType type{'u', '|', 1};
  Shape shape;

  template <Element T>
  static ArraySpec of(std::string_view name, const Shape& shape) {
    return {std::string(name), element_type<T>(), shape};
  }
};

// A vector, array, span, C array ... of elements.
template <class R>
concept ElementRange = std::ranges::contiguous_range<R> && std::ranges::sized_range<R> &&
                       Element<std::remove_cvref_t<std::ranges::range_reference_t<R>>>;

// An array to send. Refers to name and elements and owns neither: construct it in the call that sends.
class ArrayRef {
 public:
  template <ElementRange R>
  ArrayRef(std::string_view array_name, const R& elements, const Shape& array_shape) noexcept
      : ArrayRef(array_name, element_type<std::remove_cvref_t<std::ranges::range_reference_t<R>>>(), array_shape,
                 std::ranges::data(elements), std::ranges::size(elements)) {}
  template <Element T>
  ArrayRef(std::string_view array_name, const Image<T>& image) noexcept
      : ArrayRef(array_name, element_type<std::remove_const_t<T>>(), dense(image.shape()), image.data(),
                 image.height() * image.width() * image.channels()) {
    rows_ = image.height();
    row_bytes_ = image.row_bytes();
  }

  [[nodiscard]] std::string_view name() const noexcept { return name_; }
  [[nodiscard]] const ElementType& type() const noexcept { return type_; }
  [[nodiscard]] const Shape& shape() const noexcept { return shape_; }

  // Throws unless the elements fill the planned shape exactly and the rows do not overlap.
  void check_against(const ArrayInfo& planned) const {
    const auto what = [&] { return "array '" + std::string(name_) + "' of shape " + text_of(shape_) + " has "; };
    if (elements_ != planned.bytes / type_.bytes) {
      detail::fail(Errc::invalid_argument, what() + std::to_string(planned.bytes / type_.bytes) + " elements, got " +
                                               std::to_string(elements_));
    }
    const auto packed = static_cast<std::ptrdiff_t>(rows_ == 0 ? 0 : planned.bytes / rows_);
    if (row_bytes_ != 0 && row_bytes_ < packed && row_bytes_ > -packed) {
      detail::fail(Errc::invalid_argument,
                   what() + "rows of " + std::to_string(packed) +
                       " bytes, which must be at least that far apart, got row_bytes=" + std::to_string(row_bytes_));
    }
  }

  // Copies all elements to `to`, without gaps.
  void copy_to(std::byte* to, std::uint64_t bytes, detail::Target target) const noexcept {
    if (bytes == 0) return;
    const std::uint64_t packed = bytes / rows_;
    const std::int64_t step = row_bytes_ == 0 ? static_cast<std::int64_t>(packed) : row_bytes_;
    detail::copy_strided(to, detail::StridedArray{data_, packed, 1, {rows_}, {step}}, target);
  }

 private:
  ArrayRef(std::string_view name, const ElementType& type, const Shape& shape, const void* data,
           std::uint64_t elements) noexcept
      : name_(name), type_(type), shape_(shape), data_(static_cast<const std::byte*>(data)), elements_(elements) {}

  // A single channel is not a dimension: a grey image is height x width, as in Python.
  static Shape dense(const Shape& s) { return s[2] == 1 ? Shape(s[0], s[1]) : s; }

  std::string_view name_;
  ElementType type_;
  Shape shape_;
  const std::byte* data_;
  std::uint64_t elements_;
  std::uint64_t rows_ = 1;
  std::ptrdiff_t row_bytes_ = 0;  // 0: no gaps
};

// Identifies an array of a frame by its position or its name.
class ArrayId {
 public:
  constexpr ArrayId(std::integral auto index) noexcept : index_(static_cast<std::uint64_t>(index)) {}
  constexpr ArrayId(std::string_view name) noexcept : name_(name), by_name_(true) {}
  constexpr ArrayId(const char* name) noexcept : ArrayId(std::string_view(name)) {}

  // Its position in `frame`.
  [[nodiscard]] std::uint32_t in(const Descriptor& frame) const {
    if (!by_name_ && index_ < frame.array_count) return static_cast<std::uint32_t>(index_);
    for (std::uint32_t i = 0; by_name_ && i < frame.array_count; ++i) {
      if (frame.arrays[i].name() == name_) return i;
    }
    fail_missing(frame);
  }

 private:
  [[noreturn]] void fail_missing(const Descriptor& frame) const {
    std::string there;
    for (std::uint32_t i = 0; i < frame.array_count; ++i) {
      there += (i == 0 ? "'" : ", '") + std::string(frame.arrays[i].name()) + "'";
    }
    detail::fail(Errc::invalid_argument, "this frame has no array " +
                                             (by_name_ ? "'" + std::string(name_) + "'" : std::to_string(index_)) +
                                             "; it has " + std::to_string(frame.array_count) + ": " + there);
  }

  std::uint64_t index_ = 0;
  std::string_view name_;
  bool by_name_ = false;
};

// The limits of a frame, for every program that sends one; bindings/numpy_api.cpp calls these, too.
namespace detail {

inline void check_array_count(std::size_t count) {
  if (count >= 1 && count <= kMaxArrays) return;
  fail(Errc::invalid_argument,
       "a frame has 1 to " + std::to_string(kMaxArrays) + " arrays, got " + std::to_string(count));
}

[[noreturn]] inline void refuse_name(const std::string& found) {
  fail(Errc::invalid_argument,
       "an array name has 1 to " + std::to_string(kNameBytes) + " bytes of UTF-8, got " + found);
}

inline void set_name(ArrayInfo& a, std::string_view name) {
  if (name.empty() || name.size() > kNameBytes) {
    refuse_name("'" + std::string(name) + "' with " + std::to_string(name.size()));
  }
  a.name_bytes = static_cast<std::uint32_t>(name.size());
  std::fill_n(a.name_chars, kNameBytes, '\0');
  std::memcpy(a.name_chars, name.data(), name.size());
}

// After set_name(), since errors quote the name. The lengths are signed or unsigned numbers of 64 bits.
template <std::integral N>
void set_shape(ArrayInfo& a, const N* lengths, std::size_t ndim) {
  if (ndim > kMaxDims) {
    fail(Errc::invalid_argument, "array '" + std::string(a.name()) + "' has " + std::to_string(ndim) +
                                     " dimensions; a frame carries 0 to " + std::to_string(kMaxDims));
  }
  a.ndim = static_cast<std::uint32_t>(ndim);
  for (std::size_t i = 0; i < ndim; ++i) {
    a.shape[i] = static_cast<std::uint64_t>(lengths[i]);
    const auto length = static_cast<std::int64_t>(lengths[i]);
    if (length >= 0) continue;
    fail(Errc::invalid_argument,
         "array '" + std::string(a.name()) + "': a dimension must be 0 or more, got " + std::to_string(length));
  }
}

}  // namespace detail

// Adds an array to a frame that is being described, before plan_arrays().
inline void add_array(Descriptor& frame, std::string_view name, const ElementType& type, const Shape& shape) {
  detail::check_array_count(frame.array_count + 1);
  ArrayInfo& a = frame.arrays[frame.array_count];
  detail::set_name(a, name);
  if (!detail::is_valid(type)) {
    detail::fail(Errc::invalid_argument, "array '" + std::string(name) + "' has an unknown element type");
  }
  a.type = type;
  detail::set_shape(a, shape.begin(), shape.size());
  ++frame.array_count;
}

// Checks the described arrays (specs or refs) and sets their offsets.
inline void finish(Descriptor& frame) {
  detail::check_array_count(frame.array_count);
  frame.meta_offset = detail::plan_arrays(frame);
}
inline Descriptor describe(std::span<const ArraySpec> arrays) {
  Descriptor frame;
  for (const ArraySpec& a : arrays) add_array(frame, a.name, a.type, a.shape);
  finish(frame);
  return frame;
}
inline Descriptor describe(std::span<const ArrayRef> arrays) {
  Descriptor frame;
  for (const ArrayRef& a : arrays) add_array(frame, a.name(), a.type(), a.shape());
  finish(frame);
  for (std::uint32_t i = 0; i < frame.array_count; ++i) arrays[i].check_against(frame.arrays[i]);
  return frame;
}

// The elements of array `which` of `frame`, which begins at `data`. Throws if they are not of type T.
template <Element T, class Byte>
std::span<T> elements_of(const ArrayInfo& array, Byte* data) {
  constexpr ElementType wanted = element_type<std::remove_const_t<T>>();
  // std::byte fits every element type.
  if (array.type != wanted && !std::is_same_v<std::remove_const_t<T>, std::byte>) {
    detail::fail(Errc::invalid_argument, "array '" + std::string(array.name()) + "' has elements of type " +
                                             text_of(array.type) + ", not " + text_of(wanted));
  }
  return {reinterpret_cast<T*>(data), static_cast<std::size_t>(array.bytes / sizeof(T))};
}

// The same as an image; the array must have two dimensions (height, width) or three (also channels).
template <Element T, class Byte>
Image<T> image_of(const ArrayInfo& array, Byte* data) {
  static_assert(!std::is_same_v<std::remove_const_t<T>, std::byte>, "name the type of the image's elements");
  const std::span<T> elements = elements_of<T>(array, data);
  if (array.ndim != 2 && array.ndim != 3) {
    detail::fail(Errc::invalid_argument,
                 "array '" + std::string(array.name()) + "' is not an image: expected height x width or " +
                     "height x width x channels, found " + text_of(Shape(std::span(array.shape, array.ndim))));
  }
  return Image<T>(elements.data(), array.shape[0], array.shape[1], array.ndim == 3 ? array.shape[2] : 1);
}

}  // namespace framebus::inline FRAMEBUS_VERSION
