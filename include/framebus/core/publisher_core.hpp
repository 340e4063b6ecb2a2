// SPDX-License-Identifier: Apache-2.0
// The sending end of a channel: finding a slot, filling it, making it visible.
//
// Promises: any thread may claim, fill and commit at any time; filling holds no lock; what is not committed is never
// seen; a claim waits only where on_full=block and a live reader that wants every frame is behind, and then without a
// lock; a channel whose files were removed is made again under its name, with its sequence and its subscribers, before
// the next frame goes out that is sent a millisecond later or 16 frames later, or sending fails (publisher_files.hpp).
#pragma once

#include <algorithm>
#include <bit>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "framebus/base/namespace.hpp"
#include "framebus/segment/growth.hpp"
#include "framebus/core/latency_meter.hpp"
#include "framebus/options.hpp"
#include "framebus/statistics.hpp"
#include "framebus/segment/takeover.hpp"
#include "framebus/wait/waiter.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail {

// A slot that somebody fills.
struct Filling {
  std::shared_ptr<Store> store;
  std::uint32_t slot = 0;
  std::int64_t since_ns = 0;
};

class PublisherCore final : Leaver {
 public:
  PublisherCore(const std::string& name, const PublisherOptions& options)
      : name_(name), options_(options), control_(join_as_publisher(name, options.mode)) {
    announce(control_->block());
    Participation::instance().ends.add(*this);
  }
  PublisherCore(const PublisherCore&) = delete;
  PublisherCore& operator=(const PublisherCore&) = delete;
  ~PublisherCore() {
    Participation::instance().ends.remove(*this);
    close();
  }

  [[nodiscard]] const std::string& name() const noexcept { return name_; }

  void close() noexcept {
    if (mark_.is_inherited()) return;
    let_readers_come_along();
    const std::lock_guard lock(mutex_);
    close_locked();
  }
  [[nodiscard]] bool is_closed() const {
    if (mark_.is_inherited()) return true;
    const std::lock_guard lock(mutex_);
    return closed_;
  }

  [[nodiscard]] std::uint64_t newest() const {
    check_not_forked();
    const std::lock_guard lock(mutex_);
    return seq_;
  }

  // A slot for `bytes`, at once, or nothing where that would need a lock that is taken, growing, pages, or waiting.
  std::optional<Filling> try_claim(std::uint64_t bytes) {
    check_not_forked();
    std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock.owns_lock()) return std::nullopt;
    check_open(lock);
    if (now_.store == nullptr || bytes > now_.store->slot_bytes() || !awaited_.empty()) return std::nullopt;
    const Claimed claimed = now_.writer->claim(rules(bytes, false));
    if (claimed.shortage != Shortage::none) return std::nullopt;
    if (!now_.store->is_reserved(claimed.slot, bytes)) {  // pages take time
      now_.writer->abandon(claimed.slot);
      return std::nullopt;
    }
    auto got = filling(claimed, bytes);
    if (!has_lost_files(got->since_ns, false)) return got;
    now_.writer->abandon(claimed.slot);
    return std::nullopt;
  }

  // A slot for `bytes`; grows, gives up frames, waits or fails as on_full says.
  Filling claim(std::uint64_t bytes, std::int64_t timeout_ns, Interrupt interrupt) {
    check_not_forked();
    const std::int64_t deadline = deadline_after(timeout_ns);
    SpaceWanted wanted(*this);
    for (;;) {
      std::uint32_t ticket = 0;
      std::int64_t left = 0;
      std::shared_ptr<Control> control;  // where we wait, even if the channel moves to another one meanwhile
      {
        std::unique_lock lock(mutex_);
        check_open(lock);
        ticket = control_->block().space.load();
        auto got = claim_or_grow(bytes);
        const std::int64_t now = got ? got->since_ns : os::monotonic_ns();
        if (has_lost_files(now, !got)) {
          if (got) now_.writer->abandon(got->slot);
          make_files_again();
          continue;
        }
        if (got) return std::move(*got);
        if (options_.on_full == OnFull::raise) fail_full("is full", 0);
        if (!wanted.is_set()) {
          wanted.set();  // and look once more, since a reader may have moved before it could see this
          continue;
        }
        left = deadline - now;
        if (left <= 0) fail_full("had no room within the timeout of", timeout_ns);
        control = control_;
      }
      os::futex_wait(control->block().space, ticket, std::min(left, kSpaceSlice));
      if (interrupt != nullptr) interrupt();
    }
  }

  // Makes a filled slot the newest frame; returns its sequence. Timestamps that are 0 are set to now.
  std::uint64_t commit(Filling& filling, Descriptor& frame, std::string_view meta, Interrupt interrupt) {
    const std::uint64_t end = frame.meta_offset + meta.size();
    check_not_forked();
    for (;;) {
      if (write_meta(filling, frame, meta)) {
        std::unique_lock lock(mutex_);
        check_open(lock);
        if (filling.store == now_.store) return publish(filling, frame);
      } else if (has_room(filling, end)) {
        continue;
      }
      // The channel has grown under this slot, or the metadata does not fit: move.
      Filling other = copy_of(filling, frame, end, interrupt);
      abandon(filling);
      filling = std::move(other);
    }
  }

  // The same at once, or nothing where that would need a lock that is taken, pages, or to move the frame.
  std::optional<std::uint64_t> try_commit(Filling& filling, Descriptor& frame, std::string_view meta) {
    check_not_forked();
    if (!write_meta(filling, frame, meta)) return std::nullopt;
    std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock.owns_lock()) return std::nullopt;
    check_open(lock);
    if (filling.store != now_.store || now_.store->reservations() != prepared_) return std::nullopt;
    return publish(filling, frame);
  }

  // Publishes a copy and leaves the slot with its owner, who still has writable arrays in it.
  std::uint64_t commit_copy(const Filling& filling, Descriptor& frame, std::string_view meta, Interrupt interrupt) {
    Filling other = copy_of(filling, frame, frame.meta_offset + meta.size(), interrupt);
    return commit(other, frame, meta, interrupt);
  }

  void abandon(const Filling& filling) noexcept {
    if (mark_.is_inherited()) return;
    const std::lock_guard lock(mutex_);
    if (filling.store != nullptr && filling.store == now_.store) now_.writer->abandon(filling.slot);
  }

  static std::byte* bytes_of(const Filling& filling) noexcept { return filling.store->payload(filling.slot); }

  [[nodiscard]] Statistics statistics() const;

  // After fork() the child has a copy of this object, but not the channel. Asked before the mutex is taken.
  void check_not_forked() const {
    if (mark_.is_inherited()) {
      fail(Errc::error,
           "this Publisher of '" + name() + "' belongs to process " + std::to_string(pid_) +
               ", you are in a forked child of it; publish in one of the two only, or open another channel here");
    }
  }
  void check_open(std::unique_lock<std::mutex>& lock) const {
    if (closed_) {
      lock.unlock();
      Participation::instance().stop_if_ending();
      fail(Errc::channel_closed, "this Publisher of '" + name() + "' is closed; make a new one to send again");
    }
    check_intact();
  }

 private:
  void leave_at_exit() noexcept override {
    if (control_->is_forked()) return;
    let_readers_come_along();
    const auto lock = lock_briefly(mutex_);
    if (lock.owns_lock()) close_locked();
  }
  void close_locked() noexcept {
    if (closed_) return;
    closed_ = true;
    ControlBlock& block = control_->block();
    block.closed_epoch.store(block.publisher_epoch.load());
    FRAMEBUS_STEP("close:epoch");
    block.state.store(kStateClosed);
    FRAMEBUS_STEP("close:state");
    announce(block);
    tell_predecessors_of_end();
    leave(*control_, kPublisherByte);
    control_->file().close();
    control_->predecessor.reset();
  }

  // Says "wake me when there is space" as long as it lives.
  class SpaceWanted {
   public:
    explicit SpaceWanted(PublisherCore& core) : core_(core) {}
    SpaceWanted(const SpaceWanted&) = delete;
    SpaceWanted& operator=(const SpaceWanted&) = delete;
    ~SpaceWanted() {
      if (!set_) return;
      const std::lock_guard lock(core_.mutex_);
      if (--core_.space_waiters_ == 0) core_.control_->block().space_wanted.store(0);
    }
    [[nodiscard]] bool is_set() const noexcept { return set_; }
    void set() {  // under the mutex
      set_ = true;
      ++core_.space_waiters_;
      core_.control_->block().space_wanted.store(1);  // pairs with the readers' load after they moved
      FRAMEBUS_STEP("block:space_wanted");
    }

   private:
    PublisherCore& core_;
    bool set_ = false;
  };

  // Has neither file been made shorter? Under the mutex.
  void check_intact() const {
    control_->check_intact();
    if (now_.store != nullptr && now_.store->is_broken()) {
      fail_truncated(store_path(name(), now_.store->generation()));
    }
  }

  [[nodiscard]] ClaimRules rules(std::uint64_t bytes, bool may_drop) const;
  std::optional<Filling> claim_or_grow(std::uint64_t bytes);
  void grow(std::uint64_t bytes, std::uint32_t slots);
  bool has_lost_files(std::int64_t now, bool at_once);
  [[nodiscard]] bool files_are_named() const;
  void make_files_again();
  void make_control_again();
  void keep_for_awaited();
  void let_readers_come_along() noexcept;
  void tell_predecessors_of_end() noexcept;
  [[nodiscard]] std::uint32_t slots_required() const;
  std::optional<Filling> filling(const Claimed& claimed, std::uint64_t bytes);
  std::uint64_t publish(Filling& filling, Descriptor& frame);
  void prepare_next(const Descriptor& frame) noexcept;
  [[noreturn]] void fail_full(const std::string& what, std::int64_t timeout_ns) const;
  Filling copy_of(const Filling& filling, const Descriptor& frame, std::uint64_t bytes, Interrupt interrupt);
  bool has_room(const Filling& filling, std::uint64_t bytes);
  static bool write_meta(const Filling& filling, Descriptor& frame, std::string_view meta);

  std::string name_;
  PublisherOptions options_;
  os::ForkMark mark_;
  std::uint32_t pid_ = static_cast<std::uint32_t>(::getpid());
  mutable std::mutex mutex_;  // everything below; never held while waiting or while frames are copied in
  std::shared_ptr<Control> control_;
  Generation now_;
  std::uint64_t prepared_ = 0;  // the store's reservations when a slot was last prepared
  bool closed_ = false;
  int space_waiters_ = 0;
  int vain_wakes_ = 0;
  std::uint32_t claims_ = 0;                       // since the last look at the files
  std::int64_t looked_ns_ = 0;                     // when that was
  std::int64_t named_ns_ = 0;                      // when the names were looked at
  std::vector<std::shared_ptr<Control>> awaited_;  // replaced by ours, with `every` readers that have not come along
  bool files_lost_ = false;                        // found, and not made again yet
  std::uint64_t seq_ = frame_seq(control_->block().head.load());
  std::uint64_t frames_ = 0, bytes_ = 0, dropped_ = 0, wakeups_ = 0;
  std::int64_t last_ns_ = 0, period_ns_ = 0;
  Meter meter_;
};

}  // namespace framebus::detail

#include "framebus/core/publisher_steps.hpp"
// After the steps.
#include "framebus/core/publisher_files.hpp"
