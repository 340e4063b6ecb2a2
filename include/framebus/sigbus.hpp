// SPDX-License-Identifier: Apache-2.0
// handle_sigbus: whether framebus keeps this program alive when another one truncates the files of a channel.
#pragma once

#include "framebus/base/namespace.hpp"
#include "framebus/os/os.hpp"

namespace framebus::inline FRAMEBUS_VERSION {

// Switches the handler for SIGBUS on or off, for all channels of this process; docs/robustness.md says what it does.
// It is on from the first mapping, unless the environment has FRAMEBUS_SIGBUS=off. Not to be called while another
// thread opens a channel or installs a handler.
inline void handle_sigbus(bool on) noexcept {
  detail::os::begin_sigbus();
  detail::os::handle_sigbus(on);
}

}  // namespace framebus::inline FRAMEBUS_VERSION
