// SPDX-License-Identifier: Apache-2.0
// A subscriber's reader record in a channel, and which of its holds are in use.
//
// Promise: the record and its lock live until the subscriber and all its frames are destroyed, in any order, or the
// process exits (leaving.hpp); each hold lives as long as its frame. A forked child never writes what it inherited.
// After the exit of the process has released a record, it is never written again: another program may already own it.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "framebus/base/namespace.hpp"
#include "framebus/options.hpp"
#include "framebus/segment/leaving.hpp"
#include "framebus/segment/membership.hpp"
#include "framebus/segment/slots.hpp"
#include "framebus/wait/waiter.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail {

using ChannelId = std::array<std::uint64_t, 2>;

class ReaderSession final : ExitHandler {
 public:
  ReaderSession(ReaderClaim claim, const SubscriberOptions& options)
      : claim_(std::move(claim)),
        waiter_(claim_.control->block(), reader_bit(claim_.index), options.wait, options.max_spin.ns()),
        frames_(options.hold),
        free_(options.hold >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << options.hold) - 1) {
    ReaderRecord& mine = record();
    // Until the start is chosen the cursor is at the head: no frame that is published from now on is missed.
    mine.cursor.store(frame_seq(block().head.load()));
    mine.hold_budget.store(options.hold);
    mine.flags.store((options.every ? kReaderEvery : 0U) | (options.observer ? kReaderObserver : 0U) |
                     (options.keeper ? kReaderKeeper : 0U));
    for (auto* counter : {&mine.frames, &mine.bytes, &mine.missed, &mine.dropped}) counter->store(0);
    write_identity(mine.identity);
    raise_history(options.history);
    FRAMEBUS_STEP("attach:record_written");
    block().readers.fetch_or(reader_bit(claim_.index));  // pairs with for_each_reader
    FRAMEBUS_STEP("attach:bit_set");
    epoch_ = block().publisher_epoch.load();
    channel_ = {block().channel_id[0], block().channel_id[1]};
    Participation::instance().sessions.add(*this);
  }
  ReaderSession(const ReaderSession&) = delete;
  ReaderSession& operator=(const ReaderSession&) = delete;
  ~ReaderSession() {
    if (is_forked()) return;
    Participation::instance().sessions.remove(*this);
    if (!left_) give_up();
  }

  [[nodiscard]] ControlBlock& block() const noexcept { return claim_.control->block(); }
  [[nodiscard]] ReaderRecord& record() const noexcept { return block().reader[claim_.index]; }
  [[nodiscard]] Control& control() const noexcept { return *claim_.control; }
  [[nodiscard]] Waiter& waiter() noexcept { return waiter_; }
  [[nodiscard]] bool is_forked() const noexcept { return claim_.control->is_forked(); }
  [[nodiscard]] std::uint32_t epoch() const noexcept { return epoch_; }
  // For a subscriber that has rejoined from another control block and wants the frames of that publisher only.
  void keep_epoch(std::uint32_t epoch) noexcept { epoch_ = epoch; }
  // The id of the channel at the time of attaching. Another control block with this id continues the channel.
  [[nodiscard]] const ChannelId& channel() const noexcept { return channel_; }
  [[nodiscard]] Descriptor& frame(std::uint32_t hold) noexcept { return frames_[hold]; }
  [[nodiscard]] std::uint32_t held() const noexcept {
    return static_cast<std::uint32_t>(frames_.size()) -
           static_cast<std::uint32_t>(std::popcount(free_.load(std::memory_order_relaxed)));  // relaxed: stale at once
  }

  // A hold that is not in use. The free ones are kept here and not read from the segment, which others may write.
  std::optional<std::uint32_t> take_hold() noexcept {
    std::uint64_t free = free_.load(std::memory_order_relaxed);
    while (free != 0) {
      // Acquire: pairs with give_back(); the previous use of the hold is over.
      if (free_.compare_exchange_weak(free, free & (free - 1), std::memory_order_acquire, std::memory_order_relaxed)) {
        return static_cast<std::uint32_t>(std::countr_zero(free));
      }
    }
    return std::nullopt;
  }
  void give_back(std::uint32_t hold) noexcept {
    free_.fetch_or(std::uint64_t{1} << hold, std::memory_order_release);  // pairs with take_hold()
  }

  // After the last read of a held frame.
  void release(std::uint32_t hold) noexcept {
    if (is_forked()) return;
    const std::lock_guard lock(leaving_);
    if (left_) return;
    record().holds[hold].store(0);  // release for the publisher's P2; before the load in notify_space()
    FRAMEBUS_STEP("release:hold_cleared");
    give_back(hold);
    notify_space();
  }

  // Wakes a publisher that waits for a slot, since this reader has just released one.
  void notify_space() noexcept {
    if (block().space_wanted.load() == 0) return;  // pairs with SpaceWanted::set, which stores, then claims again
    block().space.fetch_add(1);
    FRAMEBUS_STEP("release:space_changed");
    os::futex_wake_all(block().space);
  }

 private:
  // Held frames stay mapped but are not protected any more.
  void leave_at_exit() noexcept override {
    if (is_forked() || !waiter_.retire()) return;
    const auto lock = lock_briefly(leaving_);
    if (!lock.owns_lock()) return;
    left_ = true;
    give_up();
  }
  void give_up() noexcept {
    wipe_reader(block(), claim_.index);
    FRAMEBUS_STEP("detach:wiped");
    notify_space();
    leave_channel(*claim_.control, reader_byte(claim_.index));
  }
  void raise_history(std::uint32_t history) noexcept {
    // A failure means that another reader has just attached; there are no more of them than this.
    std::uint32_t wanted = block().history_wanted.load();
    for (std::uint32_t i = 0; i < 16 * kMaxReaders && wanted < history; ++i) {
      if (block().history_wanted.compare_exchange_weak(wanted, history)) return;
    }
  }

  ReaderClaim claim_;
  Waiter waiter_;
  std::vector<Descriptor> frames_;
  std::atomic<std::uint64_t> free_;
  std::uint32_t epoch_ = 0;
  ChannelId channel_{};
  std::mutex leaving_;  // protects `left_`; the record is ours while a frame is being released
  bool left_ = false;
};

}  // namespace framebus::inline FRAMEBUS_VERSION::detail
