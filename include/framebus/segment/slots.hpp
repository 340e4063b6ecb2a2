// SPDX-License-Identifier: Apache-2.0
// Publishing and holding: the algorithm that decides which side may touch a slot. No system call, no allocation.
//
// Overview. One publisher, many readers. `head` is the frame word of the newest frame: sequence and slot in one
// integer. A reader that wants a frame stores the frame word into one of its holds and then checks that the slot still
// has that frame. A publisher that wants a slot sets the mark in its slot word and then checks that no hold names its
// frame.
//
// Concurrency. Let R1 = reader stores hold, R2 = reader loads slot word, P1 = publisher marks slot word, P2 = publisher
// loads the holds. All four are sequentially consistent, so they have one total order S that agrees with each side's
// own order (R1 < R2, P1 < P2). If R2 does not see the mark, and the mark was not taken back, R2 < P1, hence R1 < P2,
// and P2 sees the hold or something that this reader stored later. If P2 does not see the hold, P2 < R1, hence P1 < R2,
// and R2 sees the mark (or a later sequence). So reader and publisher never both believe that the slot is theirs.
//
// The publisher's writes into a slot that it has taken are ordered after all reads of earlier holders: a holder clears
// its hold with release (or stores its next hold, which is sequentially consistent and thus a release), P2 reads that
// value or a later one of the same reader, and acquires. A reader's reads of a slot that it holds are ordered after the
// publisher's writes: the publisher stores the slot word with release after the last write, R2 reads that value and
// acquires.
//
// Life cycle of a slot word: 0 (never used) or an old frame's word -> the same word with the mark -> either back,
// because a reader holds the frame, or because the claim was a rehearsal, or 1, being written -> the new frame's word.
// A publisher that dies leaves a mark or a 1; each publisher makes its own frame store, so another publisher never
// meets them. The hold of a reader that has died stays valid until the publisher clears its record.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "framebus/base/namespace.hpp"
#include "framebus/layout/layout.hpp"
#include "framebus/segment/frame_store.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail {

// Calls f(index, record) for each reader record in use.
template <class F>
void for_each_reader(ControlBlock& control, F&& f) {
  // Sequentially consistent: pairs with the fetch_or in ReaderSession. A reader whose bit is missed here sets it, and
  // all its holds, later in S than this load, thus later than the mark that precedes this load, and sees that mark.
  std::uint64_t bits = control.readers.load();
  while (bits != 0) {
    const auto i = static_cast<std::uint32_t>(std::countr_zero(bits));
    bits &= bits - 1;
    f(i, control.reader[i]);
  }
}

inline std::uint32_t budget_of(const ReaderRecord& record) noexcept {
  return std::min(record.hold_budget.load(std::memory_order_relaxed),
                  kMaxHolds);  // relaxed: set before the reader's bit
}

// The frames that a publisher may give up when it claims a slot.
struct ClaimRules {
  std::uint64_t retain = 0;  // the number of newest frames to keep if another slot can be taken
  bool may_drop = false;     // give up the oldest frame that a lagging reader needs
  bool rehearsal = false;    // take nothing: every mark is taken back
};

enum class Shortage { none, needed, held };

struct Claimed {
  Shortage shortage = Shortage::none;  // none: `slot` is yours
  std::uint32_t slot = 0;
  std::uint64_t dropped = 0;  // for each frame given up, the number of readers that needed it
};

// The publisher's half: one for each store, used under the publisher's mutex.
class SlotWriter {
 public:
  SlotWriter(ControlBlock& control, const SlotTable& table) : SlotWriter(control, table, control.head.load()) {}
  // `head`: the newest frame's word if the control block does not have it yet.
  SlotWriter(ControlBlock& control, const SlotTable& table, std::uint64_t head)
      : control_(control),
        table_(table),
        head_(head),
        sequences_(table.slot_count, 0),
        in_flight_(table.slot_count, 0) {}

  // Takes a slot: the lowest free one; else the oldest one kept for history; else, if allowed, the oldest one needed.
  Claimed claim(const ClaimRules& rules) {
    rehearsal_ = rules.rehearsal;
    needed_ = std::min(needed_after(), needed_elsewhere_);
    const std::uint64_t kept = frame_seq(head_) > rules.retain ? frame_seq(head_) - rules.retain : 0;
    bool some_needed = false;
    for (std::uint32_t s = 0; s < table_.slot_count; ++s) {
      if (in_flight_[s] != 0 || frame_word(sequences_[s], s) == head_) continue;
      some_needed = some_needed || sequences_[s] > needed_;
      if (sequences_[s] > std::min(needed_, kept)) continue;
      if (sequences_[s] != 0 && is_held(frame_word(sequences_[s], s))) continue;  // spares the mark; try_take decides
      if (try_take(s)) return {Shortage::none, s, 0};
    }
    if (const auto s = take_oldest(0, needed_)) return {Shortage::none, *s, 0};
    if (rules.may_drop && some_needed) {
      if (const auto s = take_oldest(needed_, std::numeric_limits<std::uint64_t>::max())) {
        return {Shortage::none, *s, losers_};
      }
    }
    return {some_needed ? Shortage::needed : Shortage::held, 0, 0};
  }

  // The slot that the next claim takes if no reader holds or needs its frame: a guess, slot_count for none.
  [[nodiscard]] std::uint32_t next_guess() const {
    std::uint32_t s = 0;
    while (s < table_.slot_count && (in_flight_[s] != 0 || frame_word(sequences_[s], s) == head_)) ++s;
    return s;
  }

  // Returns a claimed slot. Its old frame is gone, its word stays marked.
  void abandon(std::uint32_t slot) {
    sequences_[slot] = 0;
    in_flight_[slot] = 0;
  }

  // Makes a filled slot the newest frame.
  void publish(std::uint32_t slot, std::uint64_t seq) {
    place(slot, seq);
    FRAMEBUS_STEP("publish:directory");
    // Sequentially consistent: pairs with a reader's load of head, and precedes the change of `wake`, see
    // wait/waiter.hpp.
    head_ = frame_word(seq, slot);
    control_.head.store(head_);
    FRAMEBUS_STEP("publish:head");
  }

  // Puts a filled slot into the store without making it the newest frame.
  void place(std::uint32_t slot, std::uint64_t seq) {
    FRAMEBUS_STEP("publish:filled");
    // Release: pairs with R2; a reader that sees this sequence sees the frame.
    table_.slots[slot].word.store(slot_word(seq), std::memory_order_release);
    FRAMEBUS_STEP("publish:slot_word");
    Atomic<std::uint64_t>& entry = table_.directory[seq & table_.directory_mask];
    // Relaxed load: only this side writes it. Release store: pairs with the acquire load in SlotReader::find.
    if (frame_seq(entry.load(std::memory_order_relaxed)) < seq) {
      entry.store(frame_word(seq, slot), std::memory_order_release);
    }
    sequences_[slot] = seq;
    in_flight_[slot] = 0;
  }

  [[nodiscard]] std::uint64_t head() const noexcept { return head_; }
  // Frames after `cursor` are needed by a reader that is not in this control block yet.
  void keep_after(std::uint64_t cursor) noexcept { needed_elsewhere_ = cursor; }

  [[nodiscard]] std::uint32_t in_flight_count() const {
    return static_cast<std::uint32_t>(
        std::count_if(in_flight_.begin(), in_flight_.end(), [](auto used) { return used != 0; }));
  }

 private:
  // P2: does any reader hold this frame?
  [[nodiscard]] bool is_held(std::uint64_t word) const {
    bool held = false;
    for_each_reader(control_, [&](std::uint32_t, ReaderRecord& record) {
      for (std::uint32_t h = 0, n = budget_of(record); h < n && !held; ++h) held = record.holds[h].load() == word;
    });
    return held;
  }

  // The smallest cursor of the readers with every=true; frames after it are needed. Cursors only grow, so an old value
  // is safe.
  [[nodiscard]] std::uint64_t needed_after() const {
    std::uint64_t least = std::numeric_limits<std::uint64_t>::max();
    for_each_reader(control_, [&](std::uint32_t, ReaderRecord& record) {
      if ((record.flags.load(std::memory_order_acquire) & kReaderEvery) == 0) return;
      least = std::min(least, record.cursor.load());
    });
    return least;
  }

  // The number of readers that lose the frame `seq` if its slot is reused. To be called in try_take, after the holds
  // were read: a reader moves its cursor before it clears its hold, so a cursor below `seq` means that it will not get
  // the frame.
  [[nodiscard]] std::uint64_t losers(std::uint64_t seq) const {
    std::uint64_t count = 0;
    for_each_reader(control_, [&](std::uint32_t, ReaderRecord& record) {
      if ((record.flags.load(std::memory_order_acquire) & kReaderEvery) != 0 && record.cursor.load() < seq) ++count;
    });
    return count;
  }

  // P1, P2 and, if the frame is held, the old word again. True: the slot may be written.
  bool try_take(std::uint32_t slot) {
    Atomic<std::uint64_t>& word = table_.slots[slot].word;
    const std::uint64_t seq = sequences_[slot];
    word.store(slot_word(seq) | 1);
    FRAMEBUS_STEP("claim:marked");
    const bool held = seq != 0 && is_held(frame_word(seq, slot));
    if (held || rehearsal_) {
      word.store(slot_word(seq), std::memory_order_release);  // release: the frame is as it was published
      return !held;
    }
    // Readers that see the mark wait for the decision, so none of them moves its cursor past `seq` before this count.
    losers_ = seq > needed_ ? losers(seq) : 0;
    word.store(1, std::memory_order_release);  // final: a reader that searches for `seq` stops waiting
    FRAMEBUS_STEP("claim:taken");
    in_flight_[slot] = 1;
    return true;
  }

  // Takes the oldest possible slot whose sequence is in (above, up_to].
  std::optional<std::uint32_t> take_oldest(std::uint64_t above, std::uint64_t up_to) {
    for (;;) {
      std::optional<std::uint32_t> oldest;
      for (std::uint32_t s = 0; s < table_.slot_count; ++s) {
        const std::uint64_t seq = sequences_[s];
        if (in_flight_[s] != 0 || seq <= above || seq > up_to || frame_word(seq, s) == head_) continue;
        if (!oldest || seq < sequences_[*oldest]) oldest = s;
      }
      if (!oldest || (!is_held(frame_word(sequences_[*oldest], *oldest)) && try_take(*oldest))) return oldest;
      above = sequences_[*oldest];
    }
  }

  ControlBlock& control_;
  SlotTable table_;
  // Private copies of what only this side writes: exact, and not writable by others.
  std::uint64_t head_;
  std::vector<std::uint64_t> sequences_;  // the frame in each slot
  std::vector<std::uint8_t> in_flight_;   // slots being filled right now
  std::uint64_t needed_ = 0;              // as of the latest claim
  std::uint64_t needed_elsewhere_ = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t losers_ = 0;
  bool rehearsal_ = false;
};

// A reader's half, on the reader's own record.
class SlotReader {
 public:
  SlotReader(ReaderRecord& record, const SlotTable& table) : record_(record), table_(table) {}

  // R1, R2. True: the frame is the caller's until release().
  [[nodiscard]] bool try_hold(std::uint32_t hold, std::uint64_t word) {
    record_.holds[hold].store(word);
    FRAMEBUS_STEP("fetch:hold_written");
    const std::uint32_t slot = frame_slot(word);
    if (slot < table_.slot_count && table_.slots[slot].word.load() == slot_word(frame_seq(word))) {
      FRAMEBUS_STEP("fetch:held");
      return true;
    }
    record_.holds[hold].store(0, std::memory_order_release);  // nothing was read
    return false;
  }

  // The frame word of the frame `seq`, or 0. Acquire: pairs with place().
  [[nodiscard]] std::uint64_t find(std::uint64_t seq) const {
    const std::uint64_t word = table_.directory[seq & table_.directory_mask].load(std::memory_order_acquire);
    return frame_seq(word) == seq ? word : 0;
  }

  // The frame word of the oldest frame with a sequence in (after, up_to] in any slot, or 0. A marked slot keeps its old
  // sequence until it is published again, and its word may still be restored: `marked_too` says whether it counts.
  [[nodiscard]] std::uint64_t oldest_after(std::uint64_t after, std::uint64_t up_to, bool marked_too) const {
    std::uint64_t oldest = 0;
    for (std::uint32_t s = 0; s < table_.slot_count; ++s) {
      const std::uint64_t word = table_.slots[s].word.load(std::memory_order_acquire);  // a guess: R2 decides
      const std::uint64_t seq = slot_seq(word);
      if (seq <= after || seq > up_to || (slot_being_written(word) && !marked_too)) continue;
      if (oldest == 0 || seq < frame_seq(oldest)) oldest = frame_word(seq, s);
    }
    return oldest;
  }

  // After the last read of the frame; release, and in S before the load of `space_wanted` that follows it.
  void release(std::uint32_t hold) { record_.holds[hold].store(0); }

 private:
  ReaderRecord& record_;
  SlotTable table_;
};

}  // namespace framebus::inline FRAMEBUS_VERSION::detail
