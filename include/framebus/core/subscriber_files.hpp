// SPDX-License-Identifier: Apache-2.0
// How SubscriberCore comes along when the files of its channel change. Included by subscriber_core.hpp only.
//
// The control block may be replaced while the channel goes on (succession.hpp), and the files may be removed by another
// program (publisher_files.hpp). Either way the name leads to another control block than ours. The subscriber notices
// after each slice of a sleep, when a fetch finds nothing, and when the thread behind a descriptor has noticed.
#pragma once

#include "framebus/base/namespace.hpp"
#include "framebus/core/subscriber_core.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail {

inline void SubscriberCore::reattach_if_removed() {
  const std::lock_guard lock(mutex_);
  if (!closed_ && is_left_behind()) come_again();
}

// The same for those who wait for several: as often as after each slice of a sleep, however short the sleeps are.
inline void SubscriberCore::look_around() {
  const std::int64_t now = os::monotonic_ns();
  if (now - looked_around_ns_ < kSlice) return;
  looked_around_ns_ = now;
  if (fetcher_->is_lost() || is_left_behind()) come_again();
}

// The same by what is known without asking the kernel.
inline bool SubscriberCore::is_lost() {
  if (fetcher_->is_lost() || has_moved()) return true;
  bool removed = notifier_ != nullptr && notifier_->take_removal();
  for_each_listener([&](Listener& listener) { removed |= listener.take_removal(); });
  return removed && is_left_behind();
}

// Does the channel go on in another control block? Pairs with the store in leave_behind(). What still has the name is
// where we are to be, whatever its state says.
inline bool SubscriberCore::has_moved() const {
  return session_->block().state.load() == kStateMoved && !is_current(session_->control());
}

// Will nothing come any more in the channel as we know it? Its name is free for another, or it goes on in another
// control block, whatever a program that is left in ours has written there.
inline bool SubscriberCore::is_left_behind() const {
  const Control& control = session_->control();
  return !is_current(control) && (!is_publisher_alive(control) || has_moved() || has_successor());
}

inline bool SubscriberCore::has_successor() const {
  const auto control = open_control(name_);
  return control != nullptr &&
         session_->channel() == ChannelId{control->block().channel_id[0], control->block().channel_id[1]};
}

// The name leads to another control block now. Attaches again by the name, if the channel exists. Where that is the
// same channel, the subscriber goes on where it was. Where it is another, frames of the old one that were never fetched
// are gone, and counted. Under the mutex.
inline bool SubscriberCore::come_again() {
  const FetchCounts counts = fetcher_->counts();
  const Fetcher::Progress progress = fetcher_->progress();
  const std::uint64_t left = fetcher_->pending();
  const auto session = session_;
  if (!attach()) return false;
  before_sleeps_ += session->waiter().sleeps();
  before_spun_ns_ += session->waiter().spun_ns();
  const bool same = session_->channel() == session->channel();
  if (same) fetcher_->resume(progress);
  if (!options_.reconnect) session_->keep_epoch(same ? session->epoch() : kNoEpoch);
  before_.missed += counts.missed + (options_.every || same ? 0 : left);
  before_.dropped += counts.dropped + (options_.every && !same ? left : 0);
  if (notifier_ != nullptr) notifier_->move_to(session_);
  for_each_listener([&](Listener& listener) { listener.move_to(session_); });
  return true;
}

}  // namespace framebus::detail
