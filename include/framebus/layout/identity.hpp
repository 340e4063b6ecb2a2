// SPDX-License-Identifier: Apache-2.0
// The process of a participant, as the control block shows it: written by the participant, read by all.
//
// It is for messages and reports only. The kernel is asked whether a participant lives (segment/membership.hpp).
#pragma once

#include <algorithm>
#include <cstring>
#include <string>

#include "framebus/base/namespace.hpp"
#include "framebus/layout/layout.hpp"
#include "framebus/os/os.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail {

inline void write_identity(Identity& identity) {
  identity.pid = os::process_id();
  identity.uid = os::user_id();
  identity.since_ns = os::wall_ns();
  const std::string command = os::command_line(sizeof identity.command - 1);
  std::memset(identity.command, 0, sizeof identity.command);
  std::memcpy(identity.command, command.data(), command.size());
}

// The printable command line of an identity: the bytes in memory may be garbage, or made to confuse a terminal.
inline std::string command_of(const Identity& shared) {
  char copy[kCommandBytes];
  std::memcpy(copy, shared.command, sizeof copy);
  std::string command(copy, strnlen(copy, sizeof copy));
  std::replace_if(command.begin(), command.end(), [](unsigned char c) { return c < ' ' || c == 127; }, '?');
  return command;
}

}  // namespace framebus::inline FRAMEBUS_VERSION::detail
