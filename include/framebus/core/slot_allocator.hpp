// SPDX-License-Identifier: Apache-2.0
// Which slot the next frame goes into: a free one, one whose frame may be given up, or one of a larger generation.
//
// Promises: a slot that is claimed belongs to one thread until it is published or abandoned; its pages are reserved; a
// frame that a subscriber with every=true has not fetched is given up only under on_full=drop, and counted. Nothing
// here waits: a claim that would have to returns nothing. The publisher's mutex protects all of it.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "framebus/base/namespace.hpp"
#include "framebus/core/publisher_files.hpp"
#include "framebus/options.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail {

// A slot that one thread fills.
struct ClaimedSlot {
  std::shared_ptr<Store> store;
  std::uint32_t slot = 0;
  std::int64_t since_ns = 0;
};

class SlotAllocator {
 public:
  SlotAllocator(PublisherFiles& files, const PublisherOptions& options) : files_(files), on_full_(options.on_full) {}

  [[nodiscard]] std::uint64_t dropped() const noexcept { return dropped_; }

  // At once, or nothing where that would need growing, pages, or waiting.
  std::optional<ClaimedSlot> try_claim(std::uint64_t bytes) {
    if (!fits(bytes) || files_.awaits_readers()) return std::nullopt;
    const Claimed claimed = files_.writer().claim(rules(bytes, false));
    if (claimed.shortage != Shortage::none) return std::nullopt;
    if (!files_.store()->is_reserved(claimed.slot, bytes)) {  // pages take time
      files_.writer().abandon(claimed.slot);
      return std::nullopt;
    }
    return taken(claimed, bytes);
  }

  // Grows where it has to. Nothing where a live reader that wants every frame is behind, unless on_full=drop.
  std::optional<ClaimedSlot> claim(std::uint64_t bytes) {
    if (!fits(bytes)) files_.grow(bytes, 0);
    files_.keep_for_awaited();
    for (std::uint32_t reaps = 0, futile = 0;;) {
      Claimed claimed = files_.writer().claim(rules(bytes, false));
      if (claimed.shortage == Shortage::none) return taken(claimed, bytes);
      // No more than there are lines: bits that come back by themselves are not a reader's.
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
      // At any instant some slot is free: where none was found, readers moved on during the look, so we look again.
      if (++futile < kFutileClaims) continue;
      files_.grow(bytes, files_.store()->slot_count() * 2);
    }
  }

  void abandon(const ClaimedSlot& claimed) noexcept {
    if (is_current(claimed)) files_.writer().abandon(claimed.slot);
  }

  // Is it a slot of the current generation?
  [[nodiscard]] bool is_current(const ClaimedSlot& claimed) const noexcept {
    return claimed.store != nullptr && claimed.store == files_.store();
  }

  // Makes room for `bytes` in it; false where only another slot has that.
  bool has_room(const ClaimedSlot& claimed, std::uint64_t bytes) {
    if (!is_current(claimed) || bytes > files_.store()->slot_bytes()) return false;
    reserve(claimed.slot, bytes);
    return true;
  }

  // Has prefault_next() nothing to do?
  [[nodiscard]] bool is_prefaulted() const noexcept {
    return files_.store()->generation() == prefaulted_generation_ && files_.store()->reservations() == prefaulted_;
  }

  // Pages for a next frame like this one, while it is on its way to the readers: only where a slot has just come into
  // use. Where there is no room, that shows when the slot is claimed.
  void prefault_next(const Descriptor& frame) noexcept {
    if (is_prefaulted()) return;
    Store& store = *files_.store();
    const std::uint32_t slot = files_.writer().next_guess();
    if (slot < store.slot_count()) {
      static_cast<void>(store.try_reserve(slot, used_bytes(frame)));  // a failure is not repeated at every frame
    }
    prefaulted_generation_ = store.generation();
    prefaulted_ = store.reservations();
  }

 private:
  static constexpr std::uint64_t kCheapRing = 4 << 20;  // bytes; a ring this small is kept whole, for history
  static constexpr std::uint32_t kFutileClaims = 16;    // claims that found nothing before growing; see tests/model

  [[nodiscard]] bool fits(std::uint64_t bytes) const noexcept {
    return files_.store() != nullptr && bytes <= files_.store()->slot_bytes();
  }

  [[nodiscard]] ClaimRules rules(std::uint64_t bytes, bool may_drop) const {
    const std::uint64_t slots = files_.store()->slot_count();
    const bool cheap = bytes <= kCheapRing / slots;
    return {cheap ? slots : std::min<std::uint64_t>(files_.block().history_wanted.load(), slots), may_drop};
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
    } catch (...) {
      files_.writer().abandon(claimed.slot);
      throw;
    }
    return ClaimedSlot{files_.store(), claimed.slot, os::monotonic_ns()};
  }

  void reserve(std::uint32_t slot, std::uint64_t bytes) {
    if (!files_.store()->reserve(slot, bytes)) fail(Errc::frame_too_large, no_room("one frame", bytes));
  }

  PublisherFiles& files_;
  OnFull on_full_;
  std::uint64_t dropped_ = 0;
  std::uint32_t prefaulted_generation_ = 0;
  std::uint64_t prefaulted_ = 0;  // the store's reservations when a slot was last prefaulted
};

}  // namespace framebus::inline FRAMEBUS_VERSION::detail
