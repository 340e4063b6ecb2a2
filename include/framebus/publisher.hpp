// SPDX-License-Identifier: Apache-2.0
// framebus::Publisher: sends frames into a channel.
//
//   framebus::Publisher publisher("camera0");
//   publisher.send(pixels, {1080, 1920, 3});                           // vector, array, span ...: one copy
//   publisher.send(framebus::Image(data, height, width, 3, step));     // rows with gaps, or upside down
//   publisher.send({{"color", bgr, {480, 640, 3}}, {"depth", z, {480, 640}}}, {.pixel_format = "BGR8"});
//   framebus::Loan loan = publisher.loan<std::uint8_t>({1080, 1920, 3});  // no copy, see loan.hpp
//
// Promise: threads may share a Publisher, all calls but moving and destroying it; sending allocates nothing once the
// channel has its size. A frame is visible as a whole or not at all.
#pragma once

#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "framebus/base/namespace.hpp"
#include "framebus/loan.hpp"
#include "framebus/timeout.hpp"

namespace framebus::inline FRAMEBUS_VERSION {

// What is sent with the arrays of a frame; all optional.
struct SendOptions {
  std::string_view pixel_format = {};  // a PFNC name, such as BGR8
  std::string_view meta_json = {};     // a JSON object, at most 1 MiB
  std::int64_t timestamp_ns = 0;       // CLOCK_MONOTONIC of capture; 0: now
  std::int64_t wall_time_ns = 0;       // CLOCK_REALTIME of capture; 0: now
  Timeout timeout = {};                // how long to wait for a slot if on_full=block
};

class Publisher {
 public:
  explicit Publisher(const std::string& name, const PublisherOptions& options = {})
      : core_(std::make_shared<detail::PublisherCore>(name, checked(options))) {}
  // Without exceptions; nothing where it fails.
  static std::optional<Publisher> open(const std::string& name, const PublisherOptions& options,
                                       std::error_code& error) noexcept {
    return without_throwing(error, [&] { return std::optional<Publisher>(std::in_place, name, options); });
  }
  Publisher(Publisher&&) noexcept = default;  // a moved-from Publisher is closed
  Publisher& operator=(Publisher&& other) noexcept {
    if (this != &other) {
      close();
      core_ = std::move(other.core_);
    }
    return *this;
  }
  ~Publisher() { close(); }

  // Copies arrays into shared memory and publishes them as one frame; returns its sequence number.
  std::uint64_t send(std::span<const ArrayRef> arrays, const SendOptions& options = {}) {
    Loan loan = this->loan(describe(arrays), options.meta_json.size(), options.timeout, nullptr);
    const Descriptor& frame = loan.frame();
    for (std::uint32_t i = 0; i < frame.array_count; ++i) {
      arrays[i].copy_to(loan.data(i), frame.arrays[i].bytes, loan.target());
    }
    loan.set_pixel_format(options.pixel_format);
    loan.set_timestamps(options.timestamp_ns, options.wall_time_ns);
    return loan.commit(options.meta_json);
  }
  std::uint64_t send(std::initializer_list<ArrayRef> arrays, const SendOptions& options = {}) {
    return send(std::span(arrays.begin(), arrays.size()), options);
  }
  // One array: its elements and its shape.
  template <ElementRange R>
  std::uint64_t send(const R& elements, const Shape& shape, const SendOptions& options = {}) {
    return send({ArrayRef(kDefaultArray, elements, shape)}, options);
  }
  // One image; a single channel makes an array of two dimensions.
  template <Element T>
  std::uint64_t send(const Image<T>& image, const SendOptions& options = {}) {
    return send({ArrayRef(kDefaultArray, image)}, options);
  }

  // The same without exceptions; 0 where it fails.
  std::uint64_t send(std::span<const ArrayRef> arrays, const SendOptions& options, std::error_code& error) noexcept {
    return without_throwing(error, [&] { return send(arrays, options); });
  }
  std::uint64_t send(std::initializer_list<ArrayRef> arrays, const SendOptions& options,
                     std::error_code& error) noexcept {
    return without_throwing(error, [&] { return send(arrays, options); });
  }
  template <ElementRange R>
  std::uint64_t send(const R& elements, const Shape& shape, const SendOptions& options,
                     std::error_code& error) noexcept {
    return without_throwing(error, [&] { return send(elements, shape, options); });
  }
  template <Element T>
  std::uint64_t send(const Image<T>& image, const SendOptions& options, std::error_code& error) noexcept {
    return without_throwing(error, [&] { return send(image, options); });
  }

  // A slot to fill in place. `timeout`: how long to wait for one if on_full=block.
  Loan loan(std::span<const ArraySpec> arrays, Timeout timeout = {}, Interrupt interrupt = nullptr) {
    return loan(describe(arrays), 0, timeout, interrupt);
  }
  Loan loan(std::initializer_list<ArraySpec> arrays, Timeout timeout = {}) {
    return loan(std::span(arrays.begin(), arrays.size()), timeout);
  }
  template <Element T>
  Loan loan(const Shape& shape, Timeout timeout = {}) {
    return loan(description_of<T>(shape), 0, timeout, nullptr);
  }
  // Without exceptions; nothing where it fails.
  std::optional<Loan> loan(std::span<const ArraySpec> arrays, Timeout timeout, std::error_code& error) noexcept {
    return without_throwing(error, [&] { return std::optional<Loan>(loan(arrays, timeout)); });
  }
  template <Element T>
  std::optional<Loan> loan(const Shape& shape, Timeout timeout, std::error_code& error) noexcept {
    return without_throwing(error, [&] { return std::optional<Loan>(loan<T>(shape, timeout)); });
  }
  // For a frame that has been described already, with room for `meta_bytes` of metadata.
  Loan loan(const Descriptor& frame, std::uint64_t meta_bytes, Timeout timeout, Interrupt interrupt) {
    if (auto loan = try_loan(frame, meta_bytes)) return std::move(*loan);
    return {core_, core().claim(frame.meta_offset + meta_bytes, timeout.ns(), interrupt), frame};
  }
  // The same without any wait, lock or growth; nullopt if that is not possible.
  // `rehearsal`: nothing may be written into it, and try_commit() does not send it; see warm_up().
  std::optional<Loan> try_loan(const Descriptor& frame, std::uint64_t meta_bytes, bool rehearsal = false) {
    auto filling = core().try_claim(frame.meta_offset + meta_bytes, rehearsal);
    if (!filling) return std::nullopt;
    return Loan(core_, std::move(*filling), frame);
  }

  // Goes the way of the next send() and sends nothing, so that its code, the words of the channel and the system call
  // that wakes are in the caches when the frame comes. For programs that know when that will be: some 100 µs before.
  // Has no effect that can be seen. Does nothing before the first frame, after close(), and while another thread sends.
  void warm_up() noexcept {
    std::error_code ignored;  // there is nothing to warm up for
    without_throwing(ignored, [&] {
      auto loan = try_loan(description_of<std::uint8_t>({1}), 0, true);
      if (loan) loan->set_timestamps(0, 0);
      return loan ? loan->try_commit().value_or(0) : 0;
    });
  }

  // The sequence number of the newest frame, 0 before the first; also a predecessor's.
  [[nodiscard]] std::uint64_t newest() const { return core().newest(); }
  // Ends the channel for its subscribers; may be called from another thread, and twice.
  void close() noexcept {
    if (core_ != nullptr) core_->close();
  }
  [[nodiscard]] bool is_closed() const { return core_ == nullptr || core_->is_closed(); }
  [[nodiscard]] const std::string& name() const { return core().name(); }
  [[nodiscard]] Statistics statistics() const { return core().statistics(); }

 private:
  [[nodiscard]] detail::PublisherCore& core() const {
    if (core_ == nullptr)
      detail::fail(Errc::moved_from, "this Publisher has been moved from; use the one it was moved to");
    return *core_;
  }
  template <Element T>
  static Descriptor description_of(const Shape& shape) {
    Descriptor frame;
    add_array(frame, kDefaultArray, element_type<T>(), shape);
    finish(frame);
    return frame;
  }
  static const PublisherOptions& checked(const PublisherOptions& options) {
    if (options.slots < 2 || options.slots > 1024) {
      detail::fail(Errc::invalid_argument, "slots must be 2 to 1024, got " + std::to_string(options.slots));
    }
    if (options.max_bytes > detail::kMaxFrameBytes) {
      detail::fail(Errc::invalid_argument, "max_bytes must be at most " + std::to_string(detail::kMaxFrameBytes) +
                                               ", got " + std::to_string(options.max_bytes));
    }
    if ((options.mode & ~0666U) != 0 || (options.mode & 0600) != 0600) {
      detail::fail(Errc::invalid_argument, "mode must be between 0o600 and 0o666 and include 0o600");
    }
    if ((options.mode & 0022 & ~(options.mode >> 1)) != 0) {
      detail::fail(
          Errc::invalid_argument,
          "mode must give no right to write without the right to read: a subscriber needs both for the control block; "
          "pass 0o660 to share with the group, 0o666 with everybody");
    }
    return options;
  }

  std::shared_ptr<detail::PublisherCore> core_;
};

}  // namespace framebus::inline FRAMEBUS_VERSION
