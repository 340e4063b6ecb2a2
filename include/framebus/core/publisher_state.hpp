// SPDX-License-Identifier: Apache-2.0
// Whether the publisher has closed, died, moved or been replaced, as one subscriber sees it.
#pragma once

#include "framebus/base/namespace.hpp"
#include "framebus/segment/membership.hpp"
#include "framebus/session/reader_session.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail {

inline constexpr std::uint32_t kNoEpoch = 0xffffffff;  // of no publisher

enum class Ending : std::uint8_t { none, closed, died };

// Does the channel go on in another control block? Pairs with the store in mark_moved(). What still has the name is
// where we are to be, whatever its state says.
inline bool has_moved(const ReaderSession& session) {
  return session.block().state.load() == kStateMoved && !still_has_name(session.control());
}

// Is there another publisher than the one that was here when this subscriber came?
inline bool is_replaced(const ReaderSession& session) {
  return session.block().publisher_epoch.load() != session.epoch();
}

// Whether the publisher has ended. Without reconnect the publisher that was there when the subscriber attached counts;
// with reconnect only a close counts, and only for iteration.
//
// Read it before the look for frames that decides. Then no frame is left behind: the publisher stores the head of its
// last frame before `closed_epoch` and `state` (PublisherFiles::close), and before the kernel drops its lock. All of
// these are sequentially consistent and so are the loads here and in Fetcher, so a look that begins after an end was
// seen finds every frame that came before that end. Read after the look, an end says nothing about the frames between.
inline Ending ending(const ReaderSession& session, bool reconnect, bool until_closed, bool ask_kernel) {
  const ControlBlock& block = session.block();
  if (reconnect) return until_closed && is_over(block) ? Ending::closed : Ending::none;
  const bool replaced = is_replaced(session);
  const bool gone = replaced || (ask_kernel && !is_publisher_alive(session.control()) && !has_moved(session));
  // After `gone`: a publisher that closes says so before it drops its lock.
  if (block.closed_epoch.load() == session.epoch()) return Ending::closed;
  // Others may have closed since. All have if none died; a death after a close hides the close.
  if (replaced && session.epoch() != kNoEpoch && block.died_epoch.load() < session.epoch()) return Ending::closed;
  return gone ? Ending::died : Ending::none;
}

}  // namespace framebus::inline FRAMEBUS_VERSION::detail
