// SPDX-License-Identifier: Apache-2.0
// Waking the readers of a channel. The protocol is at the head of wait/waiter.hpp.
#pragma once

#include <atomic>

#include "framebus/base/namespace.hpp"
#include "framebus/layout/layout.hpp"
#include "framebus/os/os.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail {

// Publisher: tells all readers that there is a new frame. Returns how many sleepers were woken; -1 if there were none.
inline int announce(ControlBlock& control) {
  control.wake.store(control.wake.load(std::memory_order_relaxed) + 1);  // relaxed: only this side writes it
  FRAMEBUS_STEP("publish:wake");
  if (control.sleepers.load() == 0) return -1;
  return os::futex_wake_all(control.wake);
}

}  // namespace framebus::inline FRAMEBUS_VERSION::detail
