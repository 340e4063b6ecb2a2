// SPDX-License-Identifier: Apache-2.0
// Descriptors of many subscribers and the fallback notifier's thread: what signals them, when the thread exists, adding
// and removing in any order, in a forked child too; with futex_waitv and without it.
#include <sys/wait.h>

#include <atomic>
#include <filesystem>
#include <framebus/framebus.hpp>
#include <fstream>
#include <memory>
#include <thread>
#include <vector>

#include "check.hpp"
#include "link.hpp"
#include "publisher_process.hpp"

using namespace framebus;
using namespace framebus::detail;
using namespace std::chrono_literals;

namespace {

// The number of framebus's threads in this process; a sanitizer has others.
int threads() {
  int count = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name;
    std::getline(std::ifstream(task.path() / "comm"), name);
    count += name == "framebus" ? 1 : 0;
  }
  return count;
}
// The kernel lists a thread for a moment after it was joined.
void wait_until_no_thread() {
  while (threads() != 0) std::this_thread::yield();
}

void one_thread_serves_all_and_ends_with_the_last() {
  CHECK(threads() == 0);
  {
    std::vector<std::unique_ptr<Link>> links;
    for (int i = 0; i < 20; ++i) {
      links.push_back(std::make_unique<Link>());
      CHECK(links.back()->subscriber.fileno() >= 0);
    }
    CHECK(threads() == 1);
    for (const auto& link : links) {
      CHECK(!readable(link->subscriber.fileno(), 0));
      send(link->publisher, 1);
      CHECK(readable(link->subscriber.fileno(), kWatchdog));
    }
    for (std::size_t i = 0; i < links.size(); i += 2) links[i]->subscriber.close();
    CHECK(threads() == 1);
    send(links[1]->publisher, 2);
    CHECK(links[1]->subscriber.try_recv().has_value() && links[3]->subscriber.try_recv().has_value());
    CHECK(readable(links[5]->subscriber.fileno(), kWatchdog));
  }
  wait_until_no_thread();
  Link again;
  CHECK(again.subscriber.fileno() >= 0);
  CHECK(threads() == 1);
  send(again.publisher, 1);
  CHECK(readable(again.subscriber.fileno(), kWatchdog));
}

// The channel of an eventfd that is not cleared is suspended, so the publisher makes no system call for it, until the
// next fetch.
void a_channel_whose_descriptor_is_not_read_is_suspended() {
  Link link;
  const int fd = link.subscriber.fileno();
  const auto control = open_control(link.name);
  while (control->block().sleepers.load() == 0) std::this_thread::yield();
  for (int n = 0; control->block().sleepers.load() != 0; ++n) {
    send(link.publisher, n);
    CHECK(readable(fd, kWatchdog));
    std::this_thread::yield();
  }
  for (int n = 0; n < 50; ++n) {
    CHECK(readable(fd, kWatchdog));
    while (link.subscriber.try_recv()) continue;
    send(link.publisher, n);
  }
}

// No signal is lost between clearing and fetching: each frame is sent when the previous one has been received.
void every_frame_signals_however_fast_they_come(const std::vector<std::unique_ptr<Link>>& links) {
  constexpr int kFrames = 500;
  std::atomic<int> received{0};
  std::thread sending([&] {
    for (int n = 0; n < kFrames; ++n) {
      while (received.load() < n) std::this_thread::yield();
      send(links[static_cast<std::size_t>(n) % links.size()]->publisher, n);
    }
  });
  for (int n = 0; n < kFrames; ++n) {
    Subscriber& subscriber = links[static_cast<std::size_t>(n) % links.size()]->subscriber;
    for (;;) {
      const auto frame = subscriber.try_recv();
      if (frame) break;
      CHECK(readable(subscriber.fileno(), kWatchdog));
    }
    received.store(n + 1);
  }
  sending.join();
}

void every_frame_signals() {
  std::vector<std::unique_ptr<Link>> links;
  for (int i = 0; i < 3; ++i) links.push_back(std::make_unique<Link>());
  every_frame_signals_however_fast_they_come(links);
  while (links.size() <= os::kMostWords) {
    links.push_back(std::make_unique<Link>());
    CHECK(links.back()->subscriber.fileno() >= 0);
  }
  every_frame_signals_however_fast_they_come(links);
}

void they_come_and_go_in_threads() {
  Link link;
  std::atomic<bool> stop{false};
  std::thread sending([&] {
    while (!stop.load()) send(link.publisher, 1);
  });
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&link] {
      for (int i = 0; i < 60; ++i) {
        Subscriber subscriber(link.name);
        const int fd = subscriber.fileno();
        for (int n = 0; n < i % 4; ++n) {
          CHECK(readable(fd, kWatchdog));
          static_cast<void>(subscriber.try_recv());
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  stop.store(true);
  sending.join();
}

void the_end_of_the_channel_signals() {
  Link closed({.reconnect = false});
  const int fd = closed.subscriber.fileno();
  closed.publisher.close();
  CHECK(readable(fd, kWatchdog));
  CHECK_FAILS(static_cast<void>(closed.subscriber.try_recv()), Errc::channel_closed);

  const std::string name = fresh_name();
  PublisherProcess process(name);
  Subscriber subscriber(name, {.reconnect = false});
  CHECK(!readable(subscriber.fileno(), 0));
  process.kill();
  CHECK(readable(subscriber.fileno(), kWatchdog));
  CHECK_FAILS(static_cast<void>(subscriber.try_recv()), Errc::publisher_died);
}

void closing_signals_copies_of_the_descriptor() {
  Link link;
  const int copy = ::dup(link.subscriber.fileno());
  CHECK(!readable(copy, 0));
  link.subscriber.close();
  CHECK(readable(copy, 0));
  ::close(copy);
}

void removed_files_signal_until_the_next_channel_is_there() {
  auto link = std::make_unique<Link>();
  Subscriber& subscriber = link->subscriber;
  const int fd = subscriber.fileno();
  CHECK(!readable(fd, 0));
  remove_stores(link->name, 0);
  os::unlink_quietly(control_path(link->name));
  link->publisher.close();
  Publisher next(link->name, {.slots = 4});
  send(next, 7);
  std::optional<Frame> frame;
  while (!(frame = subscriber.try_recv())) CHECK(readable(fd, kWatchdog));
  CHECK(frame->span<int>()[0] == 7);
  CHECK(subscriber.fileno() == fd);
  CHECK(!subscriber.try_recv());
  send(next, 8);
  CHECK(readable(fd, kWatchdog) && subscriber.try_recv().has_value());
}

// Not under ThreadSanitizer, which forbids threads in the child of a process that had some.
void forked_child_gets_a_thread_of_its_own() {
#ifndef __SANITIZE_THREAD__
  Link link;
  CHECK(link.subscriber.fileno() >= 0);
  const pid_t child = ::fork();
  if (child == 0) {
    bool good = threads() == 0 && link.subscriber.is_closed();
    link.subscriber.close();
    {
      Subscriber own(link.name);
      const int fd = own.fileno();
      good = good && threads() == 1 && readable(fd, kWatchdog) && own.try_recv().has_value();
    }
    wait_until_no_thread();
    ::_exit(good ? 0 : 1);
  }
  while (open_control(link.name)->block().readers.load() != 3) std::this_thread::yield();
  send(link.publisher, 1);
  int status = -1;
  ::waitpid(child, &status, 0);
  CHECK(status == 0);
  CHECK(readable(link.subscriber.fileno(), kWatchdog) && link.subscriber.try_recv().has_value());
#endif
}

// With a FallbackNotifier of the test, whose way of sleeping can be chosen.
void without_futex_waitv_all_eventfds_are_signalled() {
  FallbackNotifier fallback(os::ManyFutexes::one_by_one);
  std::vector<std::unique_ptr<Link>> links;
  std::vector<std::shared_ptr<ReaderSession>> kept;
  std::vector<std::unique_ptr<EventFd>> event_fds;
  for (int i = 0; i < 5; ++i) {
    links.push_back(std::make_unique<Link>());
    auto claim = join_as_reader(links.back()->name);
    kept.push_back(std::make_shared<ReaderSession>(std::move(*claim), SubscriberOptions{}));
    event_fds.push_back(std::make_unique<EventFd>());
    fallback.add(*event_fds.back(), kept.back(), false);
  }
  for (int round = 0; round < 20; ++round) {
    for (std::size_t i = links.size(); i-- > 0;) {
      CHECK(!readable(event_fds[i]->fd(), 0));
      send(links[i]->publisher, round);
      CHECK(readable(event_fds[i]->fd(), kWatchdog));
      if (event_fds[i]->clear()) fallback.wake();
    }
  }
  for (auto& event_fd : event_fds) fallback.remove(*event_fd);
}

}  // namespace

int main() {
  one_thread_serves_all_and_ends_with_the_last();
  a_channel_whose_descriptor_is_not_read_is_suspended();
  every_frame_signals();
  they_come_and_go_in_threads();
  the_end_of_the_channel_signals();
  closing_signals_copies_of_the_descriptor();
  removed_files_signal_until_the_next_channel_is_there();
  forked_child_gets_a_thread_of_its_own();
  without_futex_waitv_all_eventfds_are_signalled();
  return check::finish();
}
