// SPDX-License-Identifier: Apache-2.0
// The descriptors of one subscriber: the one of fileno(), and one for each event loop that waits for it.
//
// The subscriber's mutex protects all of it.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "framebus/base/namespace.hpp"
#include "framebus/core/fetcher.hpp"
#include "framebus/notify/listener.hpp"
#include "framebus/notify/notifier.hpp"
#include "framebus/session/reader_session.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail {

class Notifications {
 public:
  // The descriptor of fileno(), or nullptr before its first call.
  [[nodiscard]] Notifier* notifier() const noexcept { return notifier_.get(); }
  Notifier& make_notifier(const std::shared_ptr<ReaderSession>& session, bool watch_publisher) {
    notifier_ = std::make_unique<Notifier>(session, watch_publisher);
    return *notifier_;
  }
  // A descriptor for one event loop. Used until the subscriber or the loop ends; open until the loop releases it.
  std::shared_ptr<Listener> listen(const std::shared_ptr<ReaderSession>& session, bool watch_publisher, Notify how) {
    std::erase_if(listeners_, [](const auto& listener) { return listener.expired(); });
    auto fresh = std::make_shared<Listener>(session, watch_publisher, how);
    listeners_.emplace_back(fresh);
    return fresh;
  }

  // To be called before a fetch, so that later frames make the descriptor readable again.
  void clear() noexcept {
    if (notifier_ != nullptr) notifier_->clear();
  }
  // To be called after a frame was taken from `fetcher`: if there is another one, the descriptor stays readable.
  void after_frame(const Fetcher& fetcher) {
    for_each_listener([](Listener& listener) { listener.suspend_if_signalled(); });
    if (notifier_ != nullptr && fetcher.has_news()) notifier_->signal();
  }
  // To be called after a fetch that has to be repeated although nothing will happen that makes a descriptor readable.
  void look_again_soon() {
    constexpr std::int64_t kSoon = 1'000'000;  // ns
    const std::int64_t soon = os::monotonic_ns() + kSoon;
    if (notifier_ != nullptr) notifier_->signal_at(soon);
    for_each_listener([soon](Listener& listener) { listener.signal_at(soon); });
  }
  // Has the fallback notifier found that the channel's files were removed? Returns true once for each time.
  [[nodiscard]] bool take_removal() noexcept {
    bool removed = notifier_ != nullptr && notifier_->take_removal();
    for_each_listener([&](Listener& listener) { removed |= listener.take_removal(); });
    return removed;
  }
  // The subscriber has rejoined; the descriptors stay the same.
  void move_to(const std::shared_ptr<ReaderSession>& session) {
    if (notifier_ != nullptr) notifier_->move_to(session);
    for_each_listener([&](Listener& listener) { listener.move_to(session); });
  }
  // Makes all descriptors readable permanently. Returns the notifier, which must be destroyed without the lock.
  [[nodiscard]] std::unique_ptr<Notifier> close() {
    for_each_listener([](Listener& listener) { listener.close(); });
    return std::move(notifier_);
  }
  // In a forked child: the notifier's thread is the parent's.
  void forget() noexcept { static_cast<void>(notifier_.release()); }

 private:
  template <class Function>
  void for_each_listener(Function function) {
    for (const auto& one : listeners_) {
      if (const auto listener = one.lock()) function(*listener);
    }
  }

  std::unique_ptr<Notifier> notifier_;
  std::vector<std::weak_ptr<Listener>> listeners_;
};

}  // namespace framebus::inline FRAMEBUS_VERSION::detail
