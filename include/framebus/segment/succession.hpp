// SPDX-License-Identifier: Apache-2.0
// Replaces the control block of a channel that continues. The new block is complete before it takes the channel's name,
// and the old one is marked as moved.
//
// Promise: the channel id, the sequence, the counts and the number of the frame store continue, and a death at any step
// leaves a state that the other participants handle.
//
// Two situations need it:
//   the mode is narrowed   the file permissions of a new publisher grant less than the old ones. A chmod takes nothing
//                          from a program that has the control block open and mapped; a new file does.
//   the files are gone     another program deleted the control block of a live publisher (logind does so at a logout).
//
// Reader records are not copied. Each reader rejoins by name if it has permission to open the new file, and keeps its
// cursor, since the channel id is the same. Without permission it ends with an error.
//
// Order, and the effect of a death at each step:
//   1. The new block is made complete without a name, with the publisher's byte locked.
//      Death: nothing has changed.
//   2. It takes the name: by link() if the name is free; else by rename() over the block that has the name. The caller
//      has locked that block's publisher byte, so that no other publisher and no exiting participant changes the name.
//      Before the rename, the new block has the spare name of a frame store.
//      Death: a file under a store's name, which remove_stores() removes; or the name has the new block, whose
//      publisher is dead.
//   3. The old block is marked as moved and its sleepers are woken.
//      Death: its readers find the publisher's lock free and the name with another file, as after any deletion.
//
// No value in the old block decides whether a reader rejoins: a program that still has it mapped may write there. So
// after each slice of a sleep a reader also checks that the name is still that of its file (Attachment::is_orphaned).
#pragma once

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>

#include "framebus/base/namespace.hpp"
#include "framebus/segment/announce.hpp"
#include "framebus/segment/membership.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail {

// The number for the store after generation `last`: the next one whose name is free, or can be freed.
inline std::uint32_t next_generation(const std::string& name, std::uint32_t last) {
  constexpr std::uint32_t kTries = 100;
  for (std::uint32_t i = 1; i <= kTries; ++i) {
    const std::uint32_t number = last + i;
    if (number == 0) continue;                     // 0 means that there is no store
    os::unlink_quietly(store_path(name, number));  // a dead publisher's leftover
    if (!os::exists(store_path(name, number))) return number;
  }
  fail(Errc::corrupt_channel,
       store_path(name, last + 1) + " and " + std::to_string(kTries - 1) +
           " names after it are taken by files that are not frame stores of framebus; remove them by hand");
}

// A control block for the same channel, without a name, with the publisher's byte locked. Its state is not open yet.
inline std::shared_ptr<Control> make_successor(const Control& old, std::uint32_t mode) {
  auto fresh = make_control(old.name(), mode);
  os::try_lock(fresh->file(), kPublisherByte);  // always free: the file has no name yet
  const ControlBlock& from = old.block();
  ControlBlock& to = fresh->block();
  to.channel_id[0] = from.channel_id[0];
  to.channel_id[1] = from.channel_id[1];
  to.created_ns = from.created_ns;
  to.head.store(from.head.load());
  to.generation.store(from.generation.load());
  to.publisher_epoch.store(from.publisher_epoch.load());
  to.closed_epoch.store(from.closed_epoch.load());
  to.died_epoch.store(from.died_epoch.load());
  to.history_wanted.store(std::min(from.history_wanted.load(), kMaxSlots));
  to.frames.store(from.frames.load());
  to.bytes.store(from.bytes.load());
  to.dropped.store(from.dropped.load());
  to.period_ns.store(from.period_ns.load());
  to.last_publish_ns.store(from.last_publish_ns.load());
  return fresh;
}

// Replaces `old` by `fresh` under the channel's name, in one step. The caller has the publisher's byte of `old`. False
// if `old` has lost the name meanwhile.
inline bool replace_named(const Control& fresh, const Control& old) {
  const std::string way = store_path(fresh.name(), next_generation(fresh.name(), old.block().generation.load()));
  if (!os::link_name(fresh.file(), way)) return false;
  FRAMEBUS_STEP("move:linked");
  if (!still_has_name(old)) {
    os::unlink_quietly(way);
    return false;
  }
  os::replace(way, fresh.path());
  FRAMEBUS_STEP("move:named");
  return true;
}

// Tells the readers of a replaced block to rejoin. `by_another`: the channel has another publisher now.
inline void mark_moved(ControlBlock& old, bool by_another) {
  if (by_another) begin_epoch(old);
  FRAMEBUS_STEP("move:epoch");
  old.state.store(kStateMoved);  // pairs with the loads in has_moved()
  FRAMEBUS_STEP("move:left");
  announce(old);
}

// Is a reader left in the control block? Only then must a replaced block show the channel's end.
inline bool has_readers(const Control& control) { return os::is_locked(control.file(), reader_byte(0), kMaxReaders); }

// Makes `old` the predecessor of `fresh`, without predecessors that have no reader any more.
inline void keep_predecessor(Control& fresh, std::shared_ptr<Control> old) {
  while (old != nullptr && !has_readers(*old)) old = old->predecessor;
  fresh.predecessor = std::move(old);
}

}  // namespace framebus::inline FRAMEBUS_VERSION::detail
