// SPDX-License-Identifier: Apache-2.0
// framebus::Frame: one received frame, held in shared memory, read-only.
//
//   auto image = frame.image<std::uint8_t>();            // image(y, x, channel), image.row(y)
//   std::span<const float> depths = frame.span<float>("depth");
//
// Promise: a frame is not overwritten until it is released or destroyed, whatever the publisher does and also after its
// Subscriber is gone. The results of span(), image(), data(), meta_json() and pixel_format() are valid exactly as long;
// these functions do not compile on a temporary Frame. Everything in shared memory besides the elements has been copied
// out and checked.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "framebus/array.hpp"
#include "framebus/base/namespace.hpp"
#include "framebus/error_code.hpp"
#include "framebus/session/reader_session.hpp"

namespace framebus::inline FRAMEBUS_VERSION {

class Frame {
 public:
  Frame(std::shared_ptr<detail::ReaderSession> session, std::shared_ptr<detail::Store> store, std::uint32_t hold,
        std::uint32_t slot)
      : session_(std::move(session)), store_(std::move(store)), hold_(hold), slot_(slot) {}
  Frame(Frame&& other) noexcept = default;
  Frame& operator=(Frame&& other) noexcept {
    if (this != &other) {
      release();
      session_ = std::move(other.session_);
      store_ = std::move(other.store_);
      hold_ = other.hold_;
      slot_ = other.slot_;
    }
    return *this;
  }
  ~Frame() { release(); }

  // Releases the slot early.
  void release() noexcept {
    if (const auto session = std::move(session_)) session->release(hold_);
    store_.reset();
  }
  [[nodiscard]] bool is_held() const noexcept { return session_ != nullptr; }

  // The frame.
  [[nodiscard]] std::uint64_t seq() const { return info().seq; }
  [[nodiscard]] std::int64_t timestamp_ns() const { return info().timestamp_ns; }         // CLOCK_MONOTONIC of capture
  [[nodiscard]] std::int64_t wall_time_ns() const { return info().wall_time_ns; }         // CLOCK_REALTIME of capture
  [[nodiscard]] std::int64_t published_ns() const { return info().published_ns; }         // CLOCK_MONOTONIC
  [[nodiscard]] std::string_view pixel_format() const& { return info().pixel_format(); }  // empty if not given
  [[nodiscard]] std::string_view meta_json() const& {  // a JSON object; empty if there is none
    const Descriptor& d = info();
    return {reinterpret_cast<const char*>(store_->payload(slot_) + d.meta_offset), d.meta_bytes};
  }

  // The arrays.
  [[nodiscard]] std::uint32_t array_count() const { return info().array_count; }
  [[nodiscard]] std::string_view array_name(ArrayId which) const& { return array(which).name(); }
  [[nodiscard]] Shape shape(ArrayId which = 0) const {
    const ArrayInfo& a = array(which);
    return Shape(std::span(a.shape, a.ndim));
  }
  [[nodiscard]] ElementType type(ArrayId which = 0) const { return array(which).type; }
  // Does the array consist of elements of type T, as span<T>() requires?
  template <Element T>
  [[nodiscard]] bool is(ArrayId which = 0) const {
    return type(which) == element_type<T>();
  }

  // The elements, in C order. T must be the array's element type, or std::byte.
  template <Element T>
  [[nodiscard]] std::span<const T> span(ArrayId which = 0) const& {
    return elements_of<const T>(array(which), data(which));
  }
  template <Element T>
  [[nodiscard]] Image<const T> image(ArrayId which = 0) const& {
    return image_of<const T>(array(which), data(which));
  }
  template <Element T>
  [[nodiscard]] const T* data(ArrayId which = 0) const& {
    return span<T>(which).data();
  }
  // The first byte of the array, 64-byte aligned.
  [[nodiscard]] const std::byte* data(ArrayId which = 0) const& { return store_->payload(slot_) + array(which).offset; }

  template <Element T>
  void span(ArrayId which = 0) const&& = delete;  // the Frame would be gone: name it first
  template <Element T>
  void image(ArrayId which = 0) const&& = delete;
  template <Element T>
  void data(ArrayId which = 0) const&& = delete;
  void data(ArrayId which = 0) const&& = delete;
  void pixel_format() const&& = delete;
  void meta_json() const&& = delete;
  void array_name(ArrayId which) const&& = delete;

  // The same without exceptions; an empty span if it fails.
  template <Element T>
  [[nodiscard]] std::span<const T> span(ArrayId which, std::error_code& error) const& noexcept {
    return without_throwing(error, [&] { return span<T>(which); });
  }

  // The whole description, as it was copied and checked when the frame was fetched; valid like the rest.
  [[nodiscard]] const Descriptor& info() const {
    check();
    return session_->frame(hold_);
  }

 private:
  [[nodiscard]] const ArrayInfo& array(ArrayId which) const {
    const Descriptor& d = info();
    return d.arrays[which.in(d)];
  }
  void check() const {
    if (session_ == nullptr)
      detail::fail(Errc::frame_released,
                   "this frame has been released; use it before release(), or copy what is in it");
    if (store_->is_broken())
      detail::fail_truncated(detail::store_path(session_->control().name(), store_->generation()));
  }

  std::shared_ptr<detail::ReaderSession> session_;
  std::shared_ptr<detail::Store> store_;
  std::uint32_t hold_ = 0;
  std::uint32_t slot_ = 0;
};

}  // namespace framebus::inline FRAMEBUS_VERSION
