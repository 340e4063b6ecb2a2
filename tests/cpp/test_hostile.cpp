// SPDX-License-Identifier: Apache-2.0
// Channels whose files somebody else writes to, truncates or blocks: every call ends, and ends in a frame inside its
// mapping or in a framebus::Error. What is written where is random, from seeds that a failure names.
#include <sys/wait.h>

#include <cstring>
#include <framebus/framebus.hpp>
#include <framebus/inspect.hpp>
#include <random>
#include <thread>
#include <vector>

#include "check.hpp"
#include "vandal.hpp"

using namespace framebus;

namespace {

std::string fresh_name() {
  static int count = 0;
  return "hostile." + std::to_string(::getpid()) + "." + std::to_string(++count);
}

std::uint64_t send(Publisher& publisher, std::uint64_t bytes, int value) {
  const std::vector<ArraySpec> specs = {{"image", {'u', '|', 1}, {bytes}}};
  Loan loan = publisher.loan(specs);
  std::memset(loan.data(0), value, bytes);
  return loan.commit("{\"a\":1}");
}

// Calls f, for which a framebus::Error is as good as none; counts what came of it.
struct Outcomes {
  long good = 0;
  long errors = 0;
  template <class F>
  void of(F&& f) {
    try {
      f();
      ++good;
    } catch (const Error&) {
      ++errors;
    }
  }
};

int ends_with_signal(void (*program)()) {
  const pid_t child = ::fork();
  if (child == 0) {
    program();
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

void truncated_while_mapped_is_an_error_at_both_ends() {
  for (const bool control_block : {true, false}) {
    const std::string name = fresh_name();
    {
      Publisher publisher(name);
      Subscriber subscriber(name, {.hold = 4});
      send(publisher, 100'000, 7);
      const Frame held = subscriber.recv(0);
      const std::byte* bytes = held.data(0);
      send(publisher, 100'000, 8);
      CHECK(::truncate((control_block ? control_path(name) : store_path(name, 1)).c_str(), 0) == 0);
      if (!control_block) CHECK(bytes[99'999] == std::byte{0});  // gone; but reading it is no signal
      CHECK_FAILS(subscriber.recv(1'000'000'000), Errc::corrupt_channel);
      CHECK_FAILS(subscriber.try_recv(), Errc::corrupt_channel);
      if (!control_block) CHECK_FAILS(static_cast<void>(held.data(0)), Errc::corrupt_channel);
      CHECK_FAILS(send(publisher, 100'000, 9), Errc::corrupt_channel);
      CHECK_FAILS(send(publisher, 100'000, 9), Errc::corrupt_channel);
    }
    CHECK(os::names_in(kDirectory, std::string(kFilePrefix) + name).empty());
  }
}

void what_is_left_of_a_truncated_store_stays_as_it_was() {
  const std::string name = fresh_name();
  Publisher publisher(name);
  Subscriber subscriber(name);
  send(publisher, 1 << 20, 7);
  const Frame held = subscriber.recv(0);
  const std::byte* bytes = held.data(0);
  const std::uint64_t size = os::facts(os::open_existing(store_path(name, 1), false)).bytes;
  const std::uint64_t slot = size - 8 * ((1 << 20) + 2 * kPage);  // where the first of the eight slots begins
  CHECK(::truncate(store_path(name, 1).c_str(), static_cast<off_t>(slot + kPage)) == 0);
  CHECK(bytes[0] == std::byte{7} && bytes[kPage - 1] == std::byte{7});
  CHECK(bytes[kPage] == std::byte{0});
  CHECK(bytes[0] == std::byte{7} && bytes[kPage - 1] == std::byte{7});
}

volatile std::sig_atomic_t handled = 0;

// Makes a mapping of our own kind and one that framebus knows nothing of, and touches the second after truncation.
void touch_a_foreign_mapping() {
  const os::Mapping ours(os::make_nameless(kDirectory, kPage, 0600), kPage, true);
  const os::File file = os::make_nameless(kDirectory, kPage, 0600);
  auto* foreign = static_cast<char*>(::mmap(nullptr, kPage, PROT_READ, MAP_SHARED, file.fd(), 0));
  if (::ftruncate(file.fd(), 0) == 0) handled = handled + *static_cast<volatile char*>(foreign);
}

void a_bus_error_elsewhere_goes_to_who_was_there_before() {
  CHECK(ends_with_signal([] {
          std::signal(SIGBUS, SIG_DFL);
          os::install_sigbus_handler();
          touch_a_foreign_mapping();
        }) == SIGBUS);
  CHECK(ends_with_signal([] {
          std::signal(SIGBUS, [](int) { ::_exit(0); });
          os::install_sigbus_handler();
          touch_a_foreign_mapping();
          std::abort();  // not reached
        }) == 0);
  CHECK(ends_with_signal([] {
          std::signal(SIGBUS, SIG_DFL);
          os::install_sigbus_handler();
          std::raise(SIGBUS);
        }) == SIGBUS);
}

void a_generation_that_never_comes_to_rest_ends_the_fetch() {
  const std::string name = fresh_name();
  Publisher publisher(name);
  send(publisher, 100, 1);
  Subscriber subscriber(name, {.every = true, .history = 1});
  ControlBlock& block = Vandal(name).control();
  std::atomic<bool> stop{false};
  std::thread flapper([&] {
    for (std::uint32_t i = 0; !stop; ++i) {
      block.generation.store(i % 2 == 0 ? 1000 : 2000);
      block.head.store(frame_word(10'000 + i, i % 3));
    }
  });
  CHECK_FAILS(for (int i = 0; i < 1000; ++i) subscriber.try_recv(), Errc::corrupt_channel);
  stop = true;
  flapper.join();
}

void readers_who_come_and_go_by_themselves_do_not_stop_a_publisher() {
  const std::string name = fresh_name();
  Publisher publisher(name, {.slots = 2});
  ControlBlock& block = Vandal(name).control();
  std::atomic<bool> stop{false};
  std::thread ghost([&] {
    while (!stop) {
      block.reader[5].flags.store(kReaderEvery);
      block.reader[5].cursor.store(0);
      block.readers.fetch_or(reader_bit(5));
    }
  });
  for (int i = 1; i <= 200; ++i) CHECK(send(publisher, 10, i) == static_cast<std::uint64_t>(i));
  stop = true;
  ghost.join();
}

void a_lock_that_is_never_given_back_is_an_error() {
  const std::string name = fresh_name();
  Publisher publisher(name);
  const os::File foreign = os::open_existing(control_path(name), true);
  CHECK(os::try_lock(foreign, kGateByte));
  CHECK_FAILS(Publisher second(name), Errc::timeout);
}

void an_impossible_head_is_not_taken_over() {
  const std::string name = fresh_name();
  auto observer = std::make_unique<Control>(name, make_control(name, 0600)->file().is_open() ? os::File() : os::File());
  static_cast<void>(observer);
}

void a_directory_in_the_place_of_the_next_store_is_gone_round() {
  const std::string name = fresh_name();
  Publisher publisher(name);
  Subscriber subscriber(name);
  send(publisher, 10, 1);
  CHECK(::mkdir(store_path(name, 2).c_str(), 0700) == 0);
  CHECK(send(publisher, 1 << 20, 2) == 2);
  CHECK(subscriber.recv(0).info().seq == 2);
  CHECK(publisher.statistics().generation == 3 && !os::exists(store_path(name, 1)));
  CHECK(::rmdir(store_path(name, 2).c_str()) == 0);
}

}  // namespace

int main() { return 0; }
