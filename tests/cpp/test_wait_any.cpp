// SPDX-License-Identifier: Apache-2.0
// wait_any: which subscribers are ready, waking by any of them, the end of a channel, removed files, closing and
// sending threads; each with futex_waitv and without it, finally in a process whose kernel refuses it.
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

constexpr os::ManyFutexes kBoth[] = {os::ManyFutexes::together, os::ManyFutexes::one_by_one};
using Ready = std::vector<Subscriber*>;

void those_with_news_are_given_in_order(os::ManyFutexes how) {
  Link a, b, c;
  const Ready all = {&a.subscriber, &b.subscriber, &c.subscriber};
  CHECK(wait_any(all, 0s, nullptr, how).empty());
  send(c.publisher, 1);
  CHECK(wait_any(all, 0s, nullptr, how) == Ready{&c.subscriber});
  send(a.publisher, 1);
  CHECK((wait_any(all, {}, nullptr, how) == Ready{&a.subscriber, &c.subscriber}));
  CHECK(a.subscriber.try_recv().has_value());
  CHECK(wait_any(all, {}, nullptr, how) == Ready{&c.subscriber});
  CHECK(c.subscriber.try_recv().has_value());
  CHECK(wait_any(all, 0s, nullptr, how).empty());
  CHECK(wait_any({&a.subscriber, &b.subscriber}, 1ms).empty());
}

void timeout_is_kept_however_long_it_is(os::ManyFutexes how) {
  Link a, b;
  const Ready all = {&a.subscriber, &b.subscriber};
  const std::int64_t before = os::monotonic_ns();
  CHECK(wait_any(all, 130ms, nullptr, how).empty());  // three slices
  CHECK(os::monotonic_ns() - before >= 130'000'000);
}

// Each frame is sent only after the previous one has been received, so that the receiver sleeps again each time. Only
// the frame wakes it, or the end of a slice.
void a_frame_in_any_channel_wakes(os::ManyFutexes how) {
  constexpr int kChannels = 3, kFrames = 300;
  std::vector<std::unique_ptr<Link>> links;
  Ready all;
  for (int i = 0; i < kChannels; ++i) {
    links.push_back(std::make_unique<Link>(SubscriberOptions{.every = true}));
    all.push_back(&links.back()->subscriber);
  }
  std::atomic<int> received{0};
  std::thread sending([&] {
    for (int n = 0; n < kFrames; ++n) {
      while (received.load() < n) std::this_thread::yield();
      send(links[static_cast<std::size_t>(n % kChannels)]->publisher, n);
    }
  });
  for (int n = 0; n < kFrames; ++n) {
    const Ready ready = wait_any(all, 60s, nullptr, how);
    const auto i = static_cast<std::size_t>(n % kChannels);
    CHECK(ready == Ready{all[i]});
    const auto frame = all[i]->try_recv();
    CHECK(frame.has_value() && frame->span<int>()[0] == n);
    received.store(n + 1);
  }
  sending.join();
}

void nobody_is_said_to_sleep_afterwards(os::ManyFutexes how) {
  Link a, b;
  static_cast<void>(wait_any(Ready{&a.subscriber, &b.subscriber}, 1ms, nullptr, how));
  const auto control = open_control(a.name);
  CHECK(control != nullptr && control->block().sleepers.load() == 0);
}

void ends_of_publishers_are_news_without_reconnect(os::ManyFutexes how) {
  Link a({.reconnect = false}), b({.reconnect = true});
  const Ready all = {&a.subscriber, &b.subscriber};
  b.publisher.close();
  CHECK(wait_any(all, 0s, nullptr, how).empty());
  std::thread closing([&a] { a.publisher.close(); });
  CHECK(wait_any(all, {}, nullptr, how) == Ready{&a.subscriber});
  closing.join();
  CHECK_FAILS(static_cast<void>(a.subscriber.try_recv()), Errc::channel_closed);
  CHECK(wait_any(all, 0s, nullptr, how) == Ready{&a.subscriber});  // while try_recv() would throw
}

// The other channel never lets a wait last; the death is noticed nevertheless.
void killed_publisher_is_noticed_beside_a_busy_channel(os::ManyFutexes how) {
  const std::string name = fresh_name();
  PublisherProcess process(name);
  Subscriber subscriber(name, {.reconnect = false});
  Link busy;
  const Ready all = {&busy.subscriber, &subscriber};
  process.kill();
  Ready got;
  while (got.empty() || got.back() != &subscriber) {
    send(busy.publisher, 1);
    got = wait_any(all, {}, nullptr, how);
  }
  CHECK((got == Ready{&busy.subscriber, &subscriber}));
  CHECK_FAILS(static_cast<void>(subscriber.try_recv()), Errc::publisher_died);
}

void closing_a_subscriber_ends_the_wait(os::ManyFutexes how) {
  Link a, b;
  const Ready all = {&a.subscriber, &b.subscriber};
  std::thread closing([&b] {
    const auto control = open_control(b.name);
    while (control->block().sleepers.load() == 0) std::this_thread::yield();
    b.subscriber.close();
  });
  CHECK(wait_any(all, {}, nullptr, how) == Ready{&b.subscriber});
  closing.join();
  CHECK(wait_any(all, 0s, nullptr, how) == Ready{&b.subscriber});
}

void subscriber_whose_files_were_removed_comes_in_again(os::ManyFutexes how) {
  auto a = std::make_unique<Link>();
  Link b;
  const Ready all = {&a->subscriber, &b.subscriber};
  CHECK(wait_any(all, 0s, nullptr, how).empty());
  remove_stores(a->name, 0);
  os::unlink_quietly(control_path(a->name));
  a->publisher.close();
  Publisher next(a->name);
  Ready got;
  while (got.empty()) {
    send(next, 7);
    got = wait_any(all, 10ms, nullptr, how);
  }
  CHECK(got == Ready{&a->subscriber});
  const auto frame = a->subscriber.try_recv();
  CHECK(frame.has_value() && frame->span<int>()[0] == 7);
}

int interruptions = 0;
void interrupt_at_last() {
  if (++interruptions == 3) throw std::runtime_error("enough");
}

void interrupt_is_called_between_slices(os::ManyFutexes how) {
  Link a, b;
  interruptions = 0;
  bool thrown = false;
  try {
    static_cast<void>(wait_any(Ready{&a.subscriber, &b.subscriber}, {}, interrupt_at_last, how));
  } catch (const std::runtime_error&) {
    thrown = true;
  }
  CHECK(thrown && interruptions == 3);
  const auto control = open_control(b.name);
  CHECK(control->block().sleepers.load() == 0);
}

// More words than the kernel takes at once; the last of them changes.
void more_channels_than_the_kernel_takes(os::ManyFutexes how) {
  std::vector<std::unique_ptr<Link>> links;
  Ready all;
  while (all.size() <= os::kMostWords) {
    links.push_back(std::make_unique<Link>());
    all.push_back(&links.back()->subscriber);
  }
  CHECK(wait_any(all, 5ms, nullptr, how).empty());
  for (int n = 0; n < 5; ++n) {
    std::thread sending([&links] {
      const auto control = open_control(links.back()->name);
      while (control->block().sleepers.load() == 0) std::this_thread::yield();
      send(links.back()->publisher, 1);
    });
    CHECK(wait_any(all, 60s, nullptr, how) == Ready{all.back()});
    sending.join();
    CHECK(all.back()->try_recv().has_value());
  }
}

void the_same_one_twice_and_threads_that_share_it(os::ManyFutexes how) {
  Link a({.every = true, .hold = 3});  // one for each thread
  const Ready twice = {&a.subscriber, &a.subscriber};
  constexpr int kFrames = 400;
  std::atomic<int> received{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      while (received.load() < kFrames) {
        static_cast<void>(wait_any(twice, 20ms, nullptr, how));
        while (a.subscriber.try_recv()) received.fetch_add(1);
      }
    });
  }
  for (int n = 0; n < kFrames; ++n) {
    while (n - received.load() > 4) std::this_thread::yield();
    send(a.publisher, n);
  }
  for (auto& thread : threads) thread.join();
  CHECK(received.load() == kFrames && a.subscriber.statistics().dropped == 0);
  CHECK(wait_any(twice, 0s, nullptr, how).empty());
  send(a.publisher, 1);
  CHECK(wait_any(twice, {}, nullptr, how) == twice);
}

void wrong_use_is_told() {
  CHECK_FAILS(static_cast<void>(wait_any(Ready{})), Errc::invalid_argument);
  std::error_code error;
  CHECK(wait_any(Ready{}, 0s, error).empty() && error == Errc::invalid_argument);
  Link a;
  CHECK(wait_any(Ready{&a.subscriber}, 0s, error).empty() && !error);
  const pid_t child = ::fork();
  if (child == 0) {
    static_cast<void>(wait_any(Ready{&a.subscriber}, 0s, error));
    ::_exit(error == Errc::forked_child ? 0 : 1);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  CHECK(status == 0);
}

void all_of_it(os::ManyFutexes how) {
  those_with_news_are_given_in_order(how);
  timeout_is_kept_however_long_it_is(how);
  a_frame_in_any_channel_wakes(how);
  nobody_is_said_to_sleep_afterwards(how);
  ends_of_publishers_are_news_without_reconnect(how);
  killed_publisher_is_noticed_beside_a_busy_channel(how);
  closing_a_subscriber_ends_the_wait(how);
  subscriber_whose_files_were_removed_comes_in_again(how);
  interrupt_is_called_between_slices(how);
  more_channels_than_the_kernel_takes(how);
  the_same_one_twice_and_threads_that_share_it(how);
}

void kernel_without_futex_waitv(unsigned error) {
  const pid_t child = ::fork();
  if (child == 0) {
    CHECK(refuse_call(os::kFutexWaitv, error));
    Atomic<std::uint32_t> word{5};
    const os::ExpectedWord words[] = {{&word, 5}};
    os::Slept slept{};
    CHECK(!os::futex_waitv(words, 0, slept));
    those_with_news_are_given_in_order(os::ManyFutexes::together);
    a_frame_in_any_channel_wakes(os::ManyFutexes::together);
    timeout_is_kept_however_long_it_is(os::ManyFutexes::together);
    ::_exit(check::failed.load() == 0 ? 0 : 1);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  CHECK(status == 0);
}

}  // namespace

int main() {
  for (const os::ManyFutexes how : kBoth) all_of_it(how);
  wrong_use_is_told();
  kernel_without_futex_waitv(ENOSYS);
  kernel_without_futex_waitv(EPERM);
  return check::finish();
}
