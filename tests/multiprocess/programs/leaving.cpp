// SPDX-License-Identifier: Apache-2.0
// Ends with something left open, in one of the ways in which programs do; tests/multiprocess/test_leaving_at_exit.py.
//
//   leaving HOW NAME     says "ready", waits for a line, and ends with status 0
//
// It publishes NAME.own, and takes a frame of NAME.
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <framebus/framebus.hpp>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

std::optional<framebus::Frame> kept;  // ends after main

// What a program with a worker in a static object looks like: the thread is told and joined after main.
struct Worker {
  ~Worker() {
    stop = true;
    if (thread.joinable()) thread.join();
  }
  std::atomic<bool> stop{false};
  std::thread thread;
} worker;

std::atomic<int> at_work{0};

void begin(std::function<void()> work) {
  std::thread(std::move(work)).detach();
  while (at_work.load() == 0) std::this_thread::yield();
}

void say_ready_and_wait() {
  std::puts("ready");
  std::fflush(stdout);
  while (std::getchar() != '\n') {
  }
}

void hold_for_good(framebus::Subscriber& subscriber) {
  begin([&subscriber] {
    const framebus::Frame frame = subscriber.recv();
    at_work = 1;
    std::this_thread::sleep_for(seconds(600));
  });
}

void receive_for_good(framebus::Subscriber& subscriber) {
  begin([&subscriber] {
    std::optional<framebus::Frame> frame = subscriber.recv();
    at_work = 1;
    for (;;) {
      frame.reset();
      frame = subscriber.recv();
    }
  });
}

// The process closes its ends in the order in which they were made. Those in between give the thread time to find its
// publisher closed before its own subscriber is.
void receive_own_for_good(framebus::Publisher& publisher) {
  constexpr int kBetween = 300;
  for (int i = 0; i < kBetween; ++i) new framebus::Publisher(publisher.name() + std::to_string(i));
  begin([&publisher] {
    framebus::Subscriber own(publisher.name(), {.wait = framebus::Wait::spin, .reconnect = false});
    for (;;) {
      at_work = 1;
      static_cast<void>(own.recv());  // the end of the process closes this publisher, which is not an error
    }
  });
}

void send_for_good(framebus::Publisher& publisher) {
  begin([&publisher] {
    for (;;) {
      publisher.send(std::vector<int>(1000), {1000});
      at_work = 1;
    }
  });
}

void work_until_static_objects_end(framebus::Subscriber& subscriber) {
  worker.thread = std::thread([&subscriber] {
    while (!worker.stop) {
      std::error_code error;
      const auto frame = subscriber.recv(milliseconds(1), error);
    }
  });
}

[[noreturn]] void exit_on_signal(int /*signal*/) { std::exit(0); }

void be_interrupted(framebus::Subscriber& subscriber) {
  std::signal(SIGTERM, exit_on_signal);
  std::puts("ready");
  std::fflush(stdout);
  for (std::error_code error;;) static_cast<void>(subscriber.recv(milliseconds(1), error));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const std::string how = argv[1], name = argv[2];
  // Never destroyed, as what a program with threads leaves on the heap.
  auto& subscriber = *new framebus::Subscriber(name, {.hold = 3, .connect_timeout = seconds(20)});
  auto& publisher = *new framebus::Publisher(name + ".own");
  framebus::Subscriber local(name);
  const framebus::Frame frame = local.recv(seconds(20));
  const std::map<std::string, std::function<void()>> ways = {
      {"nothing else", [] {}},
      {"a thread holds a frame", [&] { hold_for_good(subscriber); }},
      {"a thread receives", [&] { receive_for_good(subscriber); }},
      {"a thread sends", [&] { send_for_good(publisher); }},
      {"a static frame", [&] { kept = subscriber.recv(); }},
      {"a static worker", [&] { work_until_static_objects_end(subscriber); }},
      {"exit", [] {}},
      {"exit in a thread", [&] { hold_for_good(subscriber); }},
      {"a thread reads from its own publisher", [&] { receive_own_for_good(publisher); }},
      {"exit in a signal handler", [&] { be_interrupted(subscriber); }},
  };
  ways.at(how)();
  say_ready_and_wait();
  if (how == "exit") std::exit(0);  // the locals of main stay
  if (how == "exit in a thread") std::thread([] { std::exit(0); }).join();
  return 0;
}
