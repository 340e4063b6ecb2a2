// SPDX-License-Identifier: Apache-2.0
// The subscriber's program: fetches the newest image repeatedly, and reads every pixel of it in shared memory.
//
//   fetch_app NAME COUNT        COUNT 0: until base_app has closed the channel
//
// If it is slower than base_app it skips images, and prints how many. It may be killed and started again at any time.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <framebus/framebus.hpp>

using namespace std::chrono_literals;

// Is this the image that base_app's capture() draws for that number?
static bool is_whole(const framebus::Image<const std::uint8_t>& image, std::uint64_t number) {
  for (std::uint64_t y = 0; y < image.height(); ++y) {
    std::uint64_t value = number + y;
    for (const std::uint8_t element : image.row(y)) {
      if (element != static_cast<std::uint8_t>(value++)) return false;
    }
  }
  return true;
}

int main(int argc, char** argv) {
  if (argc != 3) return std::fprintf(stderr, "usage: %s NAME COUNT\n", argv[0]), 2;
  const std::uint64_t count = std::strtoull(argv[2], nullptr, 10);
  try {
    framebus::Subscriber subscriber(argv[1], {.connect_timeout = 30s});
    std::uint64_t torn = 0;
    for (const framebus::Frame& frame : subscriber) {
      if (!is_whole(frame.image<std::uint8_t>(), frame.seq())) ++torn;
      if (subscriber.statistics().frames == count) break;
    }
    const framebus::Statistics got = subscriber.statistics();
    std::printf("received %llu frames, torn %llu, missed %llu\n", static_cast<unsigned long long>(got.frames),
                static_cast<unsigned long long>(torn), static_cast<unsigned long long>(got.missed));
    return torn == 0 ? 0 : 1;
  } catch (const framebus::Error& error) {
    return std::fprintf(stderr, "%s\n", error.what()), 1;
  }
}
