// SPDX-License-Identifier: Apache-2.0
// Program B of the original article without framebus: copies an image whenever the event is set.
//
//   article_b NAME LAST before|reset|after
//
// Ends with the image numbered LAST, or when none has come for five seconds. Prints how many it got, how many of them
// were mixtures of two (torn), and how many numbers it never saw. The event is taken "before" the copy; with "reset"
// once more after it, as the article does, which loses what was announced meanwhile; with "after" only then, for an A
// that waits until it is taken.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "base_image.hpp"

int main(int argc, char** argv) {
  if (argc != 4) return std::fprintf(stderr, "usage: %s NAME LAST before|reset|after\n", argv[0]), 2;
  const int last = std::atoi(argv[2]);
  const std::string how = argv[3];
  base_image::Place place = base_image::Place::open(argv[1]);
  std::vector<std::uint8_t> image;
  int received = 0, torn = 0, missed = 0, number = 0;
  while (number < last && (how == "after" ? place.wait_until(true, 5) : place.wait(5))) {
    const std::int32_t length = place.header().length;
    if (length < 4 || static_cast<std::size_t>(length) > place.capacity()) continue;  // no image yet
    image.resize(static_cast<std::size_t>(length));
    std::memcpy(image.data(), place.pixels(), image.size());
    if (how != "before") place.reset();
    const int previous = number;
    std::memcpy(&number, image.data(), sizeof number);
    const auto is_mine = [&](std::uint8_t byte) { return byte == number % 251; };
    if (!std::all_of(image.begin() + sizeof number, image.end(), is_mine)) ++torn;
    missed += std::max(0, number - previous - 1);
    ++received;
  }
  std::printf("received %d, torn %d, missed %d, last %d\n", received, torn, missed, number);
}
