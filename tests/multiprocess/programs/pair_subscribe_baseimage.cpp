// SPDX-License-Identifier: Apache-2.0
// What pair_subscribe_baseimage.py does, in C++ without framebus. A header of another image is no frame, so `lost`.
#include <cstdint>
#include <string>
#include <vector>

#include "base_image.hpp"
#include "numbered.hpp"
#include "seen.hpp"
#include "talk.hpp"

int main(int argc, char** argv) {
  const talk::Options options(argc, argv);
  const auto height = static_cast<std::int32_t>(options.number("height"));
  const auto width = static_cast<std::int32_t>(options.number("width"));
  const base_image::Header expected = {height * width, width, height, 8};
  std::vector<std::uint8_t> copy(static_cast<std::size_t>(expected.length));
  base_image::Place place = base_image::Place::open(options.text("name"));
  talk::say("attached");
  Seen seen;
  std::uint64_t lost = 0;
  for (std::uint64_t number = 0; number != options.number("last");) {
    if (!place.wait_until(true, 60)) return std::fprintf(stderr, "no frame came for a minute\n"), 1;
    const bool fits = place.header() == expected;
    if (fits) std::memcpy(copy.data(), place.pixels(), copy.size());
    place.reset();
    if (!fits) {
      ++lost;
      continue;
    }
    number = numbered::number_in(copy);
    seen.add(number, numbered::is_whole(copy, number));
    if (seen.frames % options.number("progress_every") == 0) talk::say("progress", seen.told());
  }
  talk::say("report", seen.told() + ",\"lost\":" + std::to_string(lost));
}
