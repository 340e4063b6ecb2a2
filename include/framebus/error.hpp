// SPDX-License-Identifier: Apache-2.0
// The ways a channel can fail, each with a sentence: what was expected, what was found, where, what to do next.
#pragma once

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>

#include "framebus/base/namespace.hpp"

#if !defined(__cpp_exceptions) && !defined(_CPPUNWIND)
#error "framebus needs exceptions: what fails throws framebus::Error inside, also under the calls that return a code"
#endif

namespace framebus::inline FRAMEBUS_VERSION {

// bindings/errors.cpp has the Python classes in this order. 0 is no error, as std::error_code wants it.
enum class Errc {
  error = 1,
  channel_not_found,
  channel_in_use,
  channel_closed,
  publisher_died,
  timeout,
  channel_full,
  too_many_held,
  frame_too_large,
  layout_mismatch,
  corrupt_channel,
  invalid_name,
  loan_ended,
  invalid_argument,
  permission_denied,
  system,
};

class Error : public std::runtime_error {
 public:
  Error(Errc code, const std::string& message) : std::runtime_error(message), code_(code) {}
  [[nodiscard]] Errc code() const noexcept { return code_; }

 private:
  Errc code_;
};

namespace detail {

[[noreturn]] inline void fail(Errc code, const std::string& message) { throw Error(code, message); }

// What to do about an error of the operating system, where that is known.
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

// An operating-system call failed: says which, on what, why, and what to do.
[[noreturn]] inline void fail_errno(const std::string& what, int error = errno) {
  const Errc code = (error == EACCES || error == EPERM || error == EROFS) ? Errc::permission_denied : Errc::system;
  throw Error(code, what + ": " + std::strerror(error) + remedy_for(error));
}

// Nanoseconds as people write seconds.
inline std::string seconds_text(std::int64_t ns) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g s", static_cast<double>(ns) * 1e-9);
  return text;
}

}  // namespace detail

}  // namespace framebus::inline FRAMEBUS_VERSION
