// SPDX-License-Identifier: Apache-2.0
// A publisher or a subscriber in a program whose standard streams are closed: without_streams.py in C++.
//
//   without_streams DESCRIPTOR publisher|subscriber NAME
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <framebus/framebus.hpp>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

using namespace std::chrono_literals;

namespace {

// The socket; lines are short and come one at a time.
class Control {
 public:
  explicit Control(int fd) : fd_(fd) { ::fcntl(fd, F_SETFD, FD_CLOEXEC); }
  void tell(const std::string& line) const {
    const std::string text = line + "\n";
    if (::write(fd_, text.data(), text.size()) != static_cast<ssize_t>(text.size())) std::abort();
  }
  std::optional<std::string> next() const {
    std::string line;
    for (char c = 0; ::read(fd_, &c, 1) == 1; line += c) {
      if (c == '\n') return line;
    }
    return std::nullopt;
  }

 private:
  int fd_;
};

std::string target_of(int fd) {
  char target[256] = {};
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  return ::readlink(path.c_str(), target, sizeof target - 1) < 0 ? "" : target;
}

void scribble() {
  const std::string garbage(10'000, '?');
  for (int fd = 0; fd < 3; ++fd) static_cast<void>(!::write(fd, garbage.data(), garbage.size()));
}

std::string answer(const std::string& line, std::optional<framebus::Publisher>& publisher,
                   std::optional<framebus::Subscriber>& subscriber) {
  std::istringstream words(line);
  std::string word;
  words >> word;
  if (word == "send") {
    unsigned number = 0;
    std::size_t height = 0, width = 0;
    words >> number >> height >> width;
    publisher->send(std::vector<std::uint8_t>(height * width * 3, static_cast<std::uint8_t>(number)),
                    {height, width, 3});
    return "sent";
  }
  if (word == "recv") {
    const framebus::Frame frame = subscriber->recv(30s);
    const auto bytes = frame.span<std::uint8_t>();
    const bool whole = std::all_of(bytes.begin(), bytes.end(), [&](std::uint8_t byte) { return byte == bytes[0]; });
    return "got " + std::to_string(bytes[0]) + (whole ? " 1" : " 0");
  }
  if (word == "low") return "low " + target_of(0) + "|" + target_of(1) + "|" + target_of(2);
  if (word == "scribble") scribble();
  if (word == "close") {
    for (int fd = 0; fd < 3; ++fd) ::close(fd);
  }
  if (word == "end") {
    publisher.reset();
    subscriber.reset();
  }
  return "done";
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  const Control control(std::stoi(argv[1]));
  try {
    std::optional<framebus::Publisher> publisher;
    std::optional<framebus::Subscriber> subscriber;
    if (argv[2] == std::string("publisher")) {
      publisher.emplace(argv[3], framebus::PublisherOptions{.on_full = framebus::OnFull::block});
    } else {
      subscriber.emplace(argv[3], framebus::SubscriberOptions{.every = true, .connect_timeout = 30s});
      static_cast<void>(subscriber->fileno());
    }
    control.tell("open");
    while (const auto line = control.next()) {
      control.tell(answer(*line, publisher, subscriber));
      if (*line == "end") return 0;
    }
  } catch (const framebus::Error& error) {
    control.tell(std::string("failed ") + error.what());
  }
  return 1;
}
