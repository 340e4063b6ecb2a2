// SPDX-License-Identifier: Apache-2.0
// C++ types as element types, and shapes.
//
// Promise: element_type<T>() is the dtype that numpy has for an array of T; a Shape is a value without allocation.
#pragma once

#include <algorithm>
#include <bit>
#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <type_traits>

#include "framebus/base/namespace.hpp"
#include "framebus/layout/descriptor.hpp"

namespace framebus::inline FRAMEBUS_VERSION {

using detail::ElementType;

// std::complex, whose header is for those who use it, or a type like it: real part, then imaginary part.
template <class T>
concept Complex = requires(const T& number) {
  requires std::is_floating_point_v<typename T::value_type>;
  requires sizeof(T) == 2 * sizeof(typename T::value_type) && std::is_trivially_copyable_v<T>;
  { number.real() } -> std::convertible_to<typename T::value_type>;
  { number.imag() } -> std::convertible_to<typename T::value_type>;
};

template <class T>
inline constexpr bool is_text =  // char means text; bytes are std::byte, std::uint8_t or unsigned char
    std::is_same_v<T, char> || std::is_same_v<T, wchar_t> || std::is_same_v<T, char8_t> ||
    std::is_same_v<T, char16_t> || std::is_same_v<T, char32_t>;

template <class T>
constexpr ElementType element_type() noexcept {
  constexpr auto bytes = static_cast<std::uint32_t>(sizeof(T));
  constexpr char order = bytes == 1 ? '|' : std::endian::native == std::endian::little ? '<' : '>';
  constexpr char kind = std::is_same_v<T, bool>        ? 'b'
                        : std::is_same_v<T, std::byte> ? 'u'
                        : Complex<T>                   ? 'c'
                        : std::is_floating_point_v<T>  ? 'f'
                        : !std::is_integral_v<T>       ? '?'
                        : is_text<T>                   ? '?'
                        : std::is_unsigned_v<T>        ? 'u'
                                                       : 'i';
  return {static_cast<std::uint8_t>(kind), static_cast<std::uint8_t>(order), bytes};
}

// The element types of arrays: bool, std::byte, integers, floating point and complex numbers.
template <class T>
concept Element = detail::is_valid(element_type<std::remove_const_t<T>>());

// "uint16", "foreign-endian float32"; for messages.
inline std::string text_of(const ElementType& type) {
  constexpr char kForeign = std::endian::native == std::endian::little ? '>' : '<';
  std::string text = type.order == kForeign ? "foreign-endian " : "";
  switch (type.kind) {
    case 'b':
      return "bool";
    case 'i':
      text += "int";
      break;
    case 'u':
      text += "uint";
      break;
    case 'f':
      text += "float";
      break;
    default:
      text += "complex";
  }
  return text + std::to_string(type.bytes * 8);
}

// The lengths of an array's dimensions: {1080, 1920, 3}; no dimensions mean a single value. Accepts any integers; the
// function that uses the shape refuses negative ones.
class Shape {
 public:
  constexpr Shape() noexcept = default;
  template <std::integral... N>
    requires(sizeof...(N) >= 1 && sizeof...(N) <= detail::kMaxDims)
  constexpr Shape(N... n) noexcept : size_(sizeof...(N)), n_{static_cast<std::uint64_t>(n)...} {}
  explicit Shape(std::span<const std::uint64_t> lengths) : size_(static_cast<std::uint32_t>(lengths.size())) {
    if (lengths.size() > detail::kMaxDims) {
      detail::fail(Errc::invalid_argument, "an array has at most " + std::to_string(detail::kMaxDims) +
                                               " dimensions, got " + std::to_string(lengths.size()));
    }
    std::copy(lengths.begin(), lengths.end(), n_);
  }

  [[nodiscard]] constexpr std::uint32_t size() const noexcept { return size_; }
  [[nodiscard]] constexpr const std::uint64_t* begin() const noexcept { return n_; }
  [[nodiscard]] constexpr const std::uint64_t* end() const noexcept { return n_ + size_; }
  [[nodiscard]] constexpr std::uint64_t operator[](std::size_t i) const noexcept { return n_[i]; }
  friend constexpr bool operator==(const Shape& a, const Shape& b) noexcept {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
  }

 private:
  std::uint32_t size_ = 0;
  std::uint64_t n_[detail::kMaxDims] = {};
};

// "1080x1920x3"; "single value" for no dimensions.
inline std::string text_of(const Shape& shape) {
  std::string text;
  for (const std::uint64_t n : shape) text += (text.empty() ? "" : "x") + std::to_string(n);
  return text.empty() ? "single value" : text;
}

}  // namespace framebus::inline FRAMEBUS_VERSION
