// SPDX-License-Identifier: Apache-2.0
// Listeners, signalled by the kernel and by the fallback notifier: what signals them, what clears them, and that they
// do not affect each other; with other threads, a forked child, and a kernel without io_uring.
#include <sys/mman.h>
#include <sys/wait.h>

#include <atomic>
#include <framebus/framebus.hpp>
#include <memory>
#include <thread>
#include <vector>

#include "check.hpp"
#include "link.hpp"
#include "publisher_process.hpp"
#include "refusal.hpp"

using namespace framebus;
using namespace framebus::detail;
using namespace std::chrono_literals;

namespace {

constexpr long kEnter = 426;  // io_uring_enter

// The value of the next frame; waits as an event loop does.
int recv(Subscriber& subscriber, Listener& listener) {
  for (;;) {
    if (const auto frame = subscriber.try_recv()) return frame->span<int>()[0];
    listener.arm();
    if (const auto frame = subscriber.try_recv()) return frame->span<int>()[0];
    CHECK(readable(listener, kWatchdog));
  }
}

// The two threads share nothing but the channel and a counter, so a signal that is missed between two steps stops both.
void every_frame_signals_however_fast_they_come(Notify how) {
  constexpr int kFrames = 2000;
  Link link;
  const auto listener = link.subscriber.listen(how);
  std::atomic<int> received{0};
  std::thread sending([&] {
    for (int n = 1; n <= kFrames; ++n) {
      while (received.load() < n - 1) std::this_thread::yield();
      send(link.publisher, n);
    }
  });
  for (int n = 1; n <= kFrames; ++n) {
    CHECK(recv(link.subscriber, *listener) == n);
    received.store(n);
  }
  sending.join();
}

// Not readable for `ms`, except for one signal without a frame: that of a frame or a time before arm() may come late,
// since the kernel signals from its own task and the fallback notifier from its thread.
bool is_silent(Listener& listener, int ms) {
  if (!readable(listener, ms)) return true;
  listener.arm();
  return !readable(listener, ms);
}

// Readable at `until` and not before, except for one signal without a frame.
bool signals_at(Listener& listener, std::int64_t until) {
  if (!readable(listener, kWatchdog)) return false;
  if (os::monotonic_ns() >= until) return true;
  listener.arm(until);
  return readable(listener, kWatchdog) && os::monotonic_ns() >= until;
}

void it_is_silent_from_arm_to_the_next_frame(Notify how) {
  Link link;
  const auto listener = link.subscriber.listen(how);
  for (int n = 0; n < 20; ++n) {
    listener->arm();
    CHECK(!link.subscriber.try_recv());
    // The first round has no earlier signal and is watched for longer than a slice of the thread.
    CHECK(n == 0 ? !readable(*listener, 120) : is_silent(*listener, 0));
    send(link.publisher, n);
    CHECK(readable(*listener, kWatchdog));
    if (n % 3 == 0) send(link.publisher, n);
    CHECK(link.subscriber.try_recv().has_value());
  }
}

void others_neither_signal_nor_clear_it(Notify how) {
  Link link;
  const auto one = link.subscriber.listen(how), other = link.subscriber.listen(how);
  const int fd = link.subscriber.fileno();
  for (int n = 0; n < 50; ++n) {
    one->arm();
    other->arm();
    while (link.subscriber.try_recv()) continue;
    send(link.publisher, n);
    CHECK(readable(*one, kWatchdog) && readable(*other, kWatchdog) && readable(fd, kWatchdog));
    CHECK(link.subscriber.try_recv().has_value());
    one->arm();
    CHECK(!readable(*one, 0));
    CHECK(readable(*other, 0));
  }
}

// A frame, the end of the channel, a dead publisher.
void the_end_signals_every_listener(Notify how) {
  Link closed({.reconnect = false});
  const auto one = closed.subscriber.listen(how), other = closed.subscriber.listen(how);
  one->arm();
  other->arm();
  CHECK(!closed.subscriber.try_recv());
  closed.publisher.close();
  for (const auto& listener : {one, other}) {
    CHECK(readable(*listener, kWatchdog));
    CHECK_FAILS(static_cast<void>(closed.subscriber.try_recv()), Errc::channel_closed);
  }

  const std::string name = fresh_name();
  PublisherProcess process(name);
  Subscriber subscriber(name, {.reconnect = false});
  const auto left = subscriber.listen(how), right = subscriber.listen(how);
  left->arm();
  right->arm();
  CHECK(!readable(*left, 0) && !readable(*right, 0));
  process.kill();
  CHECK(readable(*left, kWatchdog) && readable(*right, kWatchdog));
  CHECK_FAILS(static_cast<void>(subscriber.try_recv()), Errc::publisher_died);
}

void closing_signals_permanently(Notify how) {
  Link link;
  const auto listener = link.subscriber.listen(how);
  listener->arm();
  CHECK(!readable(*listener, 0));
  link.subscriber.close();
  CHECK(readable(*listener, 0));
  listener->arm();
  CHECK(!listener->disarm());
  CHECK(readable(*listener, 0));
  CHECK_FAILS(static_cast<void>(link.subscriber.listen(how)), Errc::channel_closed);
}

void removed_files_signal_until_the_next_channel_is_there(Notify how) {
  Link link;
  const auto listener = link.subscriber.listen(how);
  listener->arm();
  CHECK(!readable(*listener, 0));
  remove_stores(link.name, 0);
  os::unlink_quietly(control_path(link.name));
  link.publisher.close();
  Publisher next(link.name, {.slots = 4});
  send(next, 7);
  CHECK(recv(link.subscriber, *listener) == 7);
  for (int n = 8; n < 20; ++n) {
    listener->arm();
    CHECK(!link.subscriber.try_recv());
    send(next, n);
    CHECK(readable(*listener, kWatchdog));
    CHECK(recv(link.subscriber, *listener) == n);
  }
}

// Never before its time; a later time does not replace an earlier one, which costs one futile fetch.
void it_signals_at_the_time_given(Notify how) {
  Link link;
  const auto listener = link.subscriber.listen(how);
  for (const std::int64_t pause : {70'000'000, 10'000'000, 0, 1'000'000, 120'000'000}) {
    const std::int64_t until = os::monotonic_ns() + pause;
    listener->arm(until);
    CHECK(signals_at(*listener, until));
  }
  const std::int64_t early = os::monotonic_ns() + 20'000'000, late = early + 50'000'000;
  for (const std::int64_t until : {late, early, late}) listener->arm(until);
  CHECK(signals_at(*listener, early));
  listener->arm(late);
  CHECK(signals_at(*listener, late));
  listener->arm();
  CHECK(is_silent(*listener, 120));
}

// A disarmed listener costs its publisher no system call. Neither does one that was signalled and has not fetched yet,
// from the next fetch of another loop, or the next check of the fallback notifier, on.
void no_wake_up_is_futile() {
  Link link;
  const auto listener = link.subscriber.listen();
  if (!listener->uses_io_uring()) return;
  const auto control = open_control(link.name);
  const auto sleepers = [&] { return control->block().sleepers.load(); };
  CHECK(sleepers() == 0);
  listener->arm();
  CHECK(sleepers() != 0);
  CHECK(listener->disarm());
  CHECK(sleepers() == 0);
  send(link.publisher, 1);
  CHECK(!readable(*listener, 0));
  CHECK(link.subscriber.try_recv().has_value());

  const auto other = link.subscriber.listen();
  listener->arm();
  other->arm();
  send(link.publisher, 2);
  CHECK(readable(*listener, kWatchdog));
  CHECK(sleepers() != 0);
  CHECK(link.subscriber.try_recv().has_value());
  CHECK(sleepers() == 0);

  listener->arm();  // the kernel's previous wait is over
  other->arm();
  CHECK(listener->disarm());
  send(link.publisher, 3);
  CHECK(readable(*other, kWatchdog));
  CHECK(link.subscriber.try_recv().has_value());
  const std::uint64_t before = link.publisher.statistics().wakeups;
  send(link.publisher, 4);
  CHECK(link.publisher.statistics().wakeups == before);

  CHECK(link.subscriber.try_recv().has_value());
  listener->arm();
  for (int n = 5; sleepers() != 0; ++n) send(link.publisher, n);
  CHECK(readable(*listener, kWatchdog));
}

// An event loop may be run by one thread after another, some of which have ended.
void another_thread_may_go_on(Notify how) {
  Link link;
  const auto listener = link.subscriber.listen(how);
  for (int n = 0; n < 10; ++n) {
    std::thread([&] {
      listener->arm();
      CHECK(!link.subscriber.try_recv());
      if (n % 2 == 0) return;  // with its wait in progress
      send(link.publisher, n);
      CHECK(readable(*listener, kWatchdog));
      CHECK(recv(link.subscriber, *listener) == n);
    }).join();
    if (n % 3 != 0) continue;
    listener->arm();
    CHECK(!link.subscriber.try_recv());
    send(link.publisher, n);
    CHECK(readable(*listener, kWatchdog));
    CHECK(recv(link.subscriber, *listener) == n);
  }
}

void they_come_and_go_in_threads(Notify how) {
  Link link;
  std::atomic<bool> stop{false};
  std::thread sending([&] {
    while (!stop.load()) send(link.publisher, 1);
  });
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 60; ++i) {
        Subscriber own(link.name);
        const auto listener = own.listen(how);
        for (int n = 0; n < i % 4; ++n) static_cast<void>(recv(own, *listener));
        if (i % 2 == 0) own.close();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  stop.store(true);
  sending.join();
}

// Not under ThreadSanitizer, which forbids threads in the child of a process that had some.
void forked_child_leaves_it_alone([[maybe_unused]] Notify how) {
#ifndef __SANITIZE_THREAD__
  Link link;
  auto listener = link.subscriber.listen(how);
  listener->arm();
  const pid_t child = ::fork();
  if (child == 0) {
    listener->arm();
    listener.reset();
    Subscriber own(link.name);
    const auto mine = own.listen(how);
    static_cast<void>(recv(own, *mine));
    ::_exit(check::failed.load() == 0 ? 0 : 1);
  }
  while (open_control(link.name)->block().readers.load() != 3) std::this_thread::yield();
  CHECK(!readable(*listener, 0));
  send(link.publisher, 1);
  CHECK(readable(*listener, kWatchdog));
  int status = -1;
  ::waitpid(child, &status, 0);
  CHECK(status == 0);
#endif
}

void all_of_it(Notify how) {
  every_frame_signals_however_fast_they_come(how);
  it_is_silent_from_arm_to_the_next_frame(how);
  others_neither_signal_nor_clear_it(how);
  the_end_signals_every_listener(how);
  closing_signals_permanently(how);
  removed_files_signal_until_the_next_channel_is_there(how);
  it_signals_at_the_time_given(how);
  another_thread_may_go_on(how);
  they_come_and_go_in_threads(how);
  forked_child_leaves_it_alone(how);
}

// As in most containers, and on kernels before 5.1.
void kernel_without_io_uring([[maybe_unused]] unsigned error) {
#ifndef __SANITIZE_THREAD__
  const pid_t child = ::fork();
  if (child == 0) {
    CHECK(refuse_call(os::FutexRing::kSetup, error));
    CHECK(!Link().subscriber.listen()->uses_io_uring());
    all_of_it(Notify::io_uring);
    ::_exit(check::failed.load() == 0 ? 0 : 1);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  CHECK(status == 0);
#endif
}

#ifndef __SANITIZE_THREAD__
// What happens in the child; its channel is closed before _exit(), which closes nothing.
void refuse_later(bool over) {
  Link link;
  const auto listener = link.subscriber.listen();
  for (int n = 0; n < 6; ++n) {
    listener->arm();
    CHECK(!link.subscriber.try_recv());
    if (n == 3 && !over) CHECK(refuse_call(kEnter, EPERM) && refuse_call(os::FutexRing::kSetup, EPERM));
    send(link.publisher, n);
    CHECK(readable(*listener, kWatchdog));
    std::this_thread::sleep_for(n == 3 ? 120ms : 0ms);  // the fallback notifier has checked, too
    if (n == 3 && over) CHECK(refuse_call(kEnter, EPERM) && refuse_call(os::FutexRing::kSetup, EPERM));
    CHECK(recv(link.subscriber, *listener) == n);
    if (n < 3) continue;
    int late = 0;  // a previous wait signals once at most; on a busy machine that may come after the next frame
    do {
      listener->arm();
      CHECK(!link.subscriber.try_recv());
    } while (readable(*listener, 120) && ++late < 2);
    CHECK(late < 2);
  }
  listener->arm();
  CHECK(!listener->uses_io_uring());
}
#endif

// io_uring stops while it is in use, for instance when no descriptor is left; its last wait may signal late. Once with
// a wait that is over by then, once with one in progress.
void kernel_that_refuses_later([[maybe_unused]] bool over) {
#ifndef __SANITIZE_THREAD__
  const pid_t child = ::fork();
  if (child == 0) {
    refuse_later(over);
    ::_exit(check::failed.load() == 0 ? 0 : 1);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  CHECK(status == 0);
#endif
}

// The kernel accepts a wait that then fails: it is reported, so no loop waits without effect or polls.
void a_wait_that_fails_is_noticed() {
  const EventFd event_fd;
  const auto ring = os::FutexRing::open(event_fd.fd());
  if (ring == nullptr) return;
  void* nothing = ::mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(ring->wait(*static_cast<Atomic<std::uint32_t>*>(nothing), 0));
  CHECK(readable(event_fd.fd(), kWatchdog));
  CHECK(ring->has_completed() && ring->has_failed());
  const Atomic<std::uint32_t> word{0};
  CHECK(!ring->wait(word, 0));
  ::munmap(nothing, 4096);
}

}  // namespace

int main() {
  for (const Notify how : {Notify::io_uring, Notify::thread}) all_of_it(how);
  no_wake_up_is_futile();
  a_wait_that_fails_is_noticed();
  kernel_without_io_uring(ENOSYS);
  kernel_without_io_uring(EPERM);
  for (const bool over : {true, false}) kernel_that_refuses_later(over);
  return check::finish();
}
