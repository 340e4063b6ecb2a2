// SPDX-License-Identifier: Apache-2.0
// The errors of a subscriber: what was expected, what was found, and what to do.
#pragma once

#include <string>

#include "framebus/base/namespace.hpp"
#include "framebus/core/attachment.hpp"
#include "framebus/options.hpp"
#include "framebus/segment/listing.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail {

inline void check_options(const std::string& name, const SubscriberOptions& options) {
  check_name(name);
  if (options.hold < 1 || options.hold > kMaxHolds) {
    fail(Errc::invalid_argument,
         "hold must be 1 to " + std::to_string(kMaxHolds) + ", got " + std::to_string(options.hold));
  }
  if (options.max_spin.ns() < 0 || options.max_spin.ns() > 1'000'000'000) {
    fail(Errc::invalid_argument, "max_spin must be at most a second");
  }
  if (options.history > 1024) {
    fail(Errc::invalid_argument, "history must be 0 to 1024, got " + std::to_string(options.history));
  }
}

[[noreturn]] inline void fail_not_found(const std::string& name) {
  fail(Errc::channel_not_found, "no program publishes '" + name + "'; " + running_channels_text() +
                                    ". Start the publisher's program first, or pass connect_timeout=");
}

[[nodiscard]] inline Error ended_error(const std::string& name, Ending ending) {
  if (ending == Ending::closed) {
    return Error(Errc::channel_closed, "the publisher of '" + name +
                                           "' has closed the channel; pass reconnect=True to go on with the next one");
  }
  return Error(Errc::publisher_died,
               "the publisher of '" + name + "' died; pass reconnect=True to go on with the next one");
}

// Never "closed" if a frame has come since the last fetch, or if a close is an end and not an error: then it is a
// timeout, and the next call fetches the frame or ends.
[[nodiscard]] inline Error timeout_error(const Attachment& at, std::int64_t timeout_ns, bool until_closed) {
  const ControlBlock& block = at.session()->block();
  const bool closed = is_over(block);  // before the check for frames, as in ending()
  const std::string within = " within " + seconds_text(timeout_ns);
  if (at.has_news())
    return Error(Errc::timeout, "no new frame in '" + at.name() + "'" + within + "; one has come just now");
  if (is_publisher_alive(at.session()->control())) {
    return Error(Errc::timeout, "no new frame in '" + at.name() + "'" + within + "; its publisher, process " +
                                    std::to_string(block.publisher.pid) + ", is alive and has sent " +
                                    std::to_string(frame_seq(block.head.load())));
  }
  if (closed && !until_closed) {
    return Error(Errc::channel_closed,
                 "the publisher of '" + at.name() + "' has closed the channel and no other came" + within);
  }
  return Error(Errc::timeout, "the publisher of '" + at.name() + "', process " + std::to_string(block.publisher.pid) +
                                  ", died and no other came" + within);
}

}  // namespace framebus::inline FRAMEBUS_VERSION::detail
