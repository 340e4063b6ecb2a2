// SPDX-License-Identifier: Apache-2.0
// Chooses and holds the next frame: order, skipping, history, the move to the next frame store of a channel that grew.
//
// Promise: each call returns a frame later than all before, held and intact, or reports that there is none. Each frame
// skipped since the last call is counted: as missed (a newer one was preferred), or as dropped (the publisher reused
// its slot although it was wanted).
//
// If another program deletes the control block, the participants of the channel continue with it. The next publisher
// then takes the name, and may delete their frame stores. If a store is deleted before it is mapped here, the fetcher
// finds no more frames (store_is_gone()), and the subscriber rejoins by name.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "framebus/base/namespace.hpp"
#include "framebus/core/claim_patience.hpp"
#include "framebus/frame.hpp"
#include "framebus/session/reader_session.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail {

struct FetchCounts {
  std::uint64_t missed = 0;
  std::uint64_t dropped = 0;
};

class Fetcher {
 public:
  Fetcher(std::shared_ptr<ReaderSession> session, const SubscriberOptions& options)
      : session_(std::move(session)), every_(options.every), hold_limit_(options.hold) {
    const std::uint64_t head = block().head.load();
    const std::uint64_t newest = frame_seq(head);
    if (options.history != 0) {
      cursor_ = newest - std::min<std::uint64_t>(newest, options.history);
      backlog_until_ = newest;
      find_history(newest);
    } else {
      cursor_ = every_ || newest == 0 || frame_slot(head) == kNoSlot ? newest : newest - 1;
    }
    session_->record().cursor.store(cursor_);
  }

  // Is there a frame that was not fetched yet?
  [[nodiscard]] bool has_news() const noexcept {
    if (store_gone_) return false;
    const std::uint64_t head = block().head.load();
    return kept_ != 0 || (frame_seq(head) > cursor_ && frame_slot(head) != kNoSlot && !is_undecided());
  }
  [[nodiscard]] std::uint64_t pending() const noexcept {
    return frame_seq(block().head.load()) - std::min(cursor_, frame_seq(block().head.load()));
  }
  [[nodiscard]] bool store_is_gone() const noexcept { return store_gone_; }
  // Did the last fetch() find none because the publisher had not decided yet, and has it still not? Nobody is woken
  // when it does.
  [[nodiscard]] bool is_undecided() const noexcept {
    if (undecided_ == 0 || store_ == nullptr || has_moved()) return false;
    const std::uint64_t marked =
        slot_word(frame_seq(undecided_)) | 1;  // after the decision it is 1, or without the mark
    return store_->table().slots[frame_slot(undecided_)].word.load() == marked;  // pairs with try_take
  }
  [[nodiscard]] const FetchCounts& counts() const noexcept { return counts_; }
  [[nodiscard]] const std::shared_ptr<Store>& store() const noexcept { return store_; }

  // The position, for the next fetcher of the same subscriber and channel.
  struct Progress {
    std::uint64_t cursor, backlog_until, kept;
  };
  [[nodiscard]] Progress progress() const noexcept { return {cursor_, backlog_until_, kept_}; }
  void resume(const Progress& from) noexcept {
    cursor_ = from.cursor;
    backlog_until_ = from.backlog_until;
    kept_ = from.kept;
    session_->record().cursor.store(cursor_);
  }

  std::optional<Frame> fetch() {
    undecided_ = 0;
    check_intact();
    const auto hold = session_->take_hold();
    if (!hold) fail_too_many_held();
    tries_ = kTries;
    try {
      std::uint64_t word = hold_kept(*hold);
      if (word == 0) word = hold_next(*hold);
      check_intact();
      if (word != 0) return take(*hold, word);
    } catch (...) {
      session_->release(*hold);
      throw;
    }
    session_->give_back(*hold);
    return std::nullopt;
  }

 private:
  // How many steps of one fetch may fail, in all loops together: far more than a live publisher can cause.
  static constexpr int kTries = 4000;

  [[nodiscard]] ControlBlock& block() const noexcept { return session_->block(); }

  // The word of the frame that is now held, or 0 if there is no new frame.
  std::uint64_t hold_next(std::uint32_t hold) {
    for (;; try_again()) {
      const std::uint64_t head = block().head.load();  // pairs with SlotWriter::publish
      if (frame_seq(head) <= cursor_ || frame_slot(head) == kNoSlot) return 0;
      if (store_ == nullptr && !map_current()) return 0;
      const std::uint64_t word = every_ || cursor_ < backlog_until_ ? hold_oldest(hold, head) : hold_one(hold, head);
      // A frame in a store that has been replaced may have been given up, and counted, in the new one. If the store is
      // still current after our hold was written, the publisher will see the hold before it gives up a frame there.
      const bool moved = has_moved();
      if (!moved && (word != 0 || undecided_ != 0)) return word;
      if (word != 0) SlotReader(session_->record(), store_->table()).release(hold);
      if (moved) {
        undecided_ = 0;
        if (!map_current()) return 0;
      } else if (block().head.load() == head) {
        // Neither store nor head changed, so the publisher cannot have touched the head's slot.
        corrupt("the newest frame is not in the slot where it should be");
      }
    }
  }

  // The word of the frame that a keeper has kept for this subscriber, once, if it is still there.
  std::uint64_t hold_kept(std::uint32_t hold) {
    const std::uint64_t word = std::exchange(kept_, 0);
    if (word == 0) return 0;
    for (;; try_again()) {
      const std::uint64_t held = hold_one(hold, word);
      if (!has_moved()) return held;
      if (held != 0) SlotReader(session_->record(), store_->table()).release(hold);
      if (!map_current()) return 0;
    }
  }

  std::uint64_t hold_one(std::uint32_t hold, std::uint64_t word) {
    return SlotReader(session_->record(), store_->table()).try_hold(hold, word) ? word : 0;
  }

  // Holds the oldest frame after the cursor that is still there. 0: none, or the store is not the current one, or, with
  // `undecided_`, the publisher is about to decide whether it gives that frame up.
  std::uint64_t hold_oldest(std::uint32_t hold, std::uint64_t head) {
    const SlotReader reader(session_->record(), store_->table());
    const std::uint64_t next = frame_seq(head) == cursor_ + 1 ? head : reader.find(cursor_ + 1);
    if (next != 0 && hold_one(hold, next) != 0) return next;
    // It was given up, or a later frame has its directory entry. Each failed try means that the publisher made
    // progress, or that it has marked the slot and not yet decided.
    bool marked_too = true;
    for (ClaimPatience patience; !has_moved(); try_again()) {
      const std::uint64_t word = reader.oldest_after(cursor_, frame_seq(head), marked_too);
      if (word == 0) return 0;
      if (hold_one(hold, word) != 0) return word;
      const ClaimPatience::Answer answer = patience.wait(word, session_->control(), *store_);
      if (answer == ClaimPatience::Answer::undecided) undecided_ = word;
      if (undecided_ != 0) return 0;
      if (answer == ClaimPatience::Answer::abandoned) marked_too = false;
    }
    return 0;
  }

  Frame take(std::uint32_t hold, std::uint64_t word) {
    const std::uint64_t seq = frame_seq(word);
    const std::uint32_t slot = frame_slot(word);
    const char* reason = read_descriptor(session_->frame(hold), store_->table().slots[slot], seq, store_->slot_bytes());
    if (seq > cursor_) {  // false for the kept frame, which precedes all others and is not counted
      (every_ ? counts_.dropped : counts_.missed) += seq - cursor_ - 1;
      cursor_ = seq;
      session_->record().cursor.store(seq);  // before the hold is ever cleared, see SlotWriter::losers
    }
    FRAMEBUS_STEP("fetch:cursor_moved");
    if (every_) session_->notify_space();
    if (reason != nullptr) corrupt(reason);
    return {session_, store_, hold, slot};
  }

  [[nodiscard]] bool has_moved() const {
    return block().generation.load() != store_->generation();  // pairs with the store in make_generation
  }

  // False if the store is gone together with the channel's name.
  [[nodiscard]] bool map_current() {
    for (;; try_again()) {
      const std::uint32_t generation = block().generation.load();
      auto store = open_named_store(generation);
      // If another control block has the name, a store of that name belongs to it, and our holds protect nothing.
      if (store != nullptr && !still_has_name(session_->control()) && os::exists(session_->control().path())) {
        store_gone_ = true;
        return false;
      }
      if (store != nullptr) {
        store_ = std::move(store);
        return true;
      }
      store_gone_ = !still_has_name(session_->control());
      if (store_gone_) return false;
      // A publisher removes a store after it has moved on, never before.
      if (block().generation.load() == generation) {
        corrupt("its frame store " + store_path(session_->control().name(), generation) + " is missing");
      }
    }
  }

  // Once the channel has lost its name, a store that does not match is the next channel's.
  std::shared_ptr<Store> open_named_store(std::uint32_t generation) {
    try {
      return open_store(session_->control(), generation);
    } catch (const Error& error) {
      if (error.code() == Errc::corrupt_channel && !still_has_name(session_->control())) return nullptr;
      throw;
    }
  }

  void try_again() {
    if (--tries_ <= 0) corrupt("it changes in ways that no publisher changes it");
  }

  // Throws if either file was truncated. A Frame checks the older store that it may be in.
  void check_intact() const {
    session_->control().check_intact();
    if (store_ != nullptr && store_->is_broken()) {
      fail_truncated(store_path(session_->control().name(), store_->generation()));
    }
  }

  // History is the frames up to the newest that are still there without a gap; frames that were gone before this
  // subscriber attached count neither as missed nor as dropped. Older frames that another reader holds are not part of
  // it, except one that a keeper holds: the subscriber begins with that and continues without a gap if possible, at any
  // distance, else with the rest.
  void find_history(std::uint64_t newest) {
    if (newest == 0 || block().generation.load() == 0) return;
    const std::uint64_t kept = kept_word(newest);
    const std::uint64_t from = kept == 0 ? cursor_ : std::min(cursor_, frame_seq(kept) - 1);
    session_->record().cursor.store(from);  // before the search: claims that begin from now on keep these frames
    if (!map_current()) return;
    std::uint64_t first = newest + 1;
    while (first > from + 1 && is_there(first - 1)) --first;
    cursor_ = first == from + 1 ? from : std::max(cursor_, first - 1);
    if (frame_seq(kept) <= cursor_) kept_ = kept;
  }

  // The word of the oldest frame that a live keeper holds, 0 for none. A guess: hold_kept() decides.
  [[nodiscard]] std::uint64_t kept_word(std::uint64_t newest) const {
    std::uint64_t oldest = 0;
    for_each_reader(block(), [&](std::uint32_t i, ReaderRecord& record) {
      if ((record.flags.load() & kReaderKeeper) == 0 || !is_reader_alive(session_->control(), i)) return;
      const std::uint64_t word = record.holds[0].load();
      const std::uint64_t seq = frame_seq(word);
      if (seq != 0 && seq <= newest && (oldest == 0 || seq < frame_seq(oldest))) oldest = word;
    });
    return oldest;
  }

  [[nodiscard]] bool is_there(std::uint64_t seq) const {
    const SlotTable& table = store_->table();
    const std::uint64_t word = SlotReader(session_->record(), table).find(seq);
    const std::uint32_t slot = frame_slot(word);
    // Acquire, but only a guess: a frame that is taken later counts as dropped.
    return word != 0 && slot < table.slot_count &&
           table.slots[slot].word.load(std::memory_order_acquire) == slot_word(seq);
  }

  [[noreturn]] void corrupt(const std::string& what) const {
    check_intact();  // throws the better reason, if a file was truncated
    fail(Errc::corrupt_channel, "channel '" + session_->control().name() + "' is broken: " + what +
                                    "; something else writes to its shared memory; restart its publisher");
  }
  [[noreturn]] void fail_too_many_held() const {
    fail(Errc::too_many_held,
         "this Subscriber of '" + session_->control().name() + "' already holds " + std::to_string(hold_limit_) +
             " frames, all that hold=" + std::to_string(hold_limit_) +
             " allows; every frame, and every array made from one, keeps its slot: release() or copy() "
             "some, or pass a larger hold= (at most " +
             std::to_string(kMaxHolds) + ")");
  }

  std::shared_ptr<ReaderSession> session_;
  std::shared_ptr<Store> store_;
  bool every_;
  std::uint32_t hold_limit_;
  std::uint64_t cursor_ = 0;
  std::uint64_t backlog_until_ = 0;
  std::uint64_t kept_ = 0;  // word of a frame before the cursor that is to come first, 0 for none
  int tries_ = kTries;
  bool store_gone_ = false;
  std::uint64_t undecided_ = 0;  // word of the frame on which the last fetch() awaited a decision, 0 for none
  FetchCounts counts_;
};

}  // namespace framebus::inline FRAMEBUS_VERSION::detail
