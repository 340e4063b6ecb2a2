// SPDX-License-Identifier: Apache-2.0
// The state of the publisher as one subscriber sees it: closed, died, moved, or replaced.
#pragma once

#include "framebus/base/namespace.hpp"
#include "framebus/segment/membership.hpp"
#include "framebus/session/reader_session.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail {

inline constexpr std::uint32_t kNoEpoch = 0xffffffff;  // the epoch of no publisher

enum class Ending : std::uint8_t { none, closed, died };

// Does the channel continue in another control block? Pairs with the store in mark_moved(). A control block that still
// has the name is the right one, whatever its state is.
inline bool has_moved(const ReaderSession& session) {
  return session.block().state.load() == kStateMoved && !still_has_name(session.control());
}

// Does the channel have another publisher than when this subscriber attached?
inline bool is_replaced(const ReaderSession& session) {
  return session.block().publisher_epoch.load() != session.epoch();
}

// Whether the publisher has ended. Without reconnect the publisher that was there when the subscriber attached counts;
// with reconnect only a close counts, and only for iteration.
//
// To be read before the fetch that decides. Then no frame is lost: the publisher stores the head of its last frame
// before `closed_epoch` and `state` (PublisherFiles::close), and before the kernel drops its lock. All of these are
// sequentially consistent and so are the loads here and in Fetcher, so a fetch that begins after an end was seen finds
// every frame from before that end. An end that is read after the fetch says nothing about the frames in between.
inline Ending ending(const ReaderSession& session, bool reconnect, bool until_closed, bool ask_kernel) {
  const ControlBlock& block = session.block();
  if (reconnect) return until_closed && is_over(block) ? Ending::closed : Ending::none;
  const bool replaced = is_replaced(session);
  const bool gone = replaced || (ask_kernel && !is_publisher_alive(session.control()) && !has_moved(session));
  // Read after `gone`: a publisher that closes stores this before it drops its lock.
  if (block.closed_epoch.load() == session.epoch()) return Ending::closed;
  // Later publishers may have ended since. All have closed if none died; a death after a close hides the close.
  if (replaced && session.epoch() != kNoEpoch && block.died_epoch.load() < session.epoch()) return Ending::closed;
  return gone ? Ending::died : Ending::none;
}

}  // namespace framebus::inline FRAMEBUS_VERSION::detail
