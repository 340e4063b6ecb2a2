// SPDX-License-Identifier: Apache-2.0
// Program A of the original article without framebus: writes numbered images, and never looks who reads.
//
//   article_a NAME COUNT WIDTH HEIGHT [MILLISECONDS]
//
// Image N has 24 bit and begins with the int32 N; every other byte is N modulo 251. Prints how many it sent, and leaves
// memory and event behind for whoever still reads.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "base_image.hpp"

int main(int argc, char** argv) {
  if (argc < 5) return std::fprintf(stderr, "usage: %s NAME COUNT WIDTH HEIGHT [MILLISECONDS]\n", argv[0]), 2;
  const int count = std::atoi(argv[2]), width = std::atoi(argv[3]), height = std::atoi(argv[4]);
  const int pause_ms = argc > 5 ? std::atoi(argv[5]) : 0;
  base_image::Place place = base_image::Place::make(argv[1]);
  std::vector<std::uint8_t> image(static_cast<std::size_t>(width) * height * 3);
  if (image.size() < 4 || image.size() > place.capacity()) return std::fprintf(stderr, "does not fit\n"), 1;
  for (int number = 1; number <= count; ++number) {
    std::memset(image.data(), number % 251, image.size());
    std::memcpy(image.data(), &number, sizeof number);
    place.write({static_cast<std::int32_t>(image.size()), width, height, 24}, image);
    place.set();
    if (pause_ms > 0) usleep(static_cast<useconds_t>(pause_ms) * 1000);
  }
  std::printf("sent %d\n", count);
}
