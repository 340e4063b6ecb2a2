// SPDX-License-Identifier: Apache-2.0
// Channel names and the paths of their files.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "framebus/base/namespace.hpp"
#include "framebus/error.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail {

inline constexpr const char* kDirectory = "/dev/shm";
inline constexpr std::string_view kFilePrefix = "framebus.";
inline constexpr char kGenerationMark = '@';  // not allowed in a name, so no store looks like a control block

inline bool is_valid_name(std::string_view name) noexcept {
  if (name.empty() || name.size() > 128) return false;
  auto alphanumeric = [](char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  if (!alphanumeric(name.front())) return false;
  for (char c : name) {
    if (!alphanumeric(c) && c != '.' && c != '_' && c != '-') return false;
  }
  return true;
}

inline void check_name(std::string_view name) {
  if (is_valid_name(name)) return;
  std::string shown(name.substr(0, 160));
  std::replace_if(shown.begin(), shown.end(), [](unsigned char c) { return c < ' ' || c == 127; }, '?');
  fail(Errc::invalid_name, "'" + shown +
                               "' is not a channel name: expected 1 to 128 of A-Z a-z 0-9 . _ - beginning with a "
                               "letter or digit, for example 'camera0'");
}

inline std::string control_path(std::string_view name) {
  return std::string(kDirectory) + "/" + std::string(kFilePrefix) + std::string(name);
}

inline std::string store_path(std::string_view name, std::uint32_t generation) {
  return control_path(name) + kGenerationMark + std::to_string(generation);
}

}  // namespace framebus::inline FRAMEBUS_VERSION::detail
