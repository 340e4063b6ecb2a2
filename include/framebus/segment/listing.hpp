// SPDX-License-Identifier: Apache-2.0
// The channels of this machine: names only; nothing is mapped or attached.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "framebus/base/namespace.hpp"
#include "framebus/segment/membership.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail {

// The names of all channels that have a control block, sorted.
inline std::vector<std::string> channel_names() {
  std::vector<std::string> names;
  for (const std::string& file : os::list_files(kDirectory, kFilePrefix)) {
    const std::string name = file.substr(kFilePrefix.size());
    if (is_valid_name(name)) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

// Does the channel have a live publisher?
inline bool is_running(const std::string& name) {
  try {
    const os::File file = os::open_existing(control_path(name), false);
    return file.is_open() && os::is_locked(file, kPublisherByte);
  } catch (const Error&) {
    return false;  // this user can't read it: for this user it does not run
  }
}

// "running channels: a, b" or "no channel is running".
inline std::string running_channels_text() {
  if (!os::exists(kDirectory)) return std::string("there is no ") + kDirectory + " here, which framebus needs";
  std::string text;
  int shown = 0;
  try {
    for (const std::string& name : channel_names()) {
      if (!is_running(name)) continue;
      if (shown == 20) return text + ", ...";
      text += (shown++ == 0 ? "running channels: " : ", ") + name;
    }
  } catch (const Error& error) {
    return error.what();  // this is part of an error already
  }
  return shown == 0 ? "no channel is running" : text;
}

}  // namespace framebus::inline FRAMEBUS_VERSION::detail
