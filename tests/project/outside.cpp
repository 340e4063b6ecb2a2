// SPDX-License-Identifier: Apache-2.0
// A program of somebody else: sends one image to itself and prints what came.
#include <cstdint>
#include <cstdio>
#include <framebus/framebus.hpp>
#include <framebus/inspect.hpp>
#include <vector>

int main(int, char** argv) {
  framebus::Publisher publisher(argv[1]);
  framebus::Subscriber subscriber(argv[1]);
  publisher.send(std::vector<std::uint8_t>(48 * 64, 7), {48, 64});
  const framebus::Frame frame = subscriber.recv(std::chrono::seconds(1));
  const auto image = frame.image<std::uint8_t>();
  std::printf("%s of %u\n", framebus::text_of(frame.shape()).c_str(), image(47, 63));
}
