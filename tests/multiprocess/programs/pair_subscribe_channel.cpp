// SPDX-License-Identifier: Apache-2.0
// A subscriber that looks at every byte of numbered frames, for every pair: pair_subscribe_channel.py in C++.
#include <cstdint>
#include <framebus/framebus.hpp>
#include <string>

#include "numbered.hpp"
#include "seen.hpp"
#include "talk.hpp"

using namespace std::chrono_literals;

int main(int argc, char** argv) {
  const talk::Options options(argc, argv);
  const framebus::Shape shape(options.number("height"), options.number("width"));
  try {
    framebus::Subscriber subscriber(options.text("name"), {.every = true, .connect_timeout = 30s});
    talk::say("attached");
    Seen seen;
    std::uint64_t gaps = 0, last_seq = 0;
    for (const framebus::Frame& frame : subscriber) {
      const auto bytes = frame.span<std::uint8_t>();
      const std::uint64_t number = numbered::number_in(bytes);
      seen.add(number, numbered::is_whole(bytes, number) && frame.shape() == shape && frame.pixel_format() == "Mono8");
      if (seen.frames > 1 && frame.seq() != last_seq + 1) ++gaps;
      last_seq = frame.seq();
      if (seen.frames % options.number("progress_every") == 0) talk::say("progress", seen.told());
    }
    const framebus::Statistics counted = subscriber.statistics();
    talk::say("report", seen.told() + ",\"gaps\":" + std::to_string(gaps) +
                            ",\"lost\":" + std::to_string(counted.missed + counted.dropped));
  } catch (const framebus::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
