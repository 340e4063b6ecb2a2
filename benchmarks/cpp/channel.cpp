// SPDX-License-Identifier: Apache-2.0
// The C++ API with 64 bytes: the age of each frame when the receiving program has read it.
//
//   channel WAIT COUNT HZ NAME        WAIT park, spin, adaptive or predictive
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <framebus/framebus.hpp>
#include <string_view>

#include "pace.hpp"

using namespace std::chrono_literals;

namespace {

constexpr int kWarm = 50;  // `predictive` learns the period from these

framebus::Wait policy(std::string_view name) {
  if (name == "park") return framebus::Wait::park;
  if (name == "spin") return framebus::Wait::spin;
  if (name == "predictive") return framebus::Wait::predictive;
  return framebus::Wait::adaptive;
}

void send_all(const char* name, int count, double hz) {
  framebus::Publisher publisher(name);
  while (publisher.statistics().subscribers == 0) pace::sleep_until(pace::now_ns() + 1'000'000);
  std::array<std::int64_t, 8> frame{};
  pace::run(kWarm, count, hz, [&](int number) {
    frame[0] = number;
    frame[1] = pace::now_ns();
    publisher.send(frame, {8});
  });
  pace::sleep_until(pace::now_ns() + 50'000'000);  // closing must not take the place of the last frame
}

void receive(const char* name, framebus::Wait wait, int count) {
  framebus::Subscriber subscriber(name, {.connect_timeout = 10s, .wait = wait});
  std::vector<std::int64_t> ages;
  std::int64_t began = 0, used = 0;
  for (std::int64_t number = -kWarm; number + 1 < count;) {
    const framebus::Frame frame = subscriber.recv(5s);
    const auto elements = frame.span<std::int64_t>();
    const std::int64_t sent = elements[1];
    number = elements[0] + 0 * elements[7];
    const std::int64_t now = pace::now_ns();
    if (number >= 0 && ages.empty()) began = now, used = pace::cpu_ns();
    if (number >= 0) ages.push_back(now - sent);
  }
  pace::report(ages, double(pace::cpu_ns() - used) / double(pace::now_ns() - began));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return std::fprintf(stderr, "usage: %s WAIT COUNT HZ NAME\n", argv[0]), 2;
  const int count = std::atoi(argv[2]);
  const pid_t sender = fork();
  if (sender < 0) return std::perror("fork"), 1;
  try {
    if (sender == 0) {
      send_all(argv[4], count, std::atof(argv[3]));
      return 0;
    }
    receive(argv[4], policy(argv[1]), count);
  } catch (const framebus::Error& error) {
    return std::fprintf(stderr, "%s\n", error.what()), 1;
  }
  return waitpid(sender, nullptr, 0) == sender ? 0 : 1;
}
