// SPDX-License-Identifier: Apache-2.0
// A reader that is stopped at a step, for tests/multiprocess/test_iteration_ends.py: a part of role.cpp, so that one
// compilation makes both.
//
//   role iterate HOW NAME every|newest once|again
//
// HOW says how it waits: loop (range-for), next, timed (next with a timeout that is never reached), brief (next with
// one that is reached repeatedly), recv, try (try_recv repeatedly), look (try_next repeatedly). `again` is reconnect.
// Prints "attached", the number of each frame, and finally "ended" or the code of the error.
#pragma once

#include <cstdio>
#include <framebus/framebus.hpp>
#include <string>

namespace iterating {

using std::chrono::milliseconds;
using std::chrono::seconds;

inline void print(const framebus::Frame& frame) { std::printf("%llu\n", static_cast<unsigned long long>(frame.seq())); }

// One frame; false at the end.
inline bool fetch(framebus::Subscriber& subscriber, const std::string& how) {
  if (how == "recv") {
    print(subscriber.recv(seconds(60)));
    return true;
  }
  if (how == "try") {
    if (const auto frame = subscriber.try_recv()) print(*frame);
    return true;
  }
  if (how == "look") {
    const auto result = subscriber.try_next();
    if (result.frame) print(*result.frame);
    return !result.ended;
  }
  std::optional<framebus::Frame> frame;
  if (how == "brief") {
    try {
      frame = subscriber.next(milliseconds(1));
    } catch (const framebus::Error& error) {
      if (error.code() != framebus::Errc::timeout) throw;
      return true;
    }
  } else {
    frame = how == "timed" ? subscriber.next(seconds(60)) : subscriber.next();
  }
  if (frame) print(*frame);
  return frame.has_value();
}

inline const char* name_of(framebus::Errc code) {
  switch (code) {
    case framebus::Errc::channel_closed:
      return "channel_closed";
    case framebus::Errc::publisher_died:
      return "publisher_died";
    default:
      return "another error";
  }
}

inline int iterate(const std::string& how, const std::string& name, bool every, bool reconnect) {
  try {
    framebus::Subscriber subscriber(name, {.every = every, .hold = 8, .reconnect = reconnect});
    std::puts("attached");
    std::fflush(stdout);
    if (how == "loop") {
      for (const framebus::Frame& frame : subscriber) print(frame);
    } else {
      while (fetch(subscriber, how)) {
      }
    }
    std::puts("ended");
  } catch (const framebus::Error& error) {
    std::puts(name_of(error.code()));
    std::fprintf(stderr, "%s\n", error.what());
  }
  return 0;
}

}  // namespace iterating
