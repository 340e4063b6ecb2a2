// SPDX-License-Identifier: Apache-2.0
// What article_a does, on a channel: sends the same images as fast as it can.
//
//   article_a_channel NAME COUNT WIDTH HEIGHT drop|block
//
// Says "ready", and waits for a line before it sends the first, so that B can be there. The last word is what it does
// where a reader that wants every image leaves no room.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <framebus/framebus.hpp>
#include <string>
#include <vector>

int main(int argc, char** argv) {
  if (argc != 6) return std::fprintf(stderr, "usage: %s NAME COUNT WIDTH HEIGHT drop|block\n", argv[0]), 2;
  const int count = std::atoi(argv[2]);
  const std::uint64_t width = std::strtoull(argv[3], nullptr, 10), height = std::strtoull(argv[4], nullptr, 10);
  const auto on_full = std::string(argv[5]) == "block" ? framebus::OnFull::block : framebus::OnFull::drop;
  try {
    framebus::Publisher publisher(argv[1], {.on_full = on_full});
    std::puts("ready");
    std::fflush(stdout);
    if (std::getchar() == EOF) return 1;
    std::vector<std::uint8_t> image(width * height * 3);
    for (int number = 1; number <= count; ++number) {
      std::memset(image.data(), number % 251, image.size());
      std::memcpy(image.data(), &number, sizeof number);
      publisher.send(image, {height, width, 3}, {.pixel_format = "BGR8"});
    }
  } catch (const framebus::Error& error) {
    return std::fprintf(stderr, "%s\n", error.what()), 1;
  }
  std::printf("sent %d\n", count);
}
