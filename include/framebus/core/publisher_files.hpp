// SPDX-License-Identifier: Apache-2.0
// How PublisherCore notices that its files were removed, and makes them again. Included by publisher_core.hpp only.
//
// Another program may remove the files of a live channel; logind does so for all files of a user who logs out. Open and
// mapped files go on, but no program can attach to them any more. So the publisher looks: whenever it claims a slot a
// millisecond after the last look or later, and at every 16th claim, it asks the kernel whether either file it has open
// is without a name (two fstat calls of 0.3 to 0.7 microseconds). Once a second it also compares the names with the
// files, which finds files that were renamed or replaced. A publisher that finds no room looks before it fails, and
// after each slice of its wait.
//
// Then it makes again what is missing: a control block for the same channel (succession.hpp), and a store of the next
// generation with all frames that the old one has. The sequence goes on. Subscribers come along with their cursors;
// what one with every=True has not fetched is needed also before it has come along, so that on_full means what it says.
// A frame that is given up all the same is counted when the subscriber fetches its next one. Where the name belongs to
// another live publisher by then, or the files can't be made, the call that claims a slot fails and says why, and so
// does each one after it, until it succeeds.
//
// A publisher that sends nothing looks for nothing: there is no thread.
//
// A publisher that closes while readers are left in a replaced control block (after a removal, or after a takeover with
// a narrower mode) first gives them half a second to come along. The last one out removes the files, and a reader that
// is still on its way is not in them yet: without the pause it would lose the last frames.
#pragma once

#include <time.h>

#include <limits>
#include <memory>

#include "framebus/base/namespace.hpp"
#include "framebus/core/publisher_core.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail {

inline constexpr std::uint32_t kClaimsPerLook = 16;
inline constexpr std::int64_t kLookEvery = 1'000'000;       // ns
inline constexpr std::int64_t kNamesEvery = 1'000'000'000;  // ns

// Is it time to look, and is a file gone? Under the mutex.
inline bool PublisherCore::has_lost_files(std::int64_t now, bool at_once) {
  if (files_lost_) return true;
  if (!at_once && ++claims_ < kClaimsPerLook && now - looked_ns_ < kLookEvery) return false;
  claims_ = 0;
  looked_ns_ = now;
  files_lost_ = os::is_unlinked(control_->file()) || (now_.store != nullptr && os::is_unlinked(now_.store->file()));
  if (files_lost_ || now - named_ns_ < kNamesEvery) return files_lost_;
  named_ns_ = now;
  files_lost_ = !files_are_named();
  return files_lost_;
}

inline bool PublisherCore::files_are_named() const {
  return is_current(*control_) &&
         (now_.store == nullptr || os::is_named(now_.store->file(), store_path(name_, now_.store->generation())));
}

// Makes again what is missing of the two files, or throws and will be called again. Under the mutex.
inline void PublisherCore::make_files_again() {
  files_lost_ = true;
  check_still_owner(*control_);
  if (!is_current(*control_)) make_control_again();
  if (now_.store != nullptr) {
    const GrowthPlan plan{now_.store->slot_count(), now_.store->slot_bytes(), 0, options_.mode, now_.writer->head()};
    now_ = make_generation(*control_, now_.store, plan);
    prepared_ = 0;
  }
  FRAMEBUS_STEP("again:complete");
  announce(control_->block());
  for (Control* old = control_->predecessor.get(); old != nullptr; old = old->predecessor.get()) {
    leave_behind(old->block(), false);
  }
  files_lost_ = false;
}

// The channel without frames under its name: readers that come find nothing until there is a store.
inline void PublisherCore::make_control_again() {
  auto fresh = make_successor(*control_, options_.mode);
  ControlBlock& block = fresh->block();
  write_identity(block.publisher);
  const bool has_store = now_.store == nullptr && os::exists(store_path(name_, block.generation.load()));
  if (!has_store) {
    block.head.store(seq_ == 0 ? 0 : frame_word(seq_, kNoSlot));
    block.generation.store(0);
  }
  if (space_waiters_ > 0) block.space_wanted.store(1);
  block.state.store(kStateOpen);
  FRAMEBUS_STEP("again:made");
  control_->block().state.store(
      kStateMoved);  // counts when the name is another's: a death in between leaves no reader here
  try {
    take_name_back(*fresh);
  } catch (const Error& error) {
    control_->block().state.store(kStateOpen);
    fail(error.code(), "another program removed the files of channel '" + name_ +
                           "' while it was in use, and the channel can't be made again: " + error.what());
  }
  FRAMEBUS_STEP("again:named");
  awaited_.push_back(control_);
  keep_predecessor(*fresh, control_);
  control_ = std::move(fresh);
}

// Keeps what live `every` readers have not fetched that are still in a control block which ours has replaced. Nobody
// that this publisher's mode shuts out can be among them: that block had the same mode. Under the mutex.
inline void PublisherCore::keep_for_awaited() {
  if (awaited_.empty()) return;
  std::uint64_t least = std::numeric_limits<std::uint64_t>::max();
  std::erase_if(awaited_, [&](const std::shared_ptr<Control>& control) {
    bool none = true;
    for_each_reader(control->block(), [&](std::uint32_t i, ReaderLine& line) {
      if ((line.flags.load() & kReaderEvery) == 0 || !is_reader_alive(*control, i)) return;
      least = std::min(least, line.cursor.load());  // pairs with the store in Fetcher::take
      none = false;
    });
    return none;
  });
  now_.writer->keep_after(least);
}

// Before the channel ends: those that wait have been woken and come within milliseconds. Those that do not look, that
// may not come, or that hold a frame of the old block are not waited for any longer than this.
inline void PublisherCore::let_readers_come_along() noexcept {
  constexpr struct timespec kPause = {0, 1'000'000};
  constexpr int kPauses = 500;
  std::shared_ptr<Control> left;
  {
    const auto lock = lock_briefly(mutex_);
    if (!lock.owns_lock() || closed_) return;
    left = control_->predecessor;
  }
  try {
    for (int i = 0; left != nullptr && i < kPauses; ++i) {
      while (left != nullptr && !has_readers(*left)) left = left->predecessor;
      if (left != nullptr) ::nanosleep(&kPause, nullptr);
    }
  } catch (const Error&) {
    // Closing cannot fail: where the kernel can't be asked, nobody is waited for.
  }
}

// For readers that have not come along yet: the channel they know ends here, too. Under the mutex.
inline void PublisherCore::tell_predecessors_of_end() noexcept {
  for (Control* old = control_->predecessor.get(); old != nullptr; old = old->predecessor.get()) {
    old->block().closed_epoch.store(old->block().publisher_epoch.load());
    announce(old->block());
  }
}

}  // namespace framebus::detail
