// SPDX-License-Identifier: Apache-2.0
// Chooses the slot of the next frame: a free one, one whose frame may be given up, or one of a larger generation.
//
// Promises: a claimed slot belongs to one thread until it is published or abandoned; its pages are reserved; a frame
// that a subscriber with every=true has not fetched is given up only under on_full=drop, and counted. No function
// waits: a claim that would have to returns nullopt. The publisher's mutex protects all of it.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "framebus/base/namespace.hpp"
#include "framebus/core/publisher_files.hpp"
#include "framebus/options.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail {

// A slot that one thread fills.
struct ClaimedSlot {
  std::shared_ptr<Store> store;
  std::uint32_t slot = 0;
  std::int64_t since_ns = 0;  // the time of the claim
  std::int64_t idle_ns = 0;   // since the claim before that; 0 for the first of a slot, whose pages are new
  bool rehearsal = false;     // it is not claimed: nothing may be written into it
};

class SlotAllocator {
 public:
  SlotAllocator(PublisherFiles& files, const PublisherOptions& options) : files_(files), on_full_(options.on_full) {}

  [[nodiscard]] std::uint64_t dropped() const noexcept { return dropped_; }

  // At once; nullopt if that would need growth, pages, or waiting. `rehearsal`: the slot that would be claimed, without
  // claiming it.
  std::optional<ClaimedSlot> try_claim(std::uint64_t bytes, bool rehearsal = false) {
    if (!fits(bytes) || files_.awaits_readers()) return std::nullopt;
    ClaimRules may = rules(bytes, false);
    may.rehearsal = rehearsal;
    const Claimed claimed = files_.writer().claim(may);
    if (claimed.shortage != Shortage::none) return std::nullopt;
    if (rehearsal) return ClaimedSlot{files_.store(), claimed.slot, os::monotonic_ns(), 0, true};
    if (!files_.store()->is_reserved(claimed.slot, bytes)) {  // pages take time
      files_.writer().abandon(claimed.slot);
      return std::nullopt;
    }
    return taken(claimed, bytes);
  }

  // Grows if necessary. nullopt if a live reader with every=true is behind, unless on_full=drop.
  std::optional<ClaimedSlot> claim(std::uint64_t bytes) {
    if (!fits(bytes)) files_.grow(bytes, 0);
    files_.keep_for_awaited();
    for (std::uint32_t reaps = 0, futile = 0;;) {
      Claimed claimed = files_.writer().claim(rules(bytes, false));
      if (claimed.shortage == Shortage::none) return taken(claimed, bytes);
      // At most once for each record: a bit that is set again after that is not a reader's.
      if (reaps < kMaxReaders && reap_readers(*files_.control(), ~std::uint64_t{0}) > 0) {
        ++reaps;
        continue;
      }
      const std::uint32_t required = slots_required();
      if (files_.store()->slot_count() < required) {
        files_.grow(bytes, required);
        continue;
      }
      if (claimed.shortage == Shortage::needed) {
        if (on_full_ != OnFull::drop) return std::nullopt;
        claimed = files_.writer().claim(rules(bytes, true));
        if (claimed.shortage == Shortage::none) return taken(claimed, bytes);
      }
      // At any moment some slot is free: if none was found, readers moved during the search, so it is repeated.
      if (++futile < kFutileClaims) continue;
      files_.grow(bytes, files_.store()->slot_count() * 2);
    }
  }

  void abandon(const ClaimedSlot& claimed) noexcept {
    if (is_current(claimed) && !claimed.rehearsal) files_.writer().abandon(claimed.slot);
  }

  // Is it a slot of the current generation?
  [[nodiscard]] bool is_current(const ClaimedSlot& claimed) const noexcept {
    return claimed.store != nullptr && claimed.store == files_.store();
  }

  // Reserves `bytes` in the slot; false if only another slot has that much room.
  bool has_room(const ClaimedSlot& claimed, std::uint64_t bytes) {
    if (!is_current(claimed) || bytes > files_.store()->slot_bytes()) return false;
    reserve(claimed.slot, bytes);
    return true;
  }

  // Does prefault_next() have nothing to do?
  [[nodiscard]] bool is_prefaulted() const noexcept {
    return files_.store()->generation() == prefaulted_generation_ && files_.store()->reservations() == prefaulted_;
  }

  // Allocates pages for a next frame like this one, after this one was published; only if a slot has just come into
  // use. A lack of memory shows when the slot is claimed.
  void prefault_next(const Descriptor& frame) noexcept {
    if (is_prefaulted()) return;
    Store& store = *files_.store();
    const std::uint32_t slot = files_.writer().next_guess();
    if (slot < store.slot_count()) {
      static_cast<void>(store.try_reserve(slot, used_bytes(frame)));  // not repeated at every frame if it fails
    }
    prefaulted_generation_ = store.generation();
    prefaulted_ = store.reservations();
  }

 private:
  static constexpr std::uint64_t kCheapRing = 4 << 20;  // bytes; a channel this small keeps all its slots for history
  static constexpr std::uint32_t kFutileClaims = 16;    // claims without a slot before growing; see tests/model

  [[nodiscard]] bool fits(std::uint64_t bytes) const noexcept {
    return files_.store() != nullptr && bytes <= files_.store()->slot_bytes();
  }

  [[nodiscard]] ClaimRules rules(std::uint64_t bytes, bool may_drop) const {
    const std::uint64_t slots = files_.store()->slot_count();
    const bool cheap = bytes <= kCheapRing / slots;
    return {cheap ? slots : std::min<std::uint64_t>(files_.block().history_wanted.load(), slots), may_drop, false};
  }

  [[nodiscard]] std::uint32_t slots_required() const {
    std::uint32_t budgets = 0;
    for_each_reader(files_.block(), [&](std::uint32_t, ReaderRecord& record) { budgets += budget_of(record); });
    return budgets + 2 + files_.writer().in_flight_count();  // the newest frame and the one about to be filled
  }

  ClaimedSlot taken(const Claimed& claimed, std::uint64_t bytes) {
    dropped_ += claimed.dropped;
    files_.block().dropped.store(dropped_, std::memory_order_relaxed);  // relaxed: for statistics
    try {
      reserve(claimed.slot, bytes);
      const std::int64_t now = os::monotonic_ns();
      return ClaimedSlot{files_.store(), claimed.slot, now, idle_since_last_claim(claimed.slot, now)};
    } catch (...) {
      files_.writer().abandon(claimed.slot);
      throw;
    }
  }

  std::int64_t idle_since_last_claim(std::uint32_t slot, std::int64_t now) {
    const std::uint32_t generation = files_.store()->generation();
    if (claimed_generation_ != generation) {
      claimed_ns_.assign(files_.store()->slot_count(), 0);
      claimed_generation_ = generation;
    }
    const std::int64_t before = std::exchange(claimed_ns_[slot], now);
    return before == 0 ? 0 : now - before;
  }

  void reserve(std::uint32_t slot, std::uint64_t bytes) {
    if (!files_.store()->reserve(slot, bytes)) fail(Errc::frame_too_large, no_room("one frame", bytes));
  }

  PublisherFiles& files_;
  OnFull on_full_;
  std::uint64_t dropped_ = 0;
  std::uint32_t prefaulted_generation_ = 0;
  std::uint64_t prefaulted_ = 0;  // the store's reservations when a slot was last prefaulted
  std::uint32_t claimed_generation_ = 0;
  std::vector<std::int64_t> claimed_ns_;  // when each slot of that generation was last claimed
};

}  // namespace framebus::inline FRAMEBUS_VERSION::detail
