// SPDX-License-Identifier: Apache-2.0
// framebus::Loan: a slot that the publisher fills in place, without a copy.
//
//   framebus::Loan loan = publisher.loan<std::uint8_t>({1080, 1920, 3});
//   camera.read_into(loan.span<std::uint8_t>().data());
//   loan.commit();                       // a loan that is destroyed before commit() has no effect
//
// Promise: the memory belongs to the loan until commit(), drop() or its destruction. It is 64-byte aligned and contains
// what an earlier frame has left in it. After commit() subscribers read it: do not use pointers into it any more.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "framebus/array.hpp"
#include "framebus/base/namespace.hpp"
#include "framebus/copy/copy.hpp"
#include "framebus/core/publisher_core.hpp"
#include "framebus/error_code.hpp"

namespace framebus::inline FRAMEBUS_VERSION {

inline constexpr std::size_t kMaxMetaBytes = std::size_t{1} << 20;

class Loan {
 public:
  Loan(std::shared_ptr<detail::PublisherCore> core, detail::ClaimedSlot filling, const Descriptor& frame)
      : core_(std::move(core)), filling_(std::move(filling)), store_(filling_.store), frame_(frame) {}
  Loan(Loan&& other) noexcept
      : core_(std::move(other.core_)),
        filling_(std::move(other.filling_)),
        store_(std::move(other.store_)),
        frame_(other.frame_) {}
  Loan& operator=(Loan&& other) noexcept {
    if (this != &other) {
      drop();
      core_ = std::move(other.core_);
      filling_ = std::move(other.filling_);
      store_ = std::move(other.store_);
      frame_ = other.frame_;
    }
    return *this;
  }
  ~Loan() { drop(); }

  [[nodiscard]] bool is_open() const noexcept { return core_ != nullptr; }

  // The elements to fill, in C order. T must be the array's element type, or std::byte.
  template <Element T>
  [[nodiscard]] std::span<T> span(ArrayId which = 0) const {
    return elements_of<T>(frame_.arrays[which.in(frame_)], data(which));
  }
  template <Element T>
  [[nodiscard]] Image<T> image(ArrayId which = 0) const {
    return image_of<T>(frame_.arrays[which.in(frame_)], data(which));
  }
  [[nodiscard]] std::byte* data(ArrayId which = 0) const {
    if (!is_open())
      detail::fail(Errc::loan_ended, "this loan has been sent or dropped; its memory is not yours any more");
    return detail::PublisherCore::bytes_of(filling_) + frame_.arrays[which.in(frame_)].offset;
  }

  // A PFNC name, such as BGR8.
  void set_pixel_format(std::string_view name) {
    if (name.size() > detail::kNameBytes) {
      detail::fail(Errc::invalid_argument,
                   "a pixel format has at most " + std::to_string(detail::kNameBytes) + " bytes");
    }
    frame_.pixel_format_bytes = static_cast<std::uint32_t>(name.size());
    std::fill_n(frame_.pixel_format_chars, detail::kNameBytes, '\0');
    std::copy(name.begin(), name.end(), frame_.pixel_format_chars);
  }
  // The time of capture: CLOCK_MONOTONIC and CLOCK_REALTIME. 0, the default: the time of sending.
  void set_timestamps(std::int64_t timestamp_ns, std::int64_t wall_time_ns) noexcept {
    frame_.timestamp_ns = timestamp_ns;
    frame_.wall_time_ns = wall_time_ns;
  }
  [[nodiscard]] const Descriptor& frame() const noexcept { return frame_; }
  // Whether the memory is probably in the cache; decides how send() copies.
  [[nodiscard]] detail::Target target() const noexcept {
    return detail::target_after(filling_.idle_ns, frame_.meta_offset);
  }

  // Sends the frame; returns its sequence number. `meta_json` is a JSON object, at most 1 MiB, or empty.
  std::uint64_t commit(std::string_view meta_json = {}, Interrupt interrupt = nullptr) {
    if (const auto seq = try_commit(meta_json)) return *seq;
    const std::uint64_t seq = core_->commit(filling_, frame_, meta_json, interrupt);
    core_ = nullptr;
    return seq;
  }
  // The same at once; nullopt if it would have to wait for another thread, or to make room for the metadata.
  std::optional<std::uint64_t> try_commit(std::string_view meta_json = {}) {
    check_before_commit(meta_json);
    const auto seq = core_->try_commit(filling_, frame_, meta_json);
    if (seq) core_ = nullptr;
    return seq;
  }
  // Without exceptions; 0 if it fails. The loan then stays open.
  std::uint64_t commit(std::string_view meta_json, std::error_code& error) noexcept {
    return without_throwing(error, [&] { return commit(meta_json); });
  }
  // Sends a copy; the memory stays this loan's until it is destroyed, but it can't be sent again.
  std::uint64_t commit_copy(std::string_view meta_json = {}, Interrupt interrupt = nullptr) {
    check_before_commit(meta_json);
    return core_->commit_copy(filling_, frame_, meta_json, interrupt);
  }
  void drop() noexcept {
    if (const auto core = std::move(core_)) core->abandon(filling_);
  }

 private:
  void check_before_commit(std::string_view meta_json) const {
    if (!is_open()) detail::fail(Errc::loan_ended, "this loan has been sent or dropped already");
    if (meta_json.size() > kMaxMetaBytes) {
      detail::fail(Errc::invalid_argument, "metadata have at most " + std::to_string(kMaxMetaBytes) +
                                               " bytes as JSON, got " + std::to_string(meta_json.size()) +
                                               "; send large data as an array of its own");
    }
  }

  std::shared_ptr<detail::PublisherCore> core_;
  detail::ClaimedSlot filling_;
  std::shared_ptr<detail::Store> store_;  // keeps the memory mapped while the loan exists, also after it was sent
  Descriptor frame_;
};

}  // namespace framebus::inline FRAMEBUS_VERSION
