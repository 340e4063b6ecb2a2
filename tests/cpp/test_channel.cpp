// SPDX-License-Identifier: Apache-2.0
// Publisher and Subscriber on real shared memory, within one process: growth, holds, delivery, takeover, cleanup.
#include <atomic>
#include <chrono>
#include <cstring>
#include <framebus/framebus.hpp>
#include <framebus/inspect.hpp>
#include <thread>
#include <vector>

#include "check.hpp"

using namespace framebus;
using namespace framebus::detail;
using namespace std::chrono_literals;

namespace {

std::string fresh_name() {
  static int count = 0;
  return "cpptest." + std::to_string(::getpid()) + "." + std::to_string(++count);
}

std::uint64_t send(Publisher& publisher, std::uint64_t bytes, int value, std::string_view meta = {}) {
  const std::vector<ArraySpec> specs = {{"image", {'u', '|', 1}, {bytes}}};
  Loan loan = publisher.loan(specs);
  std::memset(loan.data(0), value, bytes);
  return loan.commit(meta);
}

bool is_all(const Frame& frame, int value) {
  const std::byte* bytes = frame.data(0);
  for (std::uint64_t i = 0; i < frame.info().arrays[0].bytes; ++i) {
    if (bytes[i] != static_cast<std::byte>(value)) return false;
  }
  return true;
}

void files_are_gone_when_the_last_one_leaves() {
  const std::string name = fresh_name();
  {
    Publisher publisher(name);
    send(publisher, 100, 1);
    auto subscriber = std::make_unique<Subscriber>(name);
    publisher.close();
    CHECK(os::exists(control_path(name)));
    const Frame frame = subscriber->recv(0s);
    subscriber->close();
    CHECK(os::exists(control_path(name)));  // the frame is still held
    CHECK(is_all(frame, 1));
  }
  CHECK(!os::exists(control_path(name)) && !os::exists(store_path(name, 1)));
}

// Frames of 2 MiB in four slots are not kept for history unless asked for; a keeper holds frame 1 while all slots are
// reused.
void newcomer_with_history_begins_with_the_frame_that_is_kept() {
  constexpr std::uint64_t kLarge = 2 << 20;
  for (const bool every : {false, true}) {
    const std::string name = fresh_name();
    Publisher publisher(name, {.slots = 4});
    send(publisher, kLarge, 1);
    Subscriber keeper(name, {.hold = 1, .history = 1, .observer = true, .keeper = true});
    std::optional<Frame> kept = keeper.recv(0s);
    for (int i = 2; i <= 20; ++i) send(publisher, kLarge, i);
    send(publisher, 3 * kLarge, 21);  // and the channel grows
    Subscriber newcomer(name, {.every = every, .history = 1});
    Subscriber indifferent(name, {.every = every});
    kept.reset();
    const Frame first = newcomer.recv(0s);
    CHECK(first.info().seq == 1 && is_all(first, 1));
    CHECK(newcomer.recv(0s).info().seq == 21);
    const Statistics s = newcomer.statistics();
    CHECK(s.missed == 0 && s.dropped == 0 && s.pending == 0);
    CHECK(every ? !indifferent.try_recv() : indifferent.recv(0s).info().seq == 21);
  }
}

// A keeper with every=true keeps all frames, and a new subscriber gets them without a gap, even with a shorter history.
void newcomer_with_history_gets_all_frames_since_the_kept_one_if_they_are_there() {
  const std::string name = fresh_name();
  Publisher publisher(name, {.slots = 6, .on_full = OnFull::raise});
  send(publisher, 2 << 20, 1);
  auto keeper = std::make_unique<Subscriber>(
      name, SubscriberOptions{.every = true, .hold = 1, .history = 1, .observer = true, .keeper = true});
  std::optional<Frame> kept = keeper->recv(0s);
  std::uint64_t sent = 1;
  try {
    while (sent < 100) sent = send(publisher, 2 << 20, static_cast<int>(sent) + 1);
  } catch (const Error& error) {
    CHECK(error.code() == Errc::channel_full);
    CHECK(std::string(error.what()).find("the subscriber's program, which is being started") != std::string::npos);
  }
  CHECK(sent > 2 && sent < 100);
  Subscriber newcomer(name, {.every = true, .history = 1});
  kept.reset();
  keeper.reset();
  for (std::uint64_t i = 1; i <= sent; ++i) CHECK(newcomer.recv(0s).info().seq == i);
  CHECK(newcomer.statistics().dropped == 0);
}

void growing_keeps_order_and_held_frames() {
  const std::string name = fresh_name();
  Publisher publisher(name, {.slots = 8, .on_full = OnFull::block});
  Subscriber subscriber(name, {.every = true, .hold = 8});
  std::vector<Frame> held;
  const std::uint64_t sizes[] = {64, 1 << 20, 10, 4 << 20, 0, 1 << 22};
  for (int i = 0; i < 6; ++i) CHECK(send(publisher, sizes[i], i + 1) == static_cast<std::uint64_t>(i + 1));
  for (int i = 0; i < 6; ++i) {
    held.push_back(subscriber.recv(0s));
    CHECK(held.back().info().seq == static_cast<std::uint64_t>(i + 1));
    CHECK(held.back().info().arrays[0].bytes == sizes[i]);
  }
  for (int i = 0; i < 50; ++i) {
    send(publisher, 8 << 20, 99);
    subscriber.recv(0s);
  }
  subscriber.close();
  publisher.close();
  for (int i = 0; i < 6; ++i) CHECK(is_all(held[static_cast<std::size_t>(i)], i + 1));
}

void a_reader_that_lags_across_a_growth_loses_nothing() {
  const std::string name = fresh_name();
  Publisher publisher(name, {.slots = 8, .on_full = OnFull::raise});
  Subscriber every(name, {.every = true});
  send(publisher, 64, 1);
  CHECK(every.recv(0s).info().seq == 1);  // and has mapped the first store, whose directory has 8 entries
  for (int i = 2; i <= 6; ++i) send(publisher, 64, i);
  Subscriber greedy(name, {.hold = 20});
  for (int i = 7; i <= 11; ++i) send(publisher, 64, i);  // needs more slots than 8
  CHECK(publisher.statistics().generation > 1);
  for (std::uint64_t seq = 2; seq <= 11; ++seq) CHECK(every.recv(0s).info().seq == seq);
}

void a_full_budget_is_refused_and_never_stops_the_publisher() {
  const std::string name = fresh_name();
  Publisher publisher(name, {.slots = 2});
  std::vector<std::unique_ptr<Subscriber>> subscribers;
  std::vector<Frame> held;
  for (int s = 0; s < 5; ++s) {
    subscribers.push_back(std::make_unique<Subscriber>(name, SubscriberOptions{.hold = 3}));
    for (int i = 0; i < 3; ++i) {
      send(publisher, 1000, s * 3 + i);
      held.push_back(subscribers.back()->recv(0s));
    }
    CHECK_FAILS(subscribers.back()->try_recv(), Errc::too_many_held);
  }
  for (int i = 0; i < 100; ++i) send(publisher, 1000, 200);
  for (int i = 0; i < 15; ++i) CHECK(is_all(held[static_cast<std::size_t>(i)], i));
  CHECK(publisher.statistics().slots >= 17 && publisher.statistics().held == 15);
  held.clear();
  CHECK(publisher.statistics().held == 0);
}

void more_slots_than_a_channel_can_have_are_refused() {
  const std::string name = fresh_name();
  Publisher publisher(name);
  const auto control = open_control(name);
  CHECK_FAILS(make_generation(*control, nullptr, {.slots = kMaxSlots + 1, .slot_bytes = kPage}), Errc::too_many_slots);
}

void on_full_says_what_happens_to_a_lagging_reader() {
  {
    const std::string name = fresh_name();
    Publisher publisher(name, {.slots = 4, .on_full = OnFull::drop});
    Subscriber every(name, {.every = true});
    for (int i = 1; i <= 20; ++i) send(publisher, 10, i);
    std::uint64_t frames = 0;
    while (every.try_recv()) ++frames;
    const Statistics s = every.statistics();
    CHECK(frames == s.frames && s.frames + s.dropped == 20 && s.dropped > 0 && s.missed == 0 && s.pending == 0);
    CHECK(publisher.statistics().dropped == s.dropped);
  }
  {
    const std::string name = fresh_name();
    Publisher publisher(name, {.slots = 4, .on_full = OnFull::raise});
    Subscriber every(name, {.every = true});
    for (int i = 1; i <= 4; ++i) send(publisher, 10, i);
    CHECK_FAILS(send(publisher, 10, 5), Errc::channel_full);
    CHECK(every.recv(0s).info().seq == 1);
    CHECK(send(publisher, 10, 5) == 5);
  }
  {
    const std::string name = fresh_name();
    Publisher publisher(name, {.slots = 4, .on_full = OnFull::block});
    Subscriber every(name, {.every = true});
    const std::vector<ArraySpec> specs = {{"image", {'u', '|', 1}, {1}}};
    for (int i = 1; i <= 4; ++i) send(publisher, 10, i);
    CHECK_FAILS(publisher.loan(specs, 1ms), Errc::channel_full_timeout);
    std::thread sender([&] {
      for (int i = 5; i <= 500; ++i) send(publisher, 10, i);
    });
    for (std::uint64_t i = 1; i <= 500; ++i) CHECK(every.recv().info().seq == i);
    sender.join();
    CHECK(every.statistics().dropped == 0 && publisher.statistics().dropped == 0);
  }
}

void history_goes_back_as_far_as_frames_are_kept() {
  const std::string name = fresh_name();
  Publisher publisher(name);
  for (int i = 1; i <= 10; ++i) send(publisher, 100, i);
  for (const bool every : {true, false}) {
    Subscriber late(name, {.every = every, .history = 3});
    for (std::uint64_t seq = 8; seq <= 10; ++seq) CHECK(late.recv(0s).info().seq == seq);
    CHECK(!late.try_recv());
    CHECK(late.statistics().missed == 0 && late.statistics().dropped == 0);
  }
  Subscriber newest(name);
  CHECK(newest.recv(0s).info().seq == 10);
  Subscriber from_now_on(name, {.every = true});
  CHECK(!from_now_on.try_recv());
}

void a_second_publisher_is_refused_and_a_next_one_goes_on() {
  const std::string name = fresh_name();
  auto first = std::make_unique<Publisher>(name);
  CHECK_FAILS(Publisher second(name), Errc::channel_in_use);
  Subscriber stays(name);
  Subscriber leaves(name, {.reconnect = false});
  send(*first, 100, 1);
  CHECK(stays.recv(0s).info().seq == 1 && leaves.recv(0s).info().seq == 1);
  first->close();
  CHECK_FAILS(leaves.recv(), Errc::channel_closed);
  CHECK_FAILS(stays.recv(1us), Errc::channel_closed);
  CHECK(!stays.try_recv() && !stays.next());
  CHECK_FAILS(Subscriber late(name), Errc::channel_not_found);
  Publisher next(name);
  CHECK_FAILS(stays.next(1us), Errc::timeout);
  CHECK(send(next, 5000, 2) == 2);
  CHECK(is_all(stays.recv(0s), 2));
  CHECK_FAILS(leaves.recv(), Errc::channel_closed);
}

void a_loan_that_is_dropped_was_never_there() {
  const std::string name = fresh_name();
  Publisher publisher(name);
  Subscriber subscriber(name);
  {
    Loan loan = publisher.loan({{"image", {'u', '|', 1}, {10}}});
  }
  CHECK(!subscriber.try_recv());
  Loan early = publisher.loan({{"image", {'u', '|', 1}, {10}}});
  std::memset(early.data(0), 7, 10);
  send(publisher, 1 << 20, 1);  // the channel grows under the loan
  CHECK(early.commit("{\"a\":1}") == 2);
  const Frame frame = subscriber.recv(0s);
  CHECK(frame.info().seq == 2 && is_all(frame, 7) && frame.meta_json() == "{\"a\":1}");
  CHECK_FAILS(early.commit(), Errc::loan_ended);
  CHECK_FAILS(static_cast<void>(early.data(0)), Errc::loan_ended);
}

void metadata_that_does_not_fit_moves_the_frame() {
  const std::string name = fresh_name();
  Publisher publisher(name);
  Subscriber subscriber(name);
  const std::string meta(300'000, ' ');
  CHECK(send(publisher, 10, 3, meta) == 1);
  const Frame frame = subscriber.recv(0s);
  CHECK(frame.meta_json() == meta && is_all(frame, 3));
}

void threads_share_a_subscriber_without_loss_or_repetition() {
  const std::string name = fresh_name();
  constexpr std::uint64_t kFrames = 5000;
  Publisher publisher(name, {.on_full = OnFull::block});
  Subscriber subscriber(name, {.every = true, .hold = 8});
  std::atomic<std::uint64_t> sum{0};
  std::atomic<std::uint64_t> count{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      while (const auto frame = subscriber.next()) {
        sum += frame->info().seq;
        ++count;
      }
    });
  }
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&] {
      for (std::uint64_t i = 0; i < kFrames / 2; ++i) send(publisher, 100, 1);
    });
  }
  threads[4].join();
  threads[5].join();
  publisher.close();
  for (int t = 0; t < 4; ++t) threads[static_cast<std::size_t>(t)].join();
  CHECK(count == kFrames && sum == kFrames * (kFrames + 1) / 2);
}

void every_waiting_policy_gets_every_frame() {
  for (const Wait wait : {Wait::park, Wait::adaptive, Wait::spin, Wait::predictive}) {
    const std::string name = fresh_name();
    Publisher publisher(name, {.on_full = OnFull::block});
    Subscriber subscriber(name, {.every = true, .wait = wait});
    std::thread sender([&] {
      for (int i = 0; i < 300; ++i) {
        send(publisher, 64, i & 0xff);
        if (i % 3 == 0) std::this_thread::yield();
      }
    });
    for (std::uint64_t i = 0; i < 300; ++i) {
      const Frame frame = subscriber.recv();
      CHECK(frame.info().seq == i + 1 && is_all(frame, static_cast<int>(i & 0xff)));
    }
    sender.join();
  }
}

std::atomic<int> warm_ups{0};

void predictive_waiting_calls_before_frame() {
  for (const Wait wait : {Wait::predictive, Wait::park}) {
    warm_ups = 0;
    const std::string name = fresh_name();
    Publisher publisher(name, {.on_full = OnFull::block});
    Subscriber subscriber(name, {.every = true, .wait = wait, .before_frame = [] { warm_ups.fetch_add(1); }});
    std::uint64_t seq = 0;
    for (int round = 0; round < 100 && warm_ups == 0; ++round) {  // on a busy machine the pace is uneven for a while
      std::thread sender([&] {
        auto due = std::chrono::steady_clock::now();
        for (int i = 0; i < 60; ++i) {
          std::this_thread::sleep_until(due += std::chrono::milliseconds(5));
          send(publisher, 64, i);
        }
      });
      for (int i = 0; i < 60; ++i) CHECK(subscriber.recv().info().seq == ++seq);
      sender.join();
      if (wait == Wait::park) break;
    }
    CHECK(wait == Wait::park ? warm_ups == 0 : warm_ups > 0);
  }
}

void an_inspector_is_not_counted() {
  const std::string name = fresh_name();
  Publisher publisher(name);
  Subscriber subscriber(name, {.every = true});
  send(publisher, 64, 1);
  const auto report = inspect(name);
  CHECK(report && report->publisher.alive && report->subscribers.size() == 1 && report->subscribers[0].every);
  CHECK(report && report->newest && report->newest->arrays[0].shape[0] == 64);
  CHECK(publisher.statistics().subscribers == 1);
  CHECK(!inspect(fresh_name()));
}

}  // namespace

int main() {
  files_are_gone_when_the_last_one_leaves();
  newcomer_with_history_begins_with_the_frame_that_is_kept();
  newcomer_with_history_gets_all_frames_since_the_kept_one_if_they_are_there();
  growing_keeps_order_and_held_frames();
  a_reader_that_lags_across_a_growth_loses_nothing();
  a_full_budget_is_refused_and_never_stops_the_publisher();
  more_slots_than_a_channel_can_have_are_refused();
  on_full_says_what_happens_to_a_lagging_reader();
  history_goes_back_as_far_as_frames_are_kept();
  a_second_publisher_is_refused_and_a_next_one_goes_on();
  a_loan_that_is_dropped_was_never_there();
  metadata_that_does_not_fit_moves_the_frame();
  threads_share_a_subscriber_without_loss_or_repetition();
  every_waiting_policy_gets_every_frame();
  predictive_waiting_calls_before_frame();
  an_inspector_is_not_counted();
  return check::finish();
}
