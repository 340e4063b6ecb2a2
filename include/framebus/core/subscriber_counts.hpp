// SPDX-License-Identifier: Apache-2.0
// What a SubscriberCore counts and measures. Included by subscriber_core.hpp only.
#pragma once

#include "framebus/base/namespace.hpp"
#include "framebus/core/subscriber_core.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail {

inline Statistics SubscriberCore::statistics() const {
  if (mark_.is_inherited() || !is_closed()) {
    const auto lock = enter();
    return measure();
  }
  const std::lock_guard lock(mutex_);
  Statistics s = last_;
  const auto session = after_close_.lock();
  s.held = session == nullptr ? 0 : session->held();
  return s;
}

inline Statistics SubscriberCore::measure() const {
  Statistics s;
  s.frames = frames_;
  s.bytes = bytes_;
  s.missed = before_.missed + fetcher_->counts().missed;
  s.dropped = before_.dropped + fetcher_->counts().dropped;
  s.pending = fetcher_->pending();
  s.held = session_->held();
  s.sleeps = before_sleeps_ + session_->waiter().sleeps();
  s.spun_s = static_cast<double>(before_spun_ns_ + session_->waiter().spun_ns()) * 1e-9;
  for_each_reader(session_->block(), [&](std::uint32_t i, ReaderLine& line) {
    if ((line.flags.load() & kReaderObserver) != 0) return;
    if (&line == &session_->line() || is_reader_alive(session_->control(), i)) ++s.subscribers;
  });
  s.rate_hz = meter_.rate_hz(os::monotonic_ns());
  s.latency_p50_s = meter_.latency_s(0.50);
  s.latency_p99_s = meter_.latency_s(0.99);
  s.generation = session_->block().generation.load();
  s.memory_bytes = os::allocated_bytes(store_path(name_, s.generation));
  if (fetcher_->store() != nullptr) s.slots = fetcher_->store()->slot_count();
  return s;
}

}  // namespace framebus::detail
