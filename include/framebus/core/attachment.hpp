// SPDX-License-Identifier: Apache-2.0
// A subscriber's attachment to a channel: its reader record and cursor, and how both move when the files change.
//
// The control block may be replaced while the channel continues (succession.hpp), and another program may remove the
// files (publisher_files.hpp). Either way the name then leads to another control block. The subscriber notices that
// after each slice of a sleep, when a fetch finds nothing, and when the fallback notifier has noticed it.
//
// The subscriber's mutex protects all of it.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "framebus/base/namespace.hpp"
#include "framebus/core/fetcher.hpp"
#include "framebus/core/notifications.hpp"
#include "framebus/core/publisher_state.hpp"
#include "framebus/options.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail {

class Attachment {
 public:
  Attachment(std::string name, const SubscriberOptions& options) : name_(std::move(name)), options_(options) {}

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] const std::shared_ptr<ReaderSession>& session() const noexcept { return session_; }
  [[nodiscard]] Fetcher& fetcher() const noexcept { return *fetcher_; }
  [[nodiscard]] Notifications& notifications() noexcept { return notifications_; }

  // Claims a reader record if the channel exists and its publisher lives, or died and left a frame.
  [[nodiscard]] bool attach() {
    auto claim = join_as_reader(name_);
    // It moved while we attached: the name leads to another control block.
    while (claim && claim->control->block().state.load() == kStateMoved && !still_has_name(*claim->control)) {
      leave_channel(*claim->control, reader_byte(claim->index));
      claim = join_as_reader(name_);
    }
    if (!claim) return false;
    const ControlBlock& block = claim->control->block();
    const std::uint32_t state = block.state.load();
    const bool left_a_frame = state != kStateClosed && block.head.load() != 0;
    if (is_publisher_alive(*claim->control) ? state != kStateOpen : !left_a_frame) {
      leave_channel(*claim->control, reader_byte(claim->index));
      return false;
    }
    session_ = std::make_shared<ReaderSession>(std::move(*claim), options_);
    fetcher_ = std::make_unique<Fetcher>(session_, options_);
    return true;
  }
  // Gives up the reader record, once all its frames are gone.
  void detach() noexcept {
    fetcher_.reset();
    session_.reset();
  }

  // Without reconnect: does the channel have another publisher now, whose frames this subscriber does not receive?
  [[nodiscard]] bool is_over() const { return !options_.reconnect && is_replaced(*session_); }
  [[nodiscard]] bool has_news() const { return !is_over() && fetcher_->has_news(); }
  [[nodiscard]] bool is_undecided() const { return !is_over() && fetcher_->is_undecided(); }
  [[nodiscard]] Ending ending(bool until_closed, bool ask_kernel) const {
    return detail::ending(*session_, options_.reconnect, until_closed, ask_kernel);
  }

  // The next frame if there is one now, in this control block or in the one that the channel has moved to.
  std::optional<Frame> fetch() {
    if (is_over()) return std::nullopt;
    notifications_.clear();
    auto frame = fetcher_->fetch();
    if (!frame && (options_.reconnect ? must_rejoin() : has_moved(*session_)) && rejoin()) {
      if (is_over()) return std::nullopt;
      frame = fetcher_->fetch();
    }
    if (frame) {
      notifications_.after_frame(*fetcher_);
    } else if (fetcher_->is_undecided()) {
      notifications_.look_again_soon();
    }
    return frame;
  }

  void reattach_if_removed() {
    if (is_orphaned()) rejoin();
  }
  // The same for a wait for several channels: once per slice of time, since its sleeps may be shorter than a slice.
  void check_liveness() {
    const std::int64_t now = os::monotonic_ns();
    if (now - liveness_checked_ns_ < kSlice) return;
    liveness_checked_ns_ = now;
    if (fetcher_->store_is_gone() || is_orphaned()) rejoin();
  }

  // The name leads to another control block now. Attaches again by name if the channel exists. In the same channel the
  // subscriber keeps its cursor. In another one, the old channel's frames that were not fetched are lost and counted.
  bool rejoin() {
    const FetchCounts counts = fetcher_->counts();
    const Fetcher::Progress progress = fetcher_->progress();
    const std::uint64_t left = fetcher_->pending();
    const auto session = session_;
    if (!attach()) return false;
    before_sleeps_ += session->waiter().sleeps();
    before_spun_ns_ += session->waiter().spun_ns();
    const bool same = session_->channel() == session->channel();
    if (same) fetcher_->resume(progress);
    if (!options_.reconnect) session_->keep_epoch(same ? session->epoch() : kNoEpoch);
    before_.missed += counts.missed + (options_.every || same ? 0 : left);
    before_.dropped += counts.dropped + (options_.every && !same ? left : 0);
    notifications_.move_to(session_);
    return true;
  }

  // Counts of this and all earlier control blocks.
  [[nodiscard]] std::uint64_t missed() const { return before_.missed + fetcher_->counts().missed; }
  [[nodiscard]] std::uint64_t dropped() const { return before_.dropped + fetcher_->counts().dropped; }
  [[nodiscard]] std::uint64_t sleeps() const { return before_sleeps_ + session_->waiter().sleeps(); }
  [[nodiscard]] std::int64_t spun_ns() const { return before_spun_ns_ + session_->waiter().spun_ns(); }

 private:
  // Must the subscriber attach again? Asks the kernel only if this has been noticed elsewhere.
  [[nodiscard]] bool must_rejoin() {
    if (fetcher_->store_is_gone() || has_moved(*session_)) return true;
    return notifications_.take_removal() && is_orphaned();
  }
  // Will no frame come any more in our control block? The name is free for another channel, or the channel continues in
  // another control block. Values that a program writes into ours do not count.
  [[nodiscard]] bool is_orphaned() const {
    const Control& control = session_->control();
    return !still_has_name(control) && (!is_publisher_alive(control) || has_moved(*session_) || has_successor());
  }
  [[nodiscard]] bool has_successor() const {
    const auto control = open_control(name_);
    return control != nullptr &&
           session_->channel() == ChannelId{control->block().channel_id[0], control->block().channel_id[1]};
  }

  std::string name_;
  SubscriberOptions options_;
  std::shared_ptr<ReaderSession> session_;
  std::unique_ptr<Fetcher> fetcher_;
  Notifications notifications_;
  std::int64_t liveness_checked_ns_ = 0;
  FetchCounts before_;  // counts of earlier sessions
  std::uint64_t before_sleeps_ = 0;
  std::int64_t before_spun_ns_ = 0;
};

}  // namespace framebus::inline FRAMEBUS_VERSION::detail
