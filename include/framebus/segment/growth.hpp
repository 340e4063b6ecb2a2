// SPDX-License-Identifier: Apache-2.0
// The next generation of a channel's store: larger slots, more slots, or a new publisher's own.
//
// Promise: either the channel has moved to a complete new store with every valid frame of the old one in the same slot,
// or an error is thrown and nothing has changed. Readers need not be told: they see the new generation when they search
// for a frame that the old store does not have. The old store is never written again and exists while it is mapped
// anywhere.
#pragma once

#include <cstring>
#include <memory>
#include <string>

#include "framebus/base/namespace.hpp"
#include "framebus/segment/slots.hpp"
#include "framebus/segment/succession.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail {

struct Generation {
  std::shared_ptr<Store> store;
  std::unique_ptr<SlotWriter> writer;
};

// The end of a frame's bytes in its slot.
inline std::uint64_t used_bytes(const Descriptor& d) noexcept {
  std::uint64_t end = d.meta_bytes == 0 ? 0 : d.meta_offset + d.meta_bytes;
  for (std::uint32_t i = 0; i < d.array_count; ++i) end = std::max(end, d.arrays[i].offset + d.arrays[i].bytes);
  return end;
}

// Copies the frames that `head` covers and checks them as a subscriber does: the old store may be a dead program's.
inline void copy_frames(const Store& from, Generation& to, std::uint64_t head_seq) {
  for (std::uint32_t s = 0; s < from.slot_count(); ++s) {
    const SlotRecord& old = from.table().slots[s];
    const std::uint64_t word = old.word.load(std::memory_order_acquire);  // pairs with SlotWriter::place
    if (word == 0 || slot_being_written(word) || slot_seq(word) > head_seq) continue;
    Descriptor frame;
    if (read_descriptor(frame, old, slot_seq(word), from.slot_bytes()) != nullptr) continue;
    const std::uint64_t bytes = used_bytes(frame);
    if (!to.store->reserve(s, bytes)) fail(Errc::frame_too_large, no_room("moving to a larger store", bytes));
    std::memcpy(to.store->payload(s), from.payload(s), bytes);
    write_descriptor(to.store->table().slots[s], frame);
    to.writer->place(s, frame.seq);
  }
}

// Reserves room for the frame that made the growth necessary, so that a lack of memory shows before anything has
// changed. In a store without frames that is the slot that will be claimed; the next one is prefaulted when the frame
// is published.
inline void reserve_first(Generation& to, std::uint64_t bytes) {
  for (std::uint32_t s = to.writer->next_guess(); s < to.store->slot_count(); ++s) {
    if (to.store->table().slots[s].word.load(std::memory_order_relaxed) != 0)
      continue;  // relaxed: no other thread has the store yet
    if (!to.store->reserve(s, bytes)) fail(Errc::frame_too_large, no_room("one frame", bytes));
    return;
  }
}

struct GrowthPlan {
  std::uint32_t slots = 0;
  std::uint64_t slot_bytes = 0;
  std::uint64_t frame_bytes = 0;  // of the frame that is about to be sent
  std::uint32_t mode = 0600;
  std::uint64_t head = 0;  // the newest frame's word if the control block does not have it yet; 0: it has
};

// A channel whose control block was removed by hand has no name any more. The name, and the stores of that name, belong
// to the next publisher.
inline void check_has_name(const Control& control) {
  if (still_has_name(control)) return;
  fail(Errc::corrupt_channel, control.path() +
                                  ": was removed while the channel was in use, so the channel has no name under which "
                                  "it could have another store; close this Publisher and open a new one");
}

// `old`: the current store if it can be read, else nullptr.
inline Generation make_generation(Control& control, const std::shared_ptr<Store>& old, const GrowthPlan& plan) {
  check_has_name(control);
  ControlBlock& block = control.block();
  // Relaxed, both: only publishers write them.
  const std::uint32_t last = old == nullptr ? block.generation.load(std::memory_order_relaxed) : old->generation();
  const std::uint64_t head = plan.head != 0 ? plan.head : block.head.load(std::memory_order_relaxed);
  const std::uint32_t number = next_generation(control.name(), last);
  const std::uint32_t slots = std::max(plan.slots, old == nullptr ? 0 : old->slot_count());
  const std::uint64_t slot_bytes = std::max(plan.slot_bytes, old == nullptr ? 0 : old->slot_bytes());
  if (slots > kMaxSlots) {
    fail(Errc::too_many_slots, "channel '" + control.name() + "' would need " + std::to_string(slots) +
                                   " slots, the most is " + std::to_string(kMaxSlots) +
                                   "; close a subscriber, or give the subscribers a smaller hold=");
  }
  Generation next;
  next.store = make_store(control, number, slots, slot_bytes, plan.mode);
  next.writer = std::make_unique<SlotWriter>(block, next.store->table(), head);
  if (old != nullptr) copy_frames(*old, next, frame_seq(head));
  FRAMEBUS_STEP("grow:made");
  reserve_first(next, plan.frame_bytes);
  FRAMEBUS_STEP("grow:copied");
  if (!os::link_name(next.store->file(), store_path(control.name(), number))) {
    fail(Errc::corrupt_channel, store_path(control.name(), number) +
                                    ": another program has just created it; find out which one, then try again");
  }
  FRAMEBUS_STEP("grow:named");
  const std::uint32_t slot = frame_slot(head);
  const bool lost = slot >= next.store->slot_count() ||
                    next.store->table().slots[slot].word.load(std::memory_order_relaxed) != slot_word(frame_seq(head));
  if (head != 0 && lost) {
    block.head.store(frame_word(frame_seq(head), kNoSlot));  // the newest frame is lost, its number is not used again
  }
  block.generation.store(number);  // pairs with the load in Fetcher::has_moved: a reader that sees it can open the file
  FRAMEBUS_STEP("grow:switched");
  if (plan.head != 0 && !lost) block.head.store(head);  // not before: a reader that sees it searches that store for it
  if (last != 0 && still_has_name(control)) os::unlink_quietly(store_path(control.name(), last));
  return next;
}

}  // namespace framebus::inline FRAMEBUS_VERSION::detail
