// SPDX-License-Identifier: Apache-2.0
// What article_b does, on a channel: fetches the newest image, again and again, and looks at every byte where it lies.
//
//   article_b_channel NAME
//
// Says "attached", ends when the channel is closed, and prints what article_b prints.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <framebus/framebus.hpp>

using namespace std::chrono_literals;

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: %s NAME\n", argv[0]), 2;
  int received = 0, torn = 0, missed = 0, number = 0;
  try {
    framebus::Subscriber subscriber(argv[1], {.connect_timeout = 5s});
    std::puts("attached");
    std::fflush(stdout);
    for (const framebus::Frame& frame : subscriber) {
      const auto image = frame.span<std::uint8_t>();
      const int previous = number;
      std::memcpy(&number, image.data(), sizeof number);
      const auto is_mine = [&](std::uint8_t byte) { return byte == number % 251; };
      if (!std::all_of(image.begin() + sizeof number, image.end(), is_mine)) ++torn;
      missed += std::max(0, number - previous - 1);
      ++received;
    }
  } catch (const framebus::Error& error) {
    return std::fprintf(stderr, "%s\n", error.what()), 1;
  }
  std::printf("received %d, torn %d, missed %d, last %d\n", received, torn, missed, number);
}
