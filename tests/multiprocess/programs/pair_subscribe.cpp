// SPDX-License-Identifier: Apache-2.0
// A subscriber that looks at every byte of numbered frames, for every pair: what pair_subscribe.py does, in C++.
#include <cstdint>
#include <framebus/framebus.hpp>
#include <string>
#include <utility>
#include <vector>

#include "numbered.hpp"
#include "talk.hpp"

using namespace std::chrono_literals;

namespace {

struct Seen {
  std::uint64_t frames = 0, torn = 0, gaps = 0, last_seq = 0;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> runs;

  void add(const framebus::Frame& frame, const framebus::Shape& shape) {
    const auto bytes = frame.span<std::uint8_t>();
    const std::uint64_t number = numbered::number_in(bytes);
    ++frames;
    if (!numbered::is_whole(bytes, number) || frame.shape() != shape || frame.pixel_format() != "Mono8") ++torn;
    if (frames > 1 && frame.seq() != last_seq + 1) ++gaps;
    last_seq = frame.seq();
    if (!runs.empty() && runs.back().second + 1 == number) {
      runs.back().second = number;
    } else {
      runs.emplace_back(number, number);
    }
  }
  std::string text() const {
    std::string list;
    for (const auto& [first, last] : runs) {
      list += (list.empty() ? "[" : ",[") + std::to_string(first) + "," + std::to_string(last) + "]";
    }
    return ",\"seen\":" + std::to_string(frames) + ",\"torn\":" + std::to_string(torn) +
           ",\"gaps\":" + std::to_string(gaps) + ",\"runs\":[" + list + "]";
  }
};

}  // namespace

int main(int argc, char** argv) {
  const talk::Options options(argc, argv);
  const framebus::Shape shape(options.number("height"), options.number("width"));
  try {
    framebus::Subscriber subscriber(options.text("name"), {.every = true, .connect_timeout = 30s});
    talk::say("attached");
    Seen seen;
    for (const framebus::Frame& frame : subscriber) {
      seen.add(frame, shape);
      if (seen.frames % 500 == 0) talk::say("progress", seen.text());
    }
    const framebus::Statistics lost = subscriber.statistics();
    talk::say("report", seen.text() + ",\"lost\":" + std::to_string(lost.missed + lost.dropped));
  } catch (const framebus::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
