// SPDX-License-Identifier: Apache-2.0
// The description of one frame: planned by a publisher, read by a subscriber from memory that it does not trust.
//
// Promise: read_descriptor() touches the slot record once, copies it to private memory, and returns either a
// description whose arrays all lie inside the slot and have exactly the bytes that shape and type require, or the
// reason why not.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "framebus/base/namespace.hpp"
#include "framebus/error.hpp"
#include "framebus/layout/layout.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail {

// The type of one element, as numpy names it: kind, bytes, byte order.
struct ElementType {
  std::uint8_t kind;
  std::uint8_t order;
  std::uint32_t bytes;
  friend bool operator==(const ElementType&, const ElementType&) = default;
};

constexpr bool is_valid(const ElementType& t) noexcept {
  const bool known =
      (t.kind == 'b' && t.bytes == 1) ||
      ((t.kind == 'i' || t.kind == 'u') && (t.bytes == 1 || t.bytes == 2 || t.bytes == 4 || t.bytes == 8)) ||
      (t.kind == 'f' && (t.bytes == 2 || t.bytes == 4 || t.bytes == 8 || t.bytes == 16)) ||
      (t.kind == 'c' && (t.bytes == 8 || t.bytes == 16 || t.bytes == 32));
  const bool ordered = t.bytes == 1 ? t.order == '|' : t.order == '<' || t.order == '>';
  return known && ordered;
}

struct ArrayInfo {
  ElementType type;
  std::uint32_t ndim;
  std::uint64_t shape[kMaxDims];  // the first ndim
  std::uint64_t offset;
  std::uint64_t bytes;
  std::uint32_t name_bytes;
  char name_chars[kNameBytes];

  [[nodiscard]] std::string_view name() const noexcept { return {name_chars, name_bytes}; }
};

// The description of a frame without its arrays.
struct FrameFacts {
  std::uint64_t seq = 0;
  std::int64_t timestamp_ns = 0;
  std::int64_t wall_time_ns = 0;
  std::int64_t published_ns = 0;
  std::uint64_t payload_bytes = 0;
  std::uint64_t meta_offset = 0;
  std::uint32_t meta_bytes = 0;
  std::uint32_t pixel_format_bytes = 0;
  std::uint32_t array_count = 0;
  char pixel_format_chars[kNameBytes] = {};

  [[nodiscard]] std::string_view pixel_format() const noexcept { return {pixel_format_chars, pixel_format_bytes}; }
};

// Only the first array_count arrays are set; the rest is neither cleared nor copied, to touch little memory.
struct Descriptor : FrameFacts {
  Descriptor() noexcept {}  // NOLINT: leaves `arrays` as it is
  Descriptor(const Descriptor& other) noexcept : FrameFacts(other) { std::copy_n(other.arrays, array_count, arrays); }
  Descriptor& operator=(const Descriptor& other) noexcept {
    static_cast<FrameFacts&>(*this) = other;
    std::copy_n(other.arrays, array_count, arrays);
    return *this;
  }

  ArrayInfo arrays[kMaxArrays];
};

constexpr std::uint64_t round_up(std::uint64_t n, std::uint64_t unit) noexcept { return (n + unit - 1) / unit * unit; }

// Bytes of an array; false if they exceed what one frame may have. As in numpy, the non-zero dimensions of an empty
// array must not overflow either.
constexpr bool array_bytes(const ArrayInfo& a, std::uint64_t& bytes) noexcept {
  constexpr std::uint64_t kMost = INT64_MAX;
  bool empty = false;
  bytes = a.type.bytes;
  for (std::uint32_t i = 0; i < a.ndim; ++i) {
    empty = empty || a.shape[i] == 0;
    if (a.shape[i] == 0) continue;
    if (bytes > kMost / a.shape[i]) return false;
    bytes *= a.shape[i];
  }
  if (empty) bytes = 0;
  return bytes <= kMaxFrameBytes;
}

// Sets the offset of every array; returns where the metadata would begin.
inline std::uint64_t plan_arrays(Descriptor& d) {
  std::uint64_t end = 0;
  d.payload_bytes = 0;
  for (std::uint32_t i = 0; i < d.array_count; ++i) {
    ArrayInfo& a = d.arrays[i];
    if (!array_bytes(a, a.bytes) || end > kMaxFrameBytes) {
      fail(Errc::frame_too_large, "array '" + std::string(a.name()) + "' is too large: one frame has at most " +
                                      std::to_string(kMaxFrameBytes) + " bytes");
    }
    a.offset = round_up(end, kLine);
    end = a.offset + a.bytes;
    d.payload_bytes += a.bytes;
  }
  return round_up(end, 8);
}

inline void write_array(ArrayRecord& to, const ArrayInfo& from) noexcept {
  std::memcpy(to.name, from.name_chars, kNameBytes);
  to.name_bytes = static_cast<std::uint8_t>(from.name_bytes);
  to.kind = from.type.kind;
  to.order = from.type.order;
  to.item_bytes = from.type.bytes;
  to.ndim = static_cast<std::uint8_t>(from.ndim);
  for (std::uint32_t i = 0; i < from.ndim; ++i) to.shape[i] = from.shape[i];
  to.offset = from.offset;
  to.bytes = from.bytes;
}

// Everything but the slot word. The slot must be marked "being written".
inline void write_descriptor(SlotRecord& to, const Descriptor& from) noexcept {
  to.timestamp_ns = from.timestamp_ns;
  to.wall_time_ns = from.wall_time_ns;
  to.published_ns = from.published_ns;
  to.payload_bytes = from.payload_bytes;
  to.meta_offset = from.meta_offset;
  to.meta_bytes = from.meta_bytes;
  to.array_count = from.array_count;
  to.pixel_format_bytes = from.pixel_format_bytes;
  if (from.pixel_format_bytes != 0) std::memcpy(to.pixel_format, from.pixel_format_chars, kNameBytes);
  for (std::uint32_t i = 0; i < from.array_count; ++i) write_array(to.arrays[i], from.arrays[i]);
}

// Copies one array record out and checks it; returns nullptr, or what is wrong.
inline const char* read_array(ArrayInfo& to, const ArrayRecord& shared, std::uint64_t slot_bytes) noexcept {
  ArrayRecord r;
  std::memcpy(&r, &shared, sizeof r);
  std::atomic_signal_fence(std::memory_order_seq_cst);  // the compiler must use the copy, not read again
  if (r.name_bytes == 0 || r.name_bytes > kNameBytes) return "an array name of impossible length";
  if (r.ndim > kMaxDims) return "an array of too many dimensions";
  to.type = {r.kind, r.order, r.item_bytes};
  if (!is_valid(to.type)) return "an unknown element type";
  to.ndim = r.ndim;
  for (std::uint32_t i = 0; i < r.ndim; ++i) to.shape[i] = r.shape[i];
  std::uint64_t bytes = 0;
  if (!array_bytes(to, bytes) || bytes != r.bytes) return "an array whose bytes contradict its shape";
  if (r.offset % kLine != 0 || r.offset > slot_bytes || bytes > slot_bytes - r.offset)
    return "an array outside its slot";
  to.offset = r.offset;
  to.bytes = bytes;
  to.name_bytes = r.name_bytes;
  std::memcpy(to.name_chars, r.name, kNameBytes);
  return nullptr;
}

// Copies a slot's description out and checks it; returns nullptr, or what is wrong. `seq` comes from the frame word.
inline const char* read_descriptor(Descriptor& to, const SlotRecord& shared, std::uint64_t seq,
                                   std::uint64_t slot_bytes) noexcept {
  to.seq = seq;
  to.timestamp_ns = shared.timestamp_ns;
  to.wall_time_ns = shared.wall_time_ns;
  to.published_ns = shared.published_ns;
  to.meta_offset = shared.meta_offset;
  to.meta_bytes = shared.meta_bytes;
  to.array_count = shared.array_count;
  to.pixel_format_bytes = shared.pixel_format_bytes;
  std::atomic_signal_fence(std::memory_order_seq_cst);  // as above
  if (to.array_count == 0 || to.array_count > kMaxArrays) return "a frame without arrays, or with too many";
  if (to.pixel_format_bytes > kNameBytes) return "a pixel format of impossible length";
  if (to.pixel_format_bytes != 0) std::memcpy(to.pixel_format_chars, shared.pixel_format, kNameBytes);
  if (to.meta_bytes == 0) to.meta_offset = 0;  // its value is never used
  if (to.meta_bytes != 0 && (to.meta_offset > slot_bytes || to.meta_bytes > slot_bytes - to.meta_offset)) {
    return "metadata outside its slot";
  }
  to.payload_bytes = 0;
  for (std::uint32_t i = 0; i < to.array_count; ++i) {
    if (const char* reason = read_array(to.arrays[i], shared.arrays[i], slot_bytes)) return reason;
    to.payload_bytes += to.arrays[i].bytes;
  }
  return nullptr;
}

}  // namespace framebus::inline FRAMEBUS_VERSION::detail
