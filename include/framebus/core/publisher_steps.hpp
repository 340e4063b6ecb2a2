// SPDX-License-Identifier: Apache-2.0
// The steps of PublisherCore: choosing, growing, publishing, counting. Included by publisher_core.hpp only.
//
// All of them but copy_of() and write_meta() run under the publisher's mutex.
#pragma once

#include "framebus/base/namespace.hpp"
#include "framebus/core/publisher_core.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail {

inline constexpr std::uint64_t kCheapRing = 4 << 20;  // bytes; a ring this small is kept whole, for history
inline constexpr std::uint32_t kVainClaims = 16;      // claims that found nothing before making room; see tests/model
inline constexpr int kVainWakes = 16;                 // wake-ups that woke nobody before asking who is still alive

inline ClaimRules PublisherCore::rules(std::uint64_t bytes, bool may_drop) const {
  const std::uint64_t slots = now_.store->slot_count();
  const bool cheap = bytes <= kCheapRing / slots;
  return {cheap ? slots : std::min<std::uint64_t>(control_->block().history_wanted.load(), slots), may_drop};
}

inline std::uint32_t PublisherCore::slots_required() const {
  std::uint32_t budgets = 0;
  for_each_reader(control_->block(), [&](std::uint32_t, ReaderLine& line) { budgets += budget_of(line); });
  return budgets + 2 + now_.writer->lent_count();  // the newest frame and the one about to be filled
}

inline void PublisherCore::grow(std::uint64_t bytes, std::uint32_t slots) {
  if (!is_current(*control_)) make_files_again();
  std::shared_ptr<Store> old = now_.store;
  GrowthPlan plan{std::max(slots, options_.slots), bytes + kPage, bytes, options_.mode};
  if (old == nullptr) {
    plan.slot_bytes = std::max(plan.slot_bytes, options_.max_bytes + kPage);
    const std::uint32_t generation = control_->block().generation.load();
    try {
      if (generation != 0) old = open_store(*control_, generation);
    } catch (const Error& error) {
      // A predecessor's broken store, or what stands in its place, holds nothing worth keeping.
      if (error.code() != Errc::corrupt_channel && error.code() != Errc::permission_denied) throw;
    }
  } else if (bytes > old->slot_bytes()) {
    plan.slot_bytes = std::max(plan.slot_bytes, old->slot_bytes() / 2 * 3);
  }
  now_ = make_generation(*control_, old, plan);
  prepared_ = 0;
}

inline std::optional<Filling> PublisherCore::filling(const Claimed& claimed, std::uint64_t bytes) {
  dropped_ += claimed.dropped;
  control_->block().dropped.store(dropped_, std::memory_order_relaxed);  // relaxed: for statistics
  if (!now_.store->reserve(claimed.slot, bytes)) {
    now_.writer->abandon(claimed.slot);
    fail(Errc::frame_too_large, no_room("one frame", bytes));
  }
  return Filling{now_.store, claimed.slot, os::monotonic_ns()};
}

inline std::optional<Filling> PublisherCore::claim_or_grow(std::uint64_t bytes) {
  if (now_.store == nullptr || bytes > now_.store->slot_bytes()) grow(bytes, 0);
  keep_for_awaited();
  for (std::uint32_t reaps = 0, vain = 0;;) {
    Claimed claimed = now_.writer->claim(rules(bytes, false));
    if (claimed.shortage == Shortage::none) return filling(claimed, bytes);
    // No more than there are lines: bits that come back by themselves are not a reader's.
    if (reaps < kMaxReaders && reap_readers(*control_, ~std::uint64_t{0}) > 0) {
      ++reaps;
      continue;
    }
    const std::uint32_t required = slots_required();
    if (now_.store->slot_count() < required) {
      grow(bytes, required);
      continue;
    }
    if (claimed.shortage == Shortage::needed) {
      if (options_.on_full != OnFull::drop) return std::nullopt;
      claimed = now_.writer->claim(rules(bytes, true));
      if (claimed.shortage == Shortage::none) return filling(claimed, bytes);
    }
    // At any instant some slot is free: where none was found, readers moved on during the look, so we look again.
    if (++vain < kVainClaims) continue;
    grow(bytes, now_.store->slot_count() * 2);
  }
}

inline Filling PublisherCore::copy_of(const Filling& filling, const Descriptor& frame, std::uint64_t bytes,
                                      Interrupt interrupt) {
  Filling other = claim(bytes, -1, interrupt);
  other.since_ns = filling.since_ns;
  std::memcpy(bytes_of(other), bytes_of(filling), frame.meta_offset);
  return other;
}

inline bool PublisherCore::has_room(const Filling& filling, std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  if (filling.store != now_.store || bytes > now_.store->slot_bytes()) return false;
  if (!now_.store->reserve(filling.slot, bytes)) fail(Errc::frame_too_large, no_room("one frame", bytes));
  return true;
}

// Not where it would not fit into what is reserved for this slot. Without the mutex: the slot is the caller's.
inline bool PublisherCore::write_meta(const Filling& filling, Descriptor& frame, std::string_view meta) {
  if (!filling.store->is_reserved(filling.slot, frame.meta_offset + meta.size())) return false;
  frame.meta_bytes = static_cast<std::uint32_t>(meta.size());
  if (!meta.empty()) std::memcpy(bytes_of(filling) + frame.meta_offset, meta.data(), meta.size());
  return true;
}

inline std::uint64_t PublisherCore::publish(Filling& filling, Descriptor& frame) {
  ControlBlock& block = control_->block();
  frame.seq = seq_ + 1;
  frame.published_ns = os::monotonic_ns();
  if (frame.timestamp_ns == 0) frame.timestamp_ns = frame.published_ns;
  if (frame.wall_time_ns == 0) frame.wall_time_ns = os::wall_ns();
  write_descriptor(now_.store->table().slots[filling.slot], frame);
  FRAMEBUS_STEP("publish:described");
  now_.writer->publish(filling.slot, frame.seq);
  filling.store = nullptr;
  seq_ = frame.seq;
  const int woken = announce(block);  // before all that readers need not wait for
  wakeups_ += woken >= 0 ? 1 : 0;
  // Relaxed, all of these: figures for statistics and for `predictive` waiting, whose guess may be off.
  const std::int64_t gap = frame.published_ns - last_ns_;
  if (frames_ != 0) {
    period_ns_ = period_ns_ == 0 ? gap : period_ns_ + (gap - period_ns_) / 8;
    block.period_ns.store(static_cast<std::uint64_t>(period_ns_), std::memory_order_relaxed);
  }
  last_ns_ = frame.published_ns;
  block.last_publish_ns.store(static_cast<std::uint64_t>(frame.published_ns), std::memory_order_relaxed);
  block.frames.store(++frames_, std::memory_order_relaxed);
  block.bytes.store(bytes_ += frame.payload_bytes, std::memory_order_relaxed);
  meter_.add(frame.published_ns, frame.published_ns - filling.since_ns);
  vain_wakes_ = woken == 0 ? vain_wakes_ + 1 : 0;
  if (vain_wakes_ >= kVainWakes) {
    reap_readers(*control_, block.sleepers.load());
    vain_wakes_ = 0;
  }
  prepare_next(frame);
  check_intact();  // who has been told that it was sent may rely on it
  return frame.seq;
}

// Pages for a next frame like this one, while it is on its way to the readers: only where a slot has just come into
// use. Where there is no room, that shows when the slot is claimed.
inline void PublisherCore::prepare_next(const Descriptor& frame) noexcept {
  if (now_.store->reservations() == prepared_) return;
  const std::uint32_t slot = now_.writer->next_guess();
  if (slot < now_.store->slot_count()) {
    static_cast<void>(now_.store->try_reserve(slot, used_bytes(frame)));  // a failure is not repeated at every frame
  }
  prepared_ = now_.store->reservations();
}

inline void PublisherCore::fail_full(const std::string& what, std::int64_t timeout_ns) const {
  ControlBlock& block = control_->block();
  const ReaderLine* slowest = nullptr;
  for_each_reader(block, [&](std::uint32_t, ReaderLine& line) {
    if ((line.flags.load() & kReaderEvery) == 0) return;
    if (slowest == nullptr || line.cursor.load() < slowest->cursor.load()) slowest = &line;
  });
  std::string message = "channel '" + name() + "' " + what;
  if (timeout_ns > 0) message += " " + seconds_text(timeout_ns);
  if (slowest != nullptr) {
    const std::uint64_t head = frame_seq(block.head.load());
    const Identity& who = slowest->identity;
    const bool keeps = (slowest->flags.load() & kReaderKeeper) != 0;
    message += (keeps ? ": program B, which is being started by process " : ": subscriber process ") +
               std::to_string(who.pid) + " (" + command_of(who) +
               (keeps ? ") and has fetched nothing yet, is " : "), which wants every frame, is ") +
               std::to_string(head - std::min(head, slowest->cursor.load())) + " frames behind";
  }
  fail(Errc::channel_full, message + "; make it faster, give the channel more slots=, or use on_full='drop'");
}

inline Statistics PublisherCore::statistics() const {
  check_not_forked();
  const std::lock_guard lock(mutex_);
  Statistics s;
  s.frames = frames_;
  s.bytes = bytes_;
  s.dropped = dropped_;
  s.wakeups = wakeups_;
  s.rate_hz = meter_.rate_hz(os::monotonic_ns());
  s.latency_p50_s = meter_.latency_s(0.50);
  s.latency_p99_s = meter_.latency_s(0.99);
  if (!closed_) reap_readers(*control_, ~std::uint64_t{0});  // who was killed does not count
  for_each_reader(control_->block(), [&](std::uint32_t, ReaderLine& line) {
    if ((line.flags.load() & kReaderObserver) == 0) ++s.subscribers;
    for (std::uint32_t h = 0, n = budget_of(line); h < n; ++h) s.held += line.holds[h].load() != 0 ? 1 : 0;
  });
  if (now_.store != nullptr) {
    s.slots = now_.store->slot_count();
    s.generation = now_.store->generation();
    s.memory_bytes = now_.store->allocated_bytes();
  }
  return s;
}

}  // namespace framebus::detail
