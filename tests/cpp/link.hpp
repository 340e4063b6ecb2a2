// SPDX-License-Identifier: Apache-2.0
// A channel with publisher and subscriber in one process, and a check whether a descriptor is readable.
#pragma once

#include <poll.h>
#include <unistd.h>

#include <cstdint>
#include <framebus/framebus.hpp>
#include <string>
#include <vector>

inline std::string fresh_name() {
  static int count = 0;
  return "cpplink." + std::to_string(::getpid()) + "." + std::to_string(++count);
}

inline std::uint64_t send(framebus::Publisher& publisher, int value) {
  return publisher.send(std::vector<int>{value}, {1});
}

struct Link {
  explicit Link(const framebus::SubscriberOptions& options = {}) : publisher(name), subscriber(name, options) {}
  std::string name = fresh_name();
  framebus::Publisher publisher;
  framebus::Subscriber subscriber;
};

constexpr int kWatchdog = 60'000;  // ms; against hangs

inline bool readable(int fd, int milliseconds) {
  struct pollfd one = {fd, POLLIN, 0};
  return ::poll(&one, 1, milliseconds) == 1;
}
inline bool readable(const framebus::detail::Listener& listener, int milliseconds) {
  return readable(listener.fd(), milliseconds);
}
