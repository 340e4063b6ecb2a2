// SPDX-License-Identifier: Apache-2.0
// The files of a publisher: the control block and the store of the current generation. They grow with the frames and
// are recreated when another program has removed them.
//
// Another program may remove the files of a live channel; logind does so for all files of a user who logs out. Open and
// mapped files keep working, but no program can attach to them any more. So the publisher checks: at a claim a
// millisecond after the last check or later, and at every 16th claim, it asks the kernel whether either of its open
// files has lost its name (two fstat calls of 0.3 to 0.7 microseconds). Once a second it also compares the names with
// the files, which finds files that were renamed or replaced. A publisher that finds no free slot checks before it
// fails, and after each slice of its wait.
//
// It then recreates what is missing: a control block for the same channel (succession.hpp), and a store of the next
// generation with all frames of the old one. The sequence continues. Subscribers rejoin and keep their cursors; frames
// that one with every=True has not fetched are needed also before it has rejoined, so that on_full keeps its meaning. A
// frame that is given up nevertheless is counted when the subscriber fetches its next one. If the name belongs to
// another live publisher by then, or the files can't be created, the call that claims a slot fails with the reason, and
// so does each later one until it succeeds.
//
// A publisher that sends nothing does not check, since there is no thread for it.
//
// No function here waits or locks, except await_readers(): the publisher's mutex protects all of it.
//
// A publisher that closes while readers are left in a replaced control block (after a removal, or after a takeover with
// a narrower mode) first waits for them for up to half a second. The last participant removes the files, and a reader
// that has not rejoined is not yet one: without the pause it would lose the last frames.
#pragma once

#include <algorithm>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "framebus/base/namespace.hpp"
#include "framebus/options.hpp"
#include "framebus/segment/growth.hpp"
#include "framebus/segment/takeover.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail {

class PublisherFiles {
 public:
  PublisherFiles(const std::string& name, const PublisherOptions& options)
      : options_(options),
        control_(join_as_publisher(name, options.mode)),
        seq_(frame_seq(control_->block().head.load())) {}

  [[nodiscard]] const std::string& name() const noexcept { return control_->name(); }
  [[nodiscard]] const std::shared_ptr<Control>& control() const noexcept { return control_; }
  [[nodiscard]] ControlBlock& block() const noexcept { return control_->block(); }
  // nullptr before the first frame.
  [[nodiscard]] const std::shared_ptr<Store>& store() const noexcept { return generation_.store; }
  [[nodiscard]] SlotWriter& writer() const noexcept { return *generation_.writer; }
  // The newest frame's; continues the last publisher's sequence.
  [[nodiscard]] std::uint64_t seq() const noexcept { return seq_; }
  void set_seq(std::uint64_t seq) noexcept { seq_ = seq; }

  // Asks readers to announce that they have released a slot. Pairs with their load after they have moved.
  void want_space(bool wanted) noexcept {
    space_wanted_ = wanted;
    block().space_wanted.store(wanted ? 1 : 0);
  }

  // Throws if either file was truncated.
  void check_intact() const {
    control_->check_intact();
    if (store() != nullptr && store()->is_broken()) fail_truncated(store_path(name(), store()->generation()));
  }

  // The next generation, for frames of `bytes` and with at least `slots` slots.
  void grow(std::uint64_t bytes, std::uint32_t slots) {
    if (!still_has_name(*control_)) recreate();
    std::shared_ptr<Store> old = store();
    GrowthPlan plan{std::max(slots, options_.slots), bytes + kPage, bytes, options_.mode};
    if (old == nullptr) {
      plan.slot_bytes = std::max(plan.slot_bytes, options_.max_bytes + kPage);
      old = store_of_predecessor();
    } else if (bytes > old->slot_bytes()) {
      plan.slot_bytes = std::max(plan.slot_bytes, old->slot_bytes() / 2 * 3);
    }
    switch_to(make_generation(*control_, old, plan));
  }

  // Was a removal found whose files are not recreated yet? No slot may be claimed then: writer() looks for holds in a
  // control block that readers may have left already.
  [[nodiscard]] bool must_recreate() const noexcept { return removed_; }

  // Is a file gone? Checks only if it is time, or `at_once`.
  bool are_removed(std::int64_t now, bool at_once) {
    if (removed_) return true;
    if (!at_once && ++claims_ < kClaimsPerCheck && now - checked_ns_ < kCheckPeriod) return false;
    claims_ = 0;
    checked_ns_ = now;
    removed_ = os::is_unlinked(control_->file()) || (store() != nullptr && os::is_unlinked(store()->file()));
    if (removed_ || now - names_checked_ns_ < kNameCheckPeriod) return removed_;
    names_checked_ns_ = now;
    removed_ = !are_named();
    return removed_;
  }

  // Recreates what is missing of the two files. Throws on failure; the next claim then calls it again.
  void recreate() {
    removed_ = true;
    check_still_owner(*control_);
    if (!still_has_name(*control_)) recreate_control();
    if (store() != nullptr) {
      const GrowthPlan plan{store()->slot_count(), store()->slot_bytes(), 0, options_.mode, writer().head()};
      switch_to(make_generation(*control_, store(), plan));
    }
    FRAMEBUS_STEP("recreate:complete");
    announce(block());
    for_each_predecessor([](Control& old) { mark_moved(old.block(), false); });
    removed_ = false;
  }

  // Are there replaced control blocks with `every` readers that have not rejoined?
  [[nodiscard]] bool awaits_readers() const noexcept { return !awaited_.empty(); }

  // Keeps the frames that these readers have not fetched. All of them may attach with this publisher's mode: the
  // replaced block had the same mode.
  void keep_for_awaited() {
    if (awaited_.empty()) return;
    std::uint64_t least = std::numeric_limits<std::uint64_t>::max();
    std::erase_if(awaited_, [&](const std::shared_ptr<Control>& control) {
      bool none = true;
      for_each_reader(control->block(), [&](std::uint32_t i, ReaderRecord& record) {
        if ((record.flags.load() & kReaderEvery) == 0 || !is_reader_alive(*control, i)) return;
        least = std::min(least, record.cursor.load());  // pairs with the store in Fetcher::take
        none = false;
      });
      return none;
    });
    writer().keep_after(least);
  }

  // Closes the channel, for readers of replaced control blocks too, and leaves it.
  void close() noexcept {
    block().closed_epoch.store(block().publisher_epoch.load());
    FRAMEBUS_STEP("close:epoch");
    block().state.store(kStateClosed);
    FRAMEBUS_STEP("close:state");
    announce(block());
    for_each_predecessor([](Control& old) {
      old.block().closed_epoch.store(old.block().publisher_epoch.load());
      announce(old.block());
    });
    leave_channel(*control_, kPublisherByte);
    control_->file().close();
    control_->predecessor.reset();
    written_.reset();  // no frame is published any more
  }

 private:
  static constexpr std::uint32_t kClaimsPerCheck = 16;
  static constexpr std::int64_t kCheckPeriod = 1'000'000;          // ns
  static constexpr std::int64_t kNameCheckPeriod = 1'000'000'000;  // ns

  void switch_to(Generation next) {
    generation_ = std::move(next);
    written_ = control_;
  }

  template <class Function>
  void for_each_predecessor(Function function) const {
    for (Control* old = control_->predecessor.get(); old != nullptr; old = old->predecessor.get()) function(*old);
  }

  // The predecessor's store; nullptr if it is broken or not a store, since no frame can be kept then.
  [[nodiscard]] std::shared_ptr<Store> store_of_predecessor() const {
    const std::uint32_t generation = block().generation.load();
    try {
      return generation == 0 ? nullptr : open_store(*control_, generation);
    } catch (const Error& error) {
      if (error.code() != Errc::corrupt_channel && error.code() != Errc::permission_denied) throw;
      return nullptr;
    }
  }

  [[nodiscard]] bool are_named() const {
    return still_has_name(*control_) &&
           (store() == nullptr || os::is_named(store()->file(), store_path(name(), store()->generation())));
  }

  // Puts the channel under its name without frames: readers that attach find none until there is a store.
  void recreate_control() {
    auto fresh = make_successor(*control_, options_.mode);
    ControlBlock& to = fresh->block();
    write_identity(to.publisher);
    const bool has_store = store() == nullptr && os::exists(store_path(name(), to.generation.load()));
    if (!has_store) {
      to.head.store(seq_ == 0 ? 0 : frame_word(seq_, kNoSlot));
      to.generation.store(0);
    }
    if (space_wanted_) to.space_wanted.store(1);
    to.state.store(kStateOpen);
    FRAMEBUS_STEP("recreate:made");
    // Has effect once the name leads elsewhere: a death in between leaves no reader here.
    block().state.store(kStateMoved);
    try {
      take_name_back(*fresh);
    } catch (const Error& error) {
      block().state.store(kStateOpen);
      fail(error.code(), "another program removed the files of channel '" + name() +
                             "' while it was in use, and the channel can't be made again: " + error.what());
    }
    FRAMEBUS_STEP("recreate:named");
    awaited_.push_back(control_);
    keep_predecessor(*fresh, control_);
    control_ = std::move(fresh);
  }

  PublisherOptions options_;
  std::shared_ptr<Control> control_;
  std::shared_ptr<Control> written_;  // by writer(); older than control_ after a recreate() that failed half-way
  Generation generation_;
  std::uint64_t seq_;
  bool space_wanted_ = false;
  std::uint32_t claims_ = 0;                       // since the last check of the files
  std::int64_t checked_ns_ = 0;                    // the time of that check
  std::int64_t names_checked_ns_ = 0;              // the time when the names were checked
  std::vector<std::shared_ptr<Control>> awaited_;  // replaced by ours, with `every` readers that have not rejoined
  bool removed_ = false;                           // found, and not recreated yet
};

// Waits, before the channel ends, until the readers of replaced control blocks have rejoined. Sleeping readers have
// been woken and rejoin within milliseconds. The limit is for readers that do not fetch, may not attach, or hold a
// frame of the old block. To be called without the mutex.
inline void await_readers(std::shared_ptr<Control> replaced) noexcept {
  constexpr int kPauses = 500;
  try {
    for (int i = 0; replaced != nullptr && i < kPauses; ++i) {
      while (replaced != nullptr && !has_readers(*replaced)) replaced = replaced->predecessor;
      if (replaced != nullptr) os::sleep_ns(1'000'000);
    }
  } catch (const Error&) {
    // Closing cannot fail: where the kernel can't be asked, no reader is waited for.
  }
}

}  // namespace framebus::inline FRAMEBUS_VERSION::detail
