// SPDX-License-Identifier: Apache-2.0
// The publisher's program: captures images and publishes each. It needs no subscriber, and none slows it down.
//
//   base_app NAME COUNT WIDTH HEIGHT        COUNT 0: until it is stopped
//
// fetch_app fetches them. Start the two in any order, as often as you like.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <framebus/framebus.hpp>
#include <thread>

using namespace std::chrono_literals;

// What a camera would do: a grey ramp that moves by one with every image.
static void capture(const framebus::Image<std::uint8_t>& image, std::uint64_t number) {
  for (std::uint64_t y = 0; y < image.height(); ++y) {
    std::uint64_t value = number + y;
    for (std::uint8_t& element : image.row(y)) element = static_cast<std::uint8_t>(value++);
  }
}

int main(int argc, char** argv) {
  if (argc != 5) return std::fprintf(stderr, "usage: %s NAME COUNT WIDTH HEIGHT\n", argv[0]), 2;
  const std::uint64_t count = std::strtoull(argv[2], nullptr, 10);
  const std::uint64_t width = std::strtoull(argv[3], nullptr, 10), height = std::strtoull(argv[4], nullptr, 10);
  try {
    framebus::Publisher publisher(argv[1]);
    std::uint64_t sent = 0;
    for (auto due = std::chrono::steady_clock::now(); count == 0 || sent < count; due += 10ms) {
      framebus::Loan loan = publisher.loan<std::uint8_t>({height, width, 3});
      capture(loan.image<std::uint8_t>(), publisher.newest() + 1);  // straight into shared memory
      loan.set_pixel_format("BGR8");
      loan.commit();
      ++sent;
      std::this_thread::sleep_until(due);
    }
    std::printf("sent %llu frames\n", static_cast<unsigned long long>(sent));
  } catch (const framebus::Error& error) {
    return std::fprintf(stderr, "%s\n", error.what()), 1;
  }
}
