// SPDX-License-Identifier: Apache-2.0
// Channels whose files another program writes to, truncates or locks: every call returns, with a frame inside its
// mapping or with a framebus::Error. What is written, and where, is random; a failure names the seed.
#include <sys/wait.h>

#include <cstring>
#include <framebus/framebus.hpp>
#include <framebus/inspect.hpp>
#include <thread>
#include <vector>

#include "check.hpp"
#include "corruptor.hpp"

using namespace framebus;
using namespace framebus::detail;
using namespace std::chrono_literals;
using corruptor::Corruptor;

namespace {

std::string fresh_name() {
  static int count = 0;
  return "hostile." + std::to_string(::getpid()) + "." + std::to_string(++count);
}

bool files_are_gone(const std::string& name) {
  return os::list_files(kDirectory, std::string(kFilePrefix) + name).empty();
}

std::uint64_t send(Publisher& publisher, std::uint64_t bytes, int value) {
  const std::vector<ArraySpec> specs = {{"image", {'u', '|', 1}, {bytes}}};
  Loan loan = publisher.loan(specs);
  std::memset(loan.data(0), value, bytes);
  return loan.commit("{\"a\":1}");
}

// The signal that ends a process which runs the function.
int fatal_signal_of(void (*program)()) {
  const pid_t child = ::fork();
  if (child == 0) {
    program();
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

void a_file_truncated_while_mapped_is_an_error_at_both_ends() {
  for (const bool control_block : {true, false}) {
    const std::string name = fresh_name();
    {
      Publisher publisher(name);
      Subscriber subscriber(name, {.hold = 4});
      send(publisher, 100'000, 7);
      const Frame held = subscriber.recv(0s);
      const std::byte* bytes = held.data(0);
      send(publisher, 100'000, 8);
      CHECK(::truncate((control_block ? control_path(name) : store_path(name, 1)).c_str(), 0) == 0);
      CHECK(bytes[99'999] == std::byte{static_cast<unsigned char>(control_block ? 7 : 0)});
      CHECK_FAILS(subscriber.recv(1s), Errc::corrupt_channel);
      CHECK_FAILS(subscriber.try_recv(), Errc::corrupt_channel);
      if (!control_block) CHECK_FAILS(static_cast<void>(held.data(0)), Errc::corrupt_channel);
      CHECK_FAILS(send(publisher, 100'000, 9), Errc::corrupt_channel);
      CHECK_FAILS(send(publisher, 100'000, 9), Errc::corrupt_channel);
    }
    CHECK(files_are_gone(name));
  }
}

void what_is_left_of_a_truncated_store_stays_as_it_was() {
  const std::string name = fresh_name();
  Publisher publisher(name);
  Subscriber subscriber(name);
  send(publisher, 1 << 20, 7);
  const Frame held = subscriber.recv(0s);
  const std::byte* bytes = held.data(0);
  std::uintptr_t begin = 0;  // of the frame's mapping
  const auto address = reinterpret_cast<std::uintptr_t>(bytes);
  for (const auto& range : os::guarded_ranges) {
    if (range.begin <= address && address < range.end) begin = range.begin;
  }
  CHECK(begin != 0);
  CHECK(::truncate(store_path(name, 1).c_str(), static_cast<off_t>(address - begin + kPage)) == 0);
  CHECK(bytes[0] == std::byte{7} && bytes[kPage - 1] == std::byte{7});
  CHECK(bytes[kPage] == std::byte{0} && bytes[(1 << 20) - 1] == std::byte{0});
  CHECK(bytes[0] == std::byte{7} && bytes[kPage - 1] == std::byte{7});
}

volatile int touched = 0;

// Makes a guarded mapping and one that framebus does not know, and touches the second after truncation.
void touch_a_foreign_mapping() {
  const os::Mapping ours(os::create_unnamed(kDirectory, kPage, 0600), kPage, true);
  const os::File file = os::create_unnamed(kDirectory, kPage, 0600);
  const auto* foreign = static_cast<volatile char*>(::mmap(nullptr, kPage, PROT_READ, MAP_SHARED, file.fd(), 0));
  if (::ftruncate(file.fd(), 0) == 0) touched = *foreign;
}

// Installs ours after that one.
void install_after(void (*handler)(int)) {
  handle_sigbus(false);
  std::signal(SIGBUS, handler);
  handle_sigbus(true);
}

void touch(const os::Mapping& mapping) { touched = *reinterpret_cast<const volatile char*>(mapping.data()); }

// Touches a page of a guarded mapping that has been cut off.
void touch_our_own_mapping() {
  const os::File file = os::create_unnamed(kDirectory, kPage, 0600);
  const os::Mapping ours(file, kPage, true);
  if (::ftruncate(file.fd(), 0) == 0) touch(ours);
  if (!ours.is_broken()) ::raise(SIGKILL);
}

void the_handler_can_be_switched_off_and_on_again() {
  CHECK(fatal_signal_of([] { touch_our_own_mapping(); }) == 0);
  CHECK(fatal_signal_of([] {
          install_after(SIG_DFL);
          handle_sigbus(false);
          touch_our_own_mapping();
        }) == SIGBUS);
  CHECK(fatal_signal_of([] {
          const os::File file = os::create_unnamed(kDirectory, kPage, 0600);
          handle_sigbus(false);
          const os::Mapping made_while_off(file, kPage, true);
          handle_sigbus(true);
          if (::ftruncate(file.fd(), 0) == 0) touch(made_while_off);
        }) == 0);
  CHECK(fatal_signal_of([] {  // one that came later, and passes on what it does not know, stays
          static struct sigaction ours = {};
          install_after(SIG_DFL);
          ::sigaction(SIGBUS, nullptr, &ours);
          struct sigaction later = {};
          later.sa_flags = SA_SIGINFO;
          later.sa_sigaction = [](int number, siginfo_t* info, void* context) {
            ours.sa_sigaction(number, info, context);
          };
          ::sigaction(SIGBUS, &later, nullptr);
          touch_our_own_mapping();
          handle_sigbus(false);
          touch_our_own_mapping();
        }) == SIGBUS);
}

void a_bus_error_elsewhere_goes_to_the_previous_handler() {
  CHECK(fatal_signal_of([] {
          install_after(SIG_DFL);
          touch_a_foreign_mapping();
        }) == SIGBUS);
  CHECK(fatal_signal_of([] {
          install_after([](int) { ::raise(SIGKILL); });
          touch_a_foreign_mapping();
        }) == SIGKILL);
  CHECK(fatal_signal_of([] {
          install_after(SIG_DFL);
          ::raise(SIGBUS);
        }) == SIGBUS);
}

void a_channel_that_never_comes_to_rest_ends_the_fetch() {
  const std::string name = fresh_name();
  Publisher publisher(name);
  send(publisher, 100, 1);
  Subscriber subscriber(name, {.every = true, .history = 1});
  const Corruptor corruptor(name, 1);
  ControlBlock& block = corruptor.control();
  std::atomic<bool> stop{false};
  std::thread restless([&] {
    for (std::uint32_t i = 0; !stop; ++i) {
      block.generation.store(i % 2 == 0 ? 1000 : 2000);
      block.head.store(frame_word(10'000 + i, i % 3));
    }
  });
  while (block.generation.load() == 1) cpu_relax();
  CHECK_FAILS(
      {
        for (int i = 0; i < 1000; ++i) subscriber.try_recv();
      },
      Errc::corrupt_channel);
  stop = true;
  restless.join();
}

void reader_bits_that_reappear_do_not_stop_a_publisher() {
  const std::string name = fresh_name();
  Publisher publisher(name, {.slots = 2});
  const Corruptor corruptor(name, 1);
  ControlBlock& block = corruptor.control();
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

void a_channel_with_an_impossible_head_is_replaced_when_nobody_is_in_it() {
  const std::string name = fresh_name();
  const auto abandoned = make_control(name, 0600);
  abandoned->block().head.store(~std::uint64_t{0});
  abandoned->block().state.store(kStateOpen);
  CHECK(os::link_name(abandoned->file(), abandoned->path()));
  {
    const Subscriber attached(name);  // another reader might still hold the last frame
    CHECK_FAILS(Publisher refused(name), Errc::corrupt_channel);
    CHECK(still_has_name(*abandoned));
  }
  Publisher publisher(name);
  CHECK(send(publisher, 10, 1) == 1);
}

void a_directory_in_the_place_of_the_next_store_is_passed_over() {
  const std::string name = fresh_name();
  Publisher publisher(name);
  Subscriber subscriber(name);
  send(publisher, 10, 1);
  CHECK(::mkdir(store_path(name, 2).c_str(), 0700) == 0);
  CHECK(send(publisher, 1 << 20, 2) == 2);
  CHECK(subscriber.recv(0s).info().seq == 2);
  CHECK(publisher.statistics().generation == 3 && !os::exists(store_path(name, 1)));
  CHECK(::rmdir(store_path(name, 2).c_str()) == 0);
}

// Ordinary use of a channel. Each call may fail with a framebus::Error and in no other way.
class Traffic {
 public:
  Traffic(std::string name, std::uint64_t seed) : name_(std::move(name)), random_(seed) {}

  void run(int rounds) {
    for (int i = 0; i < rounds; ++i) {
      attempt([&] { publish(); });
      attempt([&] { receive(); });
      if (i % 64 == 0) attempt([&] { static_cast<void>(inspect(name_)); });
      if (subscriber_ != nullptr && random_() % 200 == 0) subscriber_.reset();
      if (random_() % 100 == 0) held_.clear();
    }
  }
  [[nodiscard]] long frames() const { return frames_; }
  [[nodiscard]] long errors() const { return errors_; }

 private:
  template <class F>
  void attempt(F&& step) {
    try {
      step();
    } catch (const Error& error) {
      ++errors_;
      // Both start again, as the error's message advises.
      held_.clear();
      subscriber_.reset();
      if (error.code() == Errc::corrupt_channel || publisher_ == nullptr) publisher_.reset();
    }
  }
  void publish() {
    if (publisher_ == nullptr) publisher_ = std::make_unique<Publisher>(name_);
    send(*publisher_, random_() % 50 == 0 ? random_() % 100'000 : random_() % 5000, 1);
    static_cast<void>(publisher_->statistics());
  }
  void receive() {
    if (subscriber_ == nullptr) {
      subscriber_ =
          std::make_unique<Subscriber>(name_, SubscriberOptions{.every = random_() % 2 == 0,
                                                                .hold = 1 + static_cast<std::uint32_t>(random_() % 4),
                                                                .history = static_cast<std::uint32_t>(random_() % 3)});
    }
    if (auto frame = subscriber_->try_recv()) {
      read_all(*frame);
      if (random_() % 2 == 0) held_.push_back(std::move(*frame));
    }
    static_cast<void>(subscriber_->statistics());
    subscriber_->recv(100us);
  }
  void read_all(const Frame& frame) {
    unsigned sum = 0;
    for (std::uint32_t a = 0; a < frame.info().array_count; ++a) {
      for (std::uint64_t i = 0; i < frame.info().arrays[a].bytes; ++i) sum += static_cast<unsigned>(frame.data(a)[i]);
    }
    for (const char c : frame.meta_json()) sum += static_cast<unsigned char>(c);
    touched = static_cast<int>(sum % 2);
    ++frames_;
  }

  std::string name_;
  std::mt19937_64 random_;
  std::unique_ptr<Publisher> publisher_;
  std::unique_ptr<Subscriber> subscriber_;
  std::vector<Frame> held_;
  long frames_ = 0, errors_ = 0;
};

void garbage_at_any_time_is_an_error_or_a_frame_inside_its_mapping(std::uint64_t seed) {
  const std::string name = fresh_name();
  std::fprintf(stderr, "seed %lu: ", static_cast<unsigned long>(seed));
  {
    const auto keeps_it_there = std::make_unique<Publisher>(name);
    keeps_it_there->close();
  }
  long frames = 0;
  long errors = 0;
  {
    Publisher first(name);
    send(first, 100, 1);
    const auto stays =
        std::make_unique<Subscriber>(name);  // so that the file that is being corrupted stays the channel's
    first.close();
    std::atomic<bool> stop{false};
    std::thread thread([&] {
      Corruptor corruptor(name, seed);
      while (!stop) {
        corruptor.corrupt();
        for (int i = 0; i < 200; ++i) cpu_relax();
      }
    });
    Traffic traffic(name, seed + 1);
    traffic.run(2000);
    frames = traffic.frames();
    errors = traffic.errors();
    stop = true;
    thread.join();
  }
  std::fprintf(stderr, "%ld frames, %ld errors\n", frames, errors);
  CHECK(frames > 0 && errors > 0);  // else nothing was corrupted, or no frame was received
  CHECK(files_are_gone(name));
}

}  // namespace

int main() {
  the_handler_can_be_switched_off_and_on_again();
  a_bus_error_elsewhere_goes_to_the_previous_handler();
  a_file_truncated_while_mapped_is_an_error_at_both_ends();
  what_is_left_of_a_truncated_store_stays_as_it_was();
  a_channel_that_never_comes_to_rest_ends_the_fetch();
  reader_bits_that_reappear_do_not_stop_a_publisher();
  a_lock_that_is_never_given_back_is_an_error();
  a_channel_with_an_impossible_head_is_replaced_when_nobody_is_in_it();
  a_directory_in_the_place_of_the_next_store_is_passed_over();
  for (std::uint64_t seed = 1; seed <= 4; ++seed) garbage_at_any_time_is_an_error_or_a_frame_inside_its_mapping(seed);
  return check::finish();
}
