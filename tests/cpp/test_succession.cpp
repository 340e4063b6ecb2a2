// SPDX-License-Identifier: Apache-2.0
// A new control block for the same channel: after a takeover with a narrower mode, and after the files were removed.
// Subscribers rejoin with their cursors, with and without reconnect, in threads, by descriptor and by wait_any.
#include <sys/stat.h>

#include <atomic>
#include <framebus/framebus.hpp>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "check.hpp"
#include "link.hpp"
#include "publisher_process.hpp"

using namespace framebus;
using namespace framebus::detail;
using namespace std::chrono_literals;

namespace {

constexpr int kUntilNoticed = 16;  // frames after which the publisher has checked its files

unsigned mode_of(const std::string& path) {
  struct stat s{};
  return ::stat(path.c_str(), &s) == 0 ? s.st_mode & 07777 : 0;
}

void remove_files(const std::string& name, bool control, bool stores) {
  if (stores) remove_stores(name, 0);
  if (control) os::unlink_quietly(control_path(name));
}

int value_of(const std::optional<Frame>& frame) { return frame ? *reinterpret_cast<const int*>(frame->data(0)) : -1; }

void every_subscriber_gets_all_frames_across_a_removal(bool control, bool stores, bool reconnect) {
  const std::string name = fresh_name();
  Publisher publisher(name, {.slots = 64});
  Subscriber fetched(name, {.every = true, .reconnect = reconnect}),
      fresh(name, {.every = true, .reconnect = reconnect});
  CHECK(send(publisher, 1) == 1);
  CHECK(value_of(fetched.try_recv()) == 1);
  remove_files(name, control, stores);
  for (int n = 2; n <= 40; ++n) CHECK(send(publisher, n) == static_cast<std::uint64_t>(n));
  for (int n = 2; n <= 40; ++n) CHECK(value_of(fetched.recv(10s)) == n);
  for (int n = 1; n <= 40; ++n) CHECK(value_of(fresh.recv(10s)) == n);
  CHECK(!fetched.try_recv() && !fresh.try_recv());
  CHECK(fetched.statistics().dropped == 0 && fresh.statistics().dropped == 0);
  CHECK(publisher.statistics().subscribers == 2);
  Subscriber late(name);
  CHECK(value_of(late.recv(10s)) == 40);
}

void a_subscriber_of_the_newest_frame_misses_none_uncounted() {
  Link link;
  send(link.publisher, 1);
  CHECK(value_of(link.subscriber.try_recv()) == 1);
  remove_files(link.name, true, true);
  for (int n = 2; n <= 40; ++n) send(link.publisher, n);
  std::uint64_t got = 1;
  int last = 1;
  while (const auto frame = link.subscriber.try_recv()) {
    CHECK(value_of(frame) > last);
    last = value_of(frame);
    ++got;
  }
  CHECK(last == 40);
  CHECK(link.subscriber.statistics().missed == 40 - got);
}

void full_is_full_for_those_who_have_not_come_along() {
  const std::string name = fresh_name();
  Publisher publisher(name, {.slots = 4, .on_full = OnFull::raise});
  Subscriber slow(name, {.every = true});
  send(publisher, 1);
  remove_files(name, true, true);
  int sent = 1;
  try {
    while (sent < 100) {
      send(publisher, sent + 1);
      ++sent;
    }
  } catch (const Error& error) {
    CHECK(error.code() == Errc::channel_full);
  }
  CHECK(sent < 100);
  for (int n = 1; n <= sent; ++n) CHECK(value_of(slow.recv(10s)) == n);
  CHECK(slow.statistics().dropped == 0);
  CHECK(send(publisher, 100) == static_cast<std::uint64_t>(sent) + 1);
}

void a_narrower_mode_is_another_control_block(std::uint32_t before, std::uint32_t after) {
  const std::string name = fresh_name();
  auto first = std::make_unique<Publisher>(name, PublisherOptions{.slots = 8, .mode = before});
  Subscriber stays(name, {.every = true}), ends(name, {.reconnect = false});
  send(*first, 1);
  CHECK(value_of(ends.try_recv()) == 1);
  const auto old = open_control(name);
  first.reset();
  Publisher second(name, {.slots = 8, .mode = after});
  CHECK(mode_of(control_path(name)) == control_mode(after));
  CHECK(mode_of(store_path(name, 1)) == after);
  CHECK(still_has_name(*old) == ((control_mode(before) & ~control_mode(after)) == 0));
  CHECK(send(second, 2) == 2);
  CHECK(mode_of(store_path(name, 2)) == after);
  CHECK(value_of(stays.recv(10s)) == 1);
  CHECK(value_of(stays.recv(10s)) == 2);
  CHECK_FAILS(ends.recv(10s), Errc::channel_closed);
}

void modes_that_nobody_could_use_are_refused() {
  for (const std::uint32_t mode : {0620U, 0602U, 0622U, 0642U, 0624U}) {
    CHECK_FAILS(Publisher(fresh_name(), {.mode = mode}), Errc::invalid_argument);
  }
}

void waiting_threads_come_along() {
  Link link;
  std::atomic<int> got{0};
  std::thread reader([&] {
    while (got < 100) got = value_of(link.subscriber.recv(60s));
  });
  for (int n = 1; n <= 100; ++n) {
    if (n % 10 == 0) remove_files(link.name, true, true);
    if (n % 10 != 0 || n == 100) {
      send(link.publisher, n);
      continue;
    }
    std::this_thread::sleep_for(1ms);  // so that the next frame finds the files gone
    send(link.publisher, n);
  }
  for (int i = 0; i < kUntilNoticed; ++i) send(link.publisher, 100);
  reader.join();
  CHECK(got == 100);
}

void a_descriptor_and_wait_any_report_frames_after_a_move() {
  Link link;
  const int fd = link.subscriber.fileno();
  send(link.publisher, 1);
  CHECK(readable(fd, kWatchdog));
  CHECK(value_of(link.subscriber.try_recv()) == 1);
  CHECK(!link.subscriber.try_recv());
  remove_files(link.name, true, true);
  for (int n = 2; n <= 2 + kUntilNoticed; ++n) send(link.publisher, n);
  int last = 1;
  while (last < 2 + kUntilNoticed) {
    CHECK(readable(fd, kWatchdog));
    while (const auto frame = link.subscriber.try_recv()) last = value_of(frame);
  }
  send(link.publisher, 100);
  CHECK(readable(fd, kWatchdog));
  CHECK(wait_any({&link.subscriber}, 10s).size() == 1);
  CHECK(value_of(link.subscriber.try_recv()) == 100);
}

void a_name_that_is_taken_is_an_error_until_it_is_free() {
  const std::string name = fresh_name();
  Publisher publisher(name);
  send(publisher, 1);
  remove_files(name, true, true);
  auto other = std::make_unique<Publisher>(name);
  Subscriber of_other(name);
  send(*other, 1);
  for (int round = 0; round < 2; ++round) {
    CHECK_FAILS(for (int i = 0; i < kUntilNoticed; ++i) send(publisher, 2), Errc::channel_in_use);
  }
  CHECK(value_of(of_other.recv(10s)) == 1);
  other.reset();  // its subscriber keeps the files
  const std::uint64_t seq = send(publisher, 77);
  CHECK(seq > 1);
  CHECK(value_of(of_other.recv(10s)) == 77);
}

void a_state_that_claims_a_move_moves_nobody_from_the_file_that_has_the_name() {
  Link link;
  open_control(link.name)->block().state.store(kStateMoved);
  CHECK(send(link.publisher, 5) == 1);
  CHECK(value_of(link.subscriber.recv(10s)) == 5);
  CHECK_FAILS(link.subscriber.recv(60ms), Errc::timeout);
  CHECK(link.publisher.statistics().subscribers == 1);
}

// `narrows`: each publisher has a narrower mode than the last, and so makes a new control block.
void an_end_is_known_after_later_publishers(bool dies, bool narrows) {
  const std::string name = fresh_name();
  std::optional<PublisherProcess> process;
  std::optional<Publisher> first;
  if (dies) {
    process.emplace(name);
  } else {
    first.emplace(name, PublisherOptions{.mode = 0666});
  }
  Subscriber looks(name, {.reconnect = false}), loops(name, {.reconnect = false});
  first.reset();
  if (process) process->kill();
  for (const unsigned mode : {0666, 0640, 0600}) {
    Publisher later(name, {.mode = narrows ? mode : dies ? 0600 : 0666});
    send(later, 1);
  }
  if (dies) {
    CHECK_FAILS(looks.try_recv(), Errc::publisher_died);
    CHECK_FAILS(loops.next(10s), Errc::publisher_died);
    return;
  }
  CHECK_FAILS(looks.try_recv(), Errc::channel_closed);
  CHECK(looks.is_ended() && looks.try_next().ended);
  CHECK(!loops.next(10s));
}

}  // namespace

int main() {
  for (const bool reconnect : {true, false}) {
    every_subscriber_gets_all_frames_across_a_removal(true, true, reconnect);
    every_subscriber_gets_all_frames_across_a_removal(true, false, reconnect);
    every_subscriber_gets_all_frames_across_a_removal(false, true, reconnect);
  }
  a_subscriber_of_the_newest_frame_misses_none_uncounted();
  full_is_full_for_those_who_have_not_come_along();
  a_narrower_mode_is_another_control_block(0666, 0600);
  a_narrower_mode_is_another_control_block(0660, 0640);
  a_narrower_mode_is_another_control_block(0600, 0666);
  a_narrower_mode_is_another_control_block(0640, 0640);
  modes_that_nobody_could_use_are_refused();
  waiting_threads_come_along();
  a_descriptor_and_wait_any_report_frames_after_a_move();
  a_name_that_is_taken_is_an_error_until_it_is_free();
  a_state_that_claims_a_move_moves_nobody_from_the_file_that_has_the_name();
  for (const bool narrows : {false, true}) {
    an_end_is_known_after_later_publishers(false, narrows);
    an_end_is_known_after_later_publishers(true, narrows);
  }
  return check::finish();
}
