// SPDX-License-Identifier: Apache-2.0
// The steps of SubscriberCore: attaching, waiting, noticing the end. Included by subscriber_core.hpp only.
#pragma once

#include "framebus/base/namespace.hpp"
#include "framebus/core/subscriber_core.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail {

inline constexpr std::uint32_t kNoEpoch = 0xffffffff;  // of no publisher

inline void SubscriberCore::check_options() const {
  check_name(name_);
  if (options_.hold < 1 || options_.hold > kMaxHolds) {
    fail(Errc::invalid_argument,
         "hold must be 1 to " + std::to_string(kMaxHolds) + ", got " + std::to_string(options_.hold));
  }
  if (options_.max_spin.ns() < 0 || options_.max_spin.ns() > 1'000'000'000) {
    fail(Errc::invalid_argument, "max_spin must be at most a second");
  }
  if (options_.history > 1024) {
    fail(Errc::invalid_argument, "history must be 0 to 1024, got " + std::to_string(options_.history));
  }
}

// Takes a place in the channel if there is one worth coming to: its publisher lives, or died leaving a frame.
inline bool SubscriberCore::attach() {
  auto seat = join_as_reader(name_);
  // One that moved while we came: the name leads to another.
  while (seat && seat->control->block().state.load() == kStateMoved && !is_current(*seat->control)) {
    leave(*seat->control, reader_byte(seat->index));
    seat = join_as_reader(name_);
  }
  if (!seat) return false;
  const ControlBlock& block = seat->control->block();
  const std::uint32_t state = block.state.load();
  const bool left_a_frame = state != kStateClosed && block.head.load() != 0;
  if (is_publisher_alive(*seat->control) ? state != kStateOpen : !left_a_frame) {
    leave(*seat->control, reader_byte(seat->index));
    return false;
  }
  session_ = std::make_shared<ReaderSession>(std::move(*seat), options_);
  fetcher_ = std::make_unique<Fetcher>(session_, options_);
  return true;
}

// The lock, for a Subscriber that may be used: not by a forked child of its process, and not after close().
inline std::unique_lock<std::mutex> SubscriberCore::enter() const {
  if (mark_.is_inherited()) {
    fail(Errc::error, "this Subscriber of '" + name_ + "' belongs to process " + std::to_string(pid_) +
                          ", you are in a forked child of it; make a new Subscriber here");
  }
  std::unique_lock lock(mutex_);
  if (closed_) {
    lock.unlock();
    Participation::instance().stop_if_ending();
    fail(Errc::channel_closed, "this Subscriber of '" + name_ + "' is closed; make a new one to receive again");
  }
  session_->control().check_intact();
  return lock;
}

inline std::optional<Frame> SubscriberCore::fetch() {
  if (is_replaced()) return std::nullopt;  // what comes now is another publisher's
  if (notifier_ != nullptr) notifier_->clear();
  auto frame = fetcher_->fetch();
  if (!frame && (options_.reconnect ? is_lost() : has_moved()) && come_again()) {
    if (is_replaced()) return std::nullopt;
    frame = fetcher_->fetch();
  }
  if (!frame) return frame;
  for_each_listener([](Listener& listener) { listener.doze_if_rung(); });
  if (notifier_ != nullptr && fetcher_->has_news()) notifier_->signal();
  const Descriptor& info = frame->info();
  const std::int64_t now = os::monotonic_ns();
  // Unsigned, since any value may be there.
  meter_.add(
      now, static_cast<std::int64_t>(static_cast<std::uint64_t>(now) - static_cast<std::uint64_t>(info.published_ns)));
  session_->waiter().learn(info.seq, info.published_ns);
  ++frames_;
  bytes_ += info.payload_bytes;
  // Relaxed: for people who look at the channel.
  ReaderLine& line = session_->line();
  line.frames.store(frames_, std::memory_order_relaxed);
  line.bytes.store(bytes_, std::memory_order_relaxed);
  line.missed.store(before_.missed + fetcher_->counts().missed, std::memory_order_relaxed);
  line.dropped.store(before_.dropped + fetcher_->counts().dropped, std::memory_order_relaxed);
  return frame;
}

// One look, without waiting.
inline SubscriberCore::Look SubscriberCore::look(bool until_closed) {
  const auto lock = enter();
  if (auto frame = fetch()) return {std::move(frame)};
  FRAMEBUS_STEP("look:nothing_found");
  const auto session = session_;
  const Ending found = ending(until_closed, true);
  FRAMEBUS_STEP("look:ending_read");
  if (found == Ending::none) return {};
  if (auto frame = fetch()) return {std::move(frame)};  // it came before the end did, see ending()
  if (session != session_) return {};                   // came along: what has ended is the old control block
  if (found == Ending::closed && until_closed) return {std::nullopt, true};
  fail_ended(found);
}

inline std::optional<Frame> SubscriberCore::wait_for_frame(std::int64_t timeout_ns, void (*interrupt)(),
                                                           bool until_closed) {
  constexpr std::uint32_t kFruitless = 16;
  const std::int64_t deadline = deadline_after(timeout_ns);
  bool ask_kernel = false;
  for (std::uint32_t fruitless = 0;;) {
    std::shared_ptr<ReaderSession> session;
    std::uint32_t ticket = 0;
    {
      const auto lock = enter();
      session = session_;
      ticket = session->waiter().ticket();
      const Ending found = ending(until_closed, ask_kernel);
      FRAMEBUS_STEP("recv:ending_read");
      if (auto frame = fetch()) return frame;
      if (session != session_) continue;  // came along: the ticket and the ending are those of the old control block
      if (found == Ending::closed && until_closed) return std::nullopt;
      if (found != Ending::none) fail_ended(found);
    }
    FRAMEBUS_STEP("recv:nothing_found");
    if (os::monotonic_ns() >= deadline) {
      if (until_closed && is_ended()) return std::nullopt;
      fail_timeout(timeout_ns, until_closed);
    }
    const Waited waited = session->waiter().wait(ticket, deadline);
    // With news at hand it would only take time; but news need not be a frame, and there may be much of it.
    const bool look = waited != Waited::news || ++fruitless % kFruitless == 0;
    if (interrupt != nullptr && look) interrupt();
    if (waited == Waited::due && options_.get_ready != nullptr) options_.get_ready();
    ask_kernel = look && waited != Waited::due;
    if (ask_kernel && options_.reconnect) reattach_if_removed();
  }
}

// Whether the publisher has ended, as this subscriber sees it. Without reconnect the publisher that was there when the
// subscriber attached counts; with reconnect only a close counts, and only for iteration.
//
// Read it before the look for frames that decides. Then no frame is left behind: the publisher stores the head of its
// last frame before `closed_epoch` and `state` (PublisherCore::close), and before the kernel drops its lock. All of
// these are sequentially consistent and so are the loads here and in Fetcher, so a look that begins after an end was
// seen finds every frame that came before that end. Read after the look, an end says nothing about the frames between.
inline SubscriberCore::Ending SubscriberCore::ending(bool until_closed, bool ask_kernel) const {
  const ControlBlock& block = session_->block();
  if (options_.reconnect) return until_closed && is_over(block) ? Ending::closed : Ending::none;
  const bool replaced = is_replaced();
  const bool gone = replaced || (ask_kernel && !is_publisher_alive(session_->control()) && !has_moved());
  // After `gone`: a publisher that closes says so before it drops its lock.
  if (block.closed_epoch.load() == session_->epoch()) return Ending::closed;
  // Others may have closed since. All have if none died; a death after a close hides the close.
  if (replaced && session_->epoch() != kNoEpoch && block.died_epoch.load() < session_->epoch()) return Ending::closed;
  return gone ? Ending::died : Ending::none;
}

// Without reconnect: is there another publisher now, whose frames are none of ours?
inline bool SubscriberCore::is_replaced() const {
  return !options_.reconnect && session_->block().publisher_epoch.load() != session_->epoch();
}

inline bool SubscriberCore::has_news() const { return !is_replaced() && fetcher_->has_news(); }

inline void SubscriberCore::fail_ended(Ending ending) const {
  if (ending == Ending::closed) {
    fail(Errc::channel_closed,
         "the publisher of '" + name_ + "' has closed the channel; pass reconnect=True to go on with the next one");
  }
  fail(Errc::publisher_died, "the publisher of '" + name_ + "' died; pass reconnect=True to go on with the next one");
}

// Never says "closed" where a frame has come since the last look, or where a close is an end and not an error: then it
// is a timeout, and the next call fetches the frame or ends.
inline void SubscriberCore::fail_timeout(std::int64_t timeout_ns, bool until_closed) const {
  const auto lock = enter();
  const ControlBlock& block = session_->block();
  const bool closed = is_over(block);  // before the look at the frames, as in ending()
  const std::string within = " within " + seconds_text(timeout_ns);
  if (has_news()) fail(Errc::timeout, "no new frame in '" + name_ + "'" + within + "; one has come just now");
  if (is_publisher_alive(session_->control())) {
    fail(Errc::timeout, "no new frame in '" + name_ + "'" + within + "; its publisher, process " +
                            std::to_string(block.publisher.pid) + ", is alive and has sent " +
                            std::to_string(frame_seq(block.head.load())));
  }
  if (closed && !until_closed) {
    fail(Errc::channel_closed, "the publisher of '" + name_ + "' has closed the channel and no other came" + within);
  }
  fail(Errc::timeout, "the publisher of '" + name_ + "', process " + std::to_string(block.publisher.pid) +
                          ", died and no other came" + within);
}

inline bool SubscriberCore::is_ready(Berth& berth) {
  if (mark_.is_inherited()) static_cast<void>(enter());  // throws
  const std::lock_guard lock(mutex_);
  if (closed_ || session_->control().is_broken()) return true;
  if (has_moved()) {
    try {
      come_again();
    } catch (const Error&) {
      return true;  // try_recv() throws the same
    }
  } else if (options_.reconnect) {
    look_around();
  }
  berth = {session_, session_->waiter().ticket()};  // before the look
  return has_news() || (!options_.reconnect && ending(false, true) != Ending::none);
}

}  // namespace framebus::detail
