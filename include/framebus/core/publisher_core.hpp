// SPDX-License-Identifier: Apache-2.0
// The sending side of a channel: claiming a slot, waiting for one, publishing a filled one as the newest frame.
//
// Promises: any thread may claim, fill and commit at any time; filling holds no lock; a frame that is not committed is
// never visible; a claim waits only if on_full=block and a live reader with every=true is behind, and it waits without
// a lock; a channel whose files were removed is recreated under its name, with its sequence and its subscribers, before
// the next frame that is sent a millisecond or 16 frames later, or sending fails (publisher_files.hpp).
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "framebus/base/namespace.hpp"
#include "framebus/core/full_channel.hpp"
#include "framebus/core/publish_counts.hpp"
#include "framebus/core/publisher_files.hpp"
#include "framebus/core/rehearsal.hpp"
#include "framebus/core/slot_allocator.hpp"
#include "framebus/core/space_wanted.hpp"
#include "framebus/options.hpp"
#include "framebus/segment/leaving.hpp"
#include "framebus/statistics.hpp"
#include "framebus/timeout.hpp"
#include "framebus/wait/waiter.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail {

class PublisherCore final : ExitHandler {
 public:
  PublisherCore(const std::string& name, const PublisherOptions& options)
      : name_(name), on_full_(options.on_full), files_(name, options), slots_(files_, options) {
    announce(files_.block());
    Participation::instance().handles.add(*this);
  }
  PublisherCore(const PublisherCore&) = delete;
  PublisherCore& operator=(const PublisherCore&) = delete;
  ~PublisherCore() {
    Participation::instance().handles.remove(*this);
    close();
  }

  [[nodiscard]] const std::string& name() const noexcept { return name_; }

  void close() noexcept {
    if (mark_.is_inherited()) return;
    await_replaced();
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
    return files_.seq();
  }

  // A slot for `bytes`, at once; nullopt if that would need a lock that is held, growth, pages, or waiting.
  // `rehearsal`: one for a frame like the last, which try_commit() does not publish.
  std::optional<ClaimedSlot> try_claim(std::uint64_t bytes, bool rehearsal = false) {
    check_not_forked();
    std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock.owns_lock()) return std::nullopt;
    check_open(lock);
    if (files_.must_recreate()) return std::nullopt;
    if (rehearsal) bytes = last_bytes_;
    auto claimed = slots_.try_claim(bytes, rehearsal);
    if (!claimed || !files_.are_removed(claimed->since_ns, false)) return claimed;
    slots_.abandon(*claimed);
    return std::nullopt;
  }

  // A slot for `bytes`; grows, gives up frames, waits or fails as on_full says.
  ClaimedSlot claim(std::uint64_t bytes, std::int64_t timeout_ns, Interrupt interrupt) {
    check_not_forked();
    const std::int64_t deadline = deadline_after(timeout_ns);
    SpaceWanted wanted(mutex_, files_, space_waiters_);
    for (;;) {
      std::uint32_t ticket = 0;
      std::int64_t left = 0;
      std::shared_ptr<Control> control;  // the one whose word we wait for, even if the channel moves meanwhile
      {
        std::unique_lock lock(mutex_);
        check_open(lock);
        if (files_.must_recreate()) files_.recreate();
        ticket = files_.block().space.load();
        auto claimed = slots_.claim(bytes);
        const std::int64_t now = claimed ? claimed->since_ns : os::monotonic_ns();
        if (files_.are_removed(now, !claimed)) {
          if (claimed) slots_.abandon(*claimed);
          files_.recreate();
          continue;
        }
        if (claimed) return std::move(*claimed);
        if (on_full_ == OnFull::raise) fail_full(*files_.control(), Errc::channel_full);
        if (!wanted.is_set()) {
          wanted.set();  // and claim once more, since a reader may have moved before it could see this
          continue;
        }
        left = deadline - now;
        if (left <= 0) fail_full(*files_.control(), Errc::channel_full_timeout, timeout_ns);
        control = files_.control();
      }
      os::futex_wait(control->block().space, ticket, std::min(left, kSpaceSlice));
      if (interrupt != nullptr) interrupt();
    }
  }

  // Publishes a filled slot as the newest frame; returns its sequence. Timestamps that are 0 are set to now.
  std::uint64_t commit(ClaimedSlot& filled, Descriptor& frame, std::string_view meta, Interrupt interrupt) {
    const std::uint64_t end = frame.meta_offset + meta.size();
    check_not_forked();
    for (;;) {
      if (write_meta(filled, frame, meta)) {
        std::unique_lock lock(mutex_);
        check_open(lock);
        if (slots_.is_current(filled)) return publish(filled, frame);
      } else if (has_room(filled, end)) {
        continue;
      }
      // The channel has grown meanwhile, or the metadata does not fit: move to another slot.
      ClaimedSlot other = copy_of(filled, frame, end, interrupt);
      abandon(filled);
      filled = std::move(other);
    }
  }

  // The same at once; nullopt if that would need a lock that is held, pages, or moving the frame.
  std::optional<std::uint64_t> try_commit(ClaimedSlot& filled, Descriptor& frame, std::string_view meta) {
    check_not_forked();
    if (!write_meta(filled, frame, meta)) return std::nullopt;
    std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock.owns_lock()) return std::nullopt;
    check_open(lock);
    if (!slots_.is_current(filled) || !slots_.is_prefaulted()) return std::nullopt;
    return publish(filled, frame);
  }

  // Publishes a copy; the slot stays with its owner, which still has writable arrays in it.
  std::uint64_t commit_copy(const ClaimedSlot& filled, Descriptor& frame, std::string_view meta, Interrupt interrupt) {
    ClaimedSlot other = copy_of(filled, frame, frame.meta_offset + meta.size(), interrupt);
    return commit(other, frame, meta, interrupt);
  }

  void abandon(const ClaimedSlot& claimed) noexcept {
    if (mark_.is_inherited()) return;
    const std::lock_guard lock(mutex_);
    slots_.abandon(claimed);
  }

  static std::byte* bytes_of(const ClaimedSlot& claimed) noexcept { return claimed.store->payload(claimed.slot); }

  [[nodiscard]] Statistics statistics() const {
    check_not_forked();
    const std::lock_guard lock(mutex_);
    Statistics s = counts_.statistics();
    s.dropped = slots_.dropped();
    if (!closed_) reap_readers(*files_.control(), ~std::uint64_t{0});  // killed readers do not count
    for_each_reader(files_.block(), [&](std::uint32_t, ReaderRecord& record) {
      if ((record.flags.load() & kReaderObserver) == 0) ++s.subscribers;
      for (std::uint32_t h = 0, n = budget_of(record); h < n; ++h) s.held += record.holds[h].load() != 0 ? 1 : 0;
    });
    if (const Store* store = files_.store().get()) {
      s.slots = store->slot_count();
      s.generation = store->generation();
      s.memory_bytes = store->allocated_bytes();
    }
    return s;
  }

  // After fork() the child has a copy of this object, but not the channel. To be called before the mutex is taken.
  void check_not_forked() const {
    if (mark_.is_inherited()) {
      fail(Errc::forked_child,
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
    files_.check_intact();
  }

 private:
  void leave_at_exit() noexcept override {
    if (files_.control()->is_forked()) return;
    await_replaced();
    const auto lock = lock_briefly(mutex_);
    if (lock.owns_lock()) close_locked();
  }
  void close_locked() noexcept {
    if (closed_) return;
    closed_ = true;
    files_.close();
  }
  // Waits for readers of replaced control blocks to attach to the current one.
  void await_replaced() noexcept {
    std::shared_ptr<Control> replaced;
    {
      const auto lock = lock_briefly(mutex_);
      if (!lock.owns_lock() || closed_) return;
      replaced = files_.control()->predecessor;
    }
    await_readers(std::move(replaced));
  }

  ClaimedSlot copy_of(const ClaimedSlot& filled, const Descriptor& frame, std::uint64_t bytes, Interrupt interrupt) {
    ClaimedSlot other = claim(bytes, -1, interrupt);
    other.since_ns = filled.since_ns;
    std::memcpy(bytes_of(other), bytes_of(filled), frame.meta_offset);
    return other;
  }

  bool has_room(const ClaimedSlot& claimed, std::uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    return slots_.has_room(claimed, bytes);
  }

  // False if it does not fit into the pages that are reserved for this slot. Without the mutex: the slot is the
  // caller's.
  static bool write_meta(const ClaimedSlot& filled, Descriptor& frame, std::string_view meta) {
    if (!filled.store->is_reserved(filled.slot, frame.meta_offset + meta.size())) return false;
    frame.meta_bytes = static_cast<std::uint32_t>(meta.size());
    if (!meta.empty()) std::memcpy(bytes_of(filled) + frame.meta_offset, meta.data(), meta.size());
    return true;
  }

  // Under the mutex.
  std::uint64_t publish(ClaimedSlot& filled, Descriptor& frame) {
    ControlBlock& block = files_.block();
    frame.seq = files_.seq() + 1;
    frame.published_ns = os::monotonic_ns();
    if (frame.timestamp_ns == 0) frame.timestamp_ns = frame.published_ns;
    if (frame.wall_time_ns == 0) frame.wall_time_ns = os::wall_ns();
    SlotRecord unseen;
    SlotRecord& record = files_.store()->table().slots[filled.slot];
    write_descriptor(filled.rehearsal ? unseen : record, frame);
    if (filled.rehearsal) {
      fetch_what_publishing_writes(block, record);
      wake_nobody();
      filled.store = nullptr;
      return 0;
    }
    FRAMEBUS_STEP("publish:described");
    files_.writer().publish(filled.slot, frame.seq);
    filled.store = nullptr;
    files_.set_seq(frame.seq);
    last_bytes_ = frame.meta_offset + frame.meta_bytes;
    const int woken = announce(block);  // before the work that readers need not wait for
    counts_.add(block, frame, filled.since_ns, woken);
    if (counts_.is_futile()) reap_readers(*files_.control(), block.sleepers.load());
    slots_.prefault_next(frame);
    files_.check_intact();  // a frame whose number is returned must have been sent
    return frame.seq;
  }

  std::string name_;
  OnFull on_full_;
  os::ForkMark mark_;
  std::uint32_t pid_ = os::process_id();
  mutable std::mutex mutex_;  // everything below; never held while waiting or while frames are copied in
  PublisherFiles files_;
  SlotAllocator slots_;
  bool closed_ = false;
  int space_waiters_ = 0;
  std::uint64_t last_bytes_ = 0;  // of the last frame, with its metadata
  PublishCounts counts_;
};

}  // namespace framebus::inline FRAMEBUS_VERSION::detail
