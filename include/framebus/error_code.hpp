// SPDX-License-Identifier: Apache-2.0
// Errors without exceptions: Errc as a std::error_code, for the overloads that end in `std::error_code&`.
//
//   std::error_code error;
//   auto frame = subscriber.recv(1s, error);
//   if (error == framebus::Errc::timeout) ...            // or error == std::errc::timed_out
//
// Promise: these overloads throw nothing and always set `error`, also on success. The core below them throws, so a
// failed call costs as much as one that throws. A code has the general message only; Error has the one with names and
// numbers.
#pragma once

#include <new>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>

#include "framebus/base/namespace.hpp"
#include "framebus/error.hpp"

namespace framebus::inline FRAMEBUS_VERSION {

class ErrorCategory final : public std::error_category {
 public:
  [[nodiscard]] const char* name() const noexcept override { return "framebus"; }
  [[nodiscard]] std::string message(int code) const override { return sentence(static_cast<Errc>(code)); }
  // The conditions that the standard library has.
  [[nodiscard]] std::error_condition default_error_condition(int code) const noexcept override {
    switch (static_cast<Errc>(code)) {
      case Errc::channel_not_found:
        return std::errc::no_such_file_or_directory;
      case Errc::channel_in_use:
        return std::errc::device_or_resource_busy;
      case Errc::timeout:
      case Errc::channel_full_timeout:
        return std::errc::timed_out;
      case Errc::frame_too_large:
        return std::errc::no_space_on_device;
      case Errc::invalid_name:
      case Errc::invalid_argument:
        return std::errc::invalid_argument;
      case Errc::permission_denied:
        return std::errc::permission_denied;
      default:
        return {code, *this};
    }
  }

 private:
  static const char* sentence(Errc code) noexcept {
    switch (code) {
      case Errc::channel_not_found:
        return "no program publishes a channel of this name";
      case Errc::channel_in_use:
        return "the channel has a publisher already";
      case Errc::channel_closed:
        return "the publisher has closed the channel, or this end of it has been closed";
      case Errc::publisher_died:
        return "the publisher ended without closing the channel";
      case Errc::timeout:
        return "nothing came within the timeout";
      case Errc::channel_full:
        return "a subscriber that wants every frame is behind";
      case Errc::channel_full_timeout:
        return "a subscriber that wants every frame was behind for all of the timeout";
      case Errc::too_many_held:
        return "this subscriber holds as many frames as it may";
      case Errc::too_many_subscribers:
        return "the channel has as many subscribers as a channel can have";
      case Errc::too_many_slots:
        return "the channel would need more slots than a channel can have";
      case Errc::frame_too_large:
        return "there is no room in shared memory for the frame";
      case Errc::layout_mismatch:
        return "the channel was made by a release that lays memory out differently";
      case Errc::corrupt_channel:
        return "something in the shared memory contradicts itself";
      case Errc::invalid_name:
        return "not a channel name";
      case Errc::loan_ended:
        return "this loan has been sent or dropped already";
      case Errc::frame_released:
        return "this frame has been released";
      case Errc::forked_child:
        return "this Publisher or Subscriber belongs to the process that this one was forked from";
      case Errc::moved_from:
        return "this Publisher or Subscriber has been moved from";
      case Errc::invalid_argument:
        return "an argument is out of range, or contradicts another or the frame";
      case Errc::permission_denied:
        return "the channel belongs to a user who does not share it";
      case Errc::system:
        return "the operating system refused";
    }
    return "no error of framebus";
  }
};

inline const std::error_category& error_category() noexcept {
  static const ErrorCategory* const category = new ErrorCategory;  // never destroyed: codes may outlive static objects
  return *category;
}

// Found by std::error_code when it is made from an Errc.
inline std::error_code make_error_code(Errc code) noexcept { return {static_cast<int>(code), error_category()}; }

// Returns what `step` returns; if it throws, a default-constructed result, and the reason in `error`.
template <class Step>
std::invoke_result_t<Step> without_throwing(std::error_code& error, Step&& step) noexcept {
  error.clear();
  try {
    return std::forward<Step>(step)();
  } catch (const Error& e) {
    error = make_error_code(e.code());
  } catch (const std::system_error& e) {
    error = e.code();
  } catch (const std::bad_alloc&) {
    error = std::make_error_code(std::errc::not_enough_memory);
  }
  return std::invoke_result_t<Step>();
}

}  // namespace framebus::inline FRAMEBUS_VERSION

template <>
struct std::is_error_code_enum<framebus::Errc> : std::true_type {};
