// SPDX-License-Identifier: Apache-2.0
// What pair_publish_baseimage.py does, in C++ without framebus: waits until each frame is taken before the next one.
#include <cstdint>
#include <string>
#include <vector>

#include "base_image.hpp"
#include "numbered.hpp"
#include "talk.hpp"

int main(int argc, char** argv) {
  const talk::Options options(argc, argv);
  const auto height = static_cast<std::int32_t>(options.number("height"));
  const auto width = static_cast<std::int32_t>(options.number("width"));
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(height) * width);
  base_image::Place place = base_image::Place::make(options.text("name"));
  std::uint64_t dropped = 0;
  talk::say("ready");
  talk::wait_for("go");
  for (auto number = options.number("first"); number <= options.number("last"); ++number) {
    if (number == options.number("pause_before")) {
      talk::say("paused");
      talk::wait_for("go");
    }
    numbered::fill(pixels, number);
    if (!place.wait_until(false, 60)) return std::fprintf(stderr, "nobody took a frame for a minute\n"), 1;
    place.write({height * width, width, height, 8}, pixels);
    if (place.set()) ++dropped;
  }
  talk::say("sent", ",\"dropped\":" + std::to_string(dropped));
}
