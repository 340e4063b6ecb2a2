// SPDX-License-Identifier: Apache-2.0
// The error of a channel without a free slot: it names the slowest subscriber, and what to do.
#pragma once

#include <algorithm>
#include <string>

#include "framebus/base/namespace.hpp"
#include "framebus/segment/slots.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail {

// Fails with Errc::channel_full at once, or with Errc::channel_full_timeout after a wait of `timeout_ns`.
[[noreturn]] inline void fail_full(const Control& control, Errc code, std::int64_t timeout_ns = 0) {
  ControlBlock& block = control.block();
  const ReaderRecord* slowest = nullptr;
  for_each_reader(block, [&](std::uint32_t, ReaderRecord& record) {
    if ((record.flags.load() & kReaderEvery) == 0) return;
    if (slowest == nullptr || record.cursor.load() < slowest->cursor.load()) slowest = &record;
  });
  std::string message = "channel '" + control.name() + "' ";
  message += code == Errc::channel_full ? "is full" : "had no room within the timeout of " + seconds_text(timeout_ns);
  if (slowest != nullptr) {
    const std::uint64_t head = frame_seq(block.head.load());
    const Identity& identity = slowest->identity;
    const bool keeps = (slowest->flags.load() & kReaderKeeper) != 0;
    message += (keeps ? ": the subscriber's program, which is being started by process " : ": subscriber process ") +
               std::to_string(identity.pid) + " (" + command_of(identity) +
               (keeps ? ") and has fetched nothing yet, is " : "), which wants every frame, is ") +
               std::to_string(head - std::min(head, slowest->cursor.load())) + " frames behind";
  }
  fail(code, message + "; make it faster, give the channel more slots=, or use on_full='drop'");
}

}  // namespace framebus::inline FRAMEBUS_VERSION::detail
