// SPDX-License-Identifier: Apache-2.0
// A publisher of numbered frames, for every pair: what pair_publish_channel.py does, in C++.
#include <cstdint>
#include <framebus/framebus.hpp>
#include <string>
#include <vector>

#include "numbered.hpp"
#include "talk.hpp"

int main(int argc, char** argv) {
  const talk::Options options(argc, argv);
  const auto height = options.number("height"), width = options.number("width");
  std::vector<std::uint8_t> pixels(height * width);
  try {
    framebus::Publisher publisher(options.text("name"), {.on_full = framebus::OnFull::block});
    talk::say("ready");
    talk::wait_for("go");
    for (auto number = options.number("first"); number <= options.number("last"); ++number) {
      if (number == options.number("pause_before")) {
        talk::say("paused");
        talk::wait_for("go");
      }
      if (number % 2 != 0) {
        framebus::Loan loan = publisher.loan<std::uint8_t>({height, width});
        numbered::fill(loan.span<std::uint8_t>(), number);
        loan.set_pixel_format("Mono8");
        loan.commit();
      } else {
        numbered::fill(pixels, number);
        publisher.send(pixels, {height, width}, {.pixel_format = "Mono8"});
      }
    }
    talk::say("sent", ",\"dropped\":" + std::to_string(publisher.statistics().dropped));
  } catch (const framebus::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
