// SPDX-License-Identifier: Apache-2.0
// The errors of framebus, each with a message: what was expected, what was found, where, and what to do next.
#pragma once

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "framebus/base/namespace.hpp"

#if !defined(__cpp_exceptions) && !defined(_CPPUNWIND)
#error "framebus needs exceptions: what fails throws framebus::Error inside, also under the calls that return a code"
#endif

namespace framebus::inline FRAMEBUS_VERSION {

// bindings/errors.cpp has the Python classes in this order. 0 means no error, as std::error_code requires.
enum class Errc {
  channel_not_found = 1,
  channel_in_use,
  channel_closed,
  publisher_died,
  timeout,
  channel_full,
  channel_full_timeout,
  too_many_held,
  too_many_subscribers,
  too_many_slots,
  frame_too_large,
  layout_mismatch,
  corrupt_channel,
  invalid_name,
  loan_ended,
  frame_released,
  forked_child,
  moved_from,
  invalid_argument,
  permission_denied,
  system,
};

class Error : public std::runtime_error {
 public:
  Error(Errc code, const std::string& message, int error_number = 0, const std::string& path = {})
      : std::runtime_error(message),
        code_(code),
        error_number_(error_number),
        path_(path.empty() ? nullptr : std::make_shared<const std::string>(path)) {}
  [[nodiscard]] Errc code() const noexcept { return code_; }
  // The errno behind Errc::system and Errc::permission_denied; 0 with all other codes.
  [[nodiscard]] int error_number() const noexcept { return error_number_; }
  // The file that such an error is about; empty where there is none.
  [[nodiscard]] std::string path() const { return path_ == nullptr ? std::string() : *path_; }

 private:
  Errc code_;
  int error_number_;
  std::shared_ptr<const std::string> path_;  // shared: copies of an exception must not throw
};

namespace detail {

[[noreturn]] inline void fail(Errc code, const std::string& message, int error_number = 0,
                              const std::string& path = {}) {
  throw Error(code, message, error_number, path);
}

// What to do about an error of the operating system, if that is known.
inline const char* remedy_for(int error) noexcept {
  switch (error) {
    case EMFILE:
      return "; this program may have no more: close some, or raise the limit (ulimit -n)";
    case ENOMEM:
      return "; this program may have no more: raise the limit (ulimit -v) or send smaller frames";
    default:
      return "";
  }
}

// Throws the error of a failed system call: which call, on what, why, and what to do.
[[noreturn]] inline void fail_errno(const std::string& what, const std::string& path = {}, int error = errno) {
  const Errc code = (error == EACCES || error == EPERM || error == EROFS) ? Errc::permission_denied : Errc::system;
  fail(code, what + ": " + std::strerror(error) + remedy_for(error), error, path);
}

// Nanoseconds as a text in seconds.
inline std::string seconds_text(std::int64_t ns) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g s", static_cast<double>(ns) * 1e-9);
  return text;
}

}  // namespace detail

}  // namespace framebus::inline FRAMEBUS_VERSION
