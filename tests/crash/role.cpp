// SPDX-License-Identifier: Apache-2.0
// A publisher or subscriber to be killed: built with FRAMEBUS_CRASH_POINTS by tests/multiprocess/test_crash_points.py.
//
//   role publish NAME FRAMES     frames of 64 bytes, then of 100 kB, so that the channel grows; each byte is its number
//   role lose NAME FRAMES        the same, and its files are removed after a quarter of the frames; prints "refused"
//                                for each loan that fails since they were removed once more, and tries again
//   role drop NAME FRAMES        prints "ready", waits for a line, sends frames of 64 bytes with on_full=drop, and
//                                prints how many were dropped
//   role subscribe NAME FRAMES   fetches every frame and checks every byte
//   role iterate ...             see iterate.hpp
//
// A subscriber that has received its frames prints "done" and stays until its standard input ends.
//
// Steps of its own: "fill:half" in the middle of filling a loan, "read:half" in the middle of reading a held frame.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <framebus/framebus.hpp>
#include <string>

#include "iterate.hpp"

namespace {

void remove_files(const std::string& name) {
  framebus::detail::remove_stores(name, 0);
  framebus::detail::os::unlink_quietly(framebus::detail::control_path(name));
}

framebus::Loan loan_of(framebus::Publisher& publisher, const framebus::ArraySpec& spec) {
  for (int tries = 0;; ++tries) {
    try {
      return publisher.loan({spec});
    } catch (const framebus::Error& error) {
      if (error.code() != framebus::Errc::corrupt_channel || tries == 3) throw;
      std::puts("refused");
    }
  }
}

int publish(const std::string& name, std::uint64_t frames, bool loses) {
  framebus::Publisher publisher(name, {.slots = 4, .on_full = framebus::OnFull::block});
  for (std::uint64_t i = 0; i < frames; ++i) {
    if (loses && i == frames / 4) remove_files(name);
    const std::uint64_t bytes = i < frames / 2 ? 64 : 100'000;
    const framebus::ArraySpec spec{"image", {'u', '|', 1}, {bytes}};
    framebus::Loan loan = loan_of(publisher, spec);
    // The number that the frame will have is known: this process is the only publisher, and has one thread.
    const std::uint64_t seq = publisher.newest() + 1;
    std::memset(loan.data(0), static_cast<int>(seq % 251), bytes / 2);
    FRAMEBUS_STEP("fill:half");
    std::memset(loan.data(0) + bytes / 2, static_cast<int>(seq % 251), bytes - bytes / 2);
    if (loan.commit() != seq) return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}

int drop(const std::string& name, std::uint64_t frames) {
  framebus::Publisher publisher(name, {.slots = 4, .on_full = framebus::OnFull::drop});
  std::puts("ready");
  std::fflush(stdout);
  std::getchar();
  for (std::uint64_t i = 0; i < frames; ++i) {
    framebus::Loan loan = publisher.loan({framebus::ArraySpec{"image", {'u', '|', 1}, {64}}});
    std::memset(loan.data(0), static_cast<int>((publisher.newest() + 1) % 251), 64);
    loan.commit();
  }
  std::printf("%llu\n", static_cast<unsigned long long>(publisher.statistics().dropped));
  return EXIT_SUCCESS;
}

int subscribe(const std::string& name, std::uint64_t frames) {
  framebus::Subscriber subscriber(name, {.every = true, .connect_timeout = std::chrono::seconds(20)});
  for (std::uint64_t i = 0; i < frames; ++i) {
    const framebus::Frame frame = subscriber.recv(std::chrono::seconds(20));
    const std::byte* bytes = frame.data(0);
    for (std::uint64_t b = 0; b < frame.info().arrays[0].bytes; ++b) {
      if (b == frame.info().arrays[0].bytes / 2) FRAMEBUS_STEP("read:half");
      if (bytes[b] != static_cast<std::byte>(frame.info().seq % 251)) return EXIT_FAILURE;
    }
  }
  std::puts("done");
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
  return EXIT_SUCCESS;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string role = argc > 1 ? argv[1] : "";
  if (argc == 6 && role == "iterate") {
    return iterating::iterate(argv[2], argv[3], std::string(argv[4]) == "every", std::string(argv[5]) == "again");
  }
  if (argc != 4) return 2;
  try {
    const auto frames = static_cast<std::uint64_t>(std::atoll(argv[3]));
    if (role == "drop") return drop(argv[2], frames);
    return role == "subscribe" ? subscribe(argv[2], frames) : publish(argv[2], frames, role == "lose");
  } catch (const framebus::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return EXIT_FAILURE;
  }
}
