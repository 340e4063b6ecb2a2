// SPDX-License-Identifier: Apache-2.0
// The state of a channel, for tools: its publisher and subscribers, and the description of the newest frame.
//
// Promise: inspecting has no effect on others, except one reader record that an observer uses for a moment and that no
// count includes. The result may be out of date when it is returned.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "framebus/base/namespace.hpp"
#include "framebus/subscriber.hpp"

namespace framebus::inline FRAMEBUS_VERSION {

struct Participant {
  std::uint32_t pid = 0;
  std::string command;
  bool alive = false;
  bool every = false;
  std::uint32_t held = 0;
  std::uint64_t frames = 0, missed = 0, dropped = 0;
};

struct ChannelReport {
  std::string name;
  Participant publisher;
  bool closed = false;
  std::vector<Participant> subscribers;
  std::uint64_t seq = 0, memory_bytes = 0;
  double rate_hz = 0;
  std::optional<Descriptor> newest;
};

namespace detail {

inline Participant participant_of(const Identity& shared) {
  Participant p;
  p.pid = shared.pid;
  p.command = command_of(shared);
  return p;
}

inline std::vector<Participant> subscribers_of(const Control& control) {
  std::vector<Participant> found;
  for_each_reader(control.block(), [&](std::uint32_t i, ReaderRecord& record) {
    const std::uint32_t flags = record.flags.load();
    if ((flags & kReaderObserver) != 0) return;
    Participant p = participant_of(record.identity);
    p.alive = is_reader_alive(control, i);
    p.every = (flags & kReaderEvery) != 0;
    for (std::uint32_t h = 0, n = budget_of(record); h < n; ++h) p.held += record.holds[h].load() != 0 ? 1 : 0;
    p.frames = record.frames.load();
    p.missed = record.missed.load();
    p.dropped = record.dropped.load();
    found.push_back(std::move(p));
  });
  return found;
}

// The newest frame's description, if there is one that can be read.
inline std::optional<Descriptor> newest_of(const std::string& name) {
  try {
    SubscriberOptions options;
    options.observer = true;
    options.hold = 1;
    Subscriber observer(name, options);
    if (const auto frame = observer.try_recv()) return frame->info();
  } catch (const Error& error) {
    if (error.code() == Errc::corrupt_channel || error.code() == Errc::layout_mismatch) throw;
  }
  return std::nullopt;  // closed, or gone in between
}

}  // namespace detail

// nullopt if there is no such channel; throws as opening it does.
inline std::optional<ChannelReport> inspect(const std::string& name) {
  const auto control = detail::open_control(name);
  if (control == nullptr) return std::nullopt;
  const detail::ControlBlock& block = control->block();
  ChannelReport r;
  r.name = name;
  r.publisher = detail::participant_of(block.publisher);
  r.publisher.alive = detail::is_publisher_alive(*control);
  r.closed = block.state.load() == detail::kStateClosed;
  r.subscribers = detail::subscribers_of(*control);
  r.seq = detail::frame_seq(block.head.load());
  r.memory_bytes = detail::os::stat(control->file()).allocated_bytes +
                   detail::os::allocated_bytes(detail::store_path(name, block.generation.load()));
  const auto period = static_cast<double>(block.period_ns.load());
  const auto idle = static_cast<double>(detail::os::monotonic_ns()) - static_cast<double>(block.last_publish_ns.load());
  if (period > 0 && r.publisher.alive) r.rate_hz = 1e9 / std::max(period, idle / 3);
  r.newest = detail::newest_of(name);
  return r;
}

}  // namespace framebus::inline FRAMEBUS_VERSION
