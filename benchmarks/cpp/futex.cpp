// SPDX-License-Identifier: Apache-2.0
// The minimal cost of handing 64 bytes to another program: a counter in shared memory, and a futex to sleep on.
//
//   futex MODE COUNT HZ        MODE park: sleeps on the futex; spin: polls all the time; timed: sleeps until just
//   before
//                              the next frame is due, at a known time, then polls
//
// Prints the age of each frame when the receiving program has read it.
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "pace.hpp"

namespace {

constexpr int kWarm = 20;
constexpr std::int64_t kEarlyNs = 150'000;  // timers of this kind are seldom later than that

struct Shared {
  alignas(64) std::atomic<std::uint32_t> count;     // frames sent; the store that the reader's load pairs with
  alignas(64) std::atomic<std::uint32_t> sleepers;  // a system call is made only when a reader sleeps
  alignas(64) std::int64_t frame[8];
};

void futex(std::atomic<std::uint32_t>& word, int operation, std::uint32_t value) {
  syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&word), operation, value, nullptr, nullptr, 0);
}

void send(Shared& shared, int number) {
  const std::int64_t frame[8] = {number, pace::now_ns(), 1, 2, 3, 4, 5, 6};
  std::memcpy(shared.frame, frame, sizeof frame);
  shared.count.fetch_add(1, std::memory_order_seq_cst);
  if (shared.sleepers.load(std::memory_order_seq_cst) != 0) futex(shared.count, FUTEX_WAKE, INT_MAX);
}

void wait_parked(Shared& shared, std::uint32_t seen) {
  shared.sleepers.fetch_add(1, std::memory_order_seq_cst);
  while (shared.count.load(std::memory_order_seq_cst) == seen) futex(shared.count, FUTEX_WAIT, seen);
  shared.sleepers.fetch_sub(1, std::memory_order_relaxed);
}

void wait_spinning(const Shared& shared, std::uint32_t seen) {
  while (shared.count.load(std::memory_order_acquire) == seen) {
  }
}

void receive(Shared& shared, std::string_view mode, int count, double hz) {
  std::vector<std::int64_t> ages;
  std::int64_t sent = 0, began = 0, used = 0;
  std::uint32_t seen = 0;
  for (std::int64_t number = -kWarm; number + 1 < count;) {
    if (mode == "timed" && sent != 0) pace::sleep_until(sent + static_cast<std::int64_t>(1e9 / hz) - kEarlyNs);
    if (mode == "park") {
      wait_parked(shared, seen);
    } else {
      wait_spinning(shared, seen);
    }
    seen = shared.count.load(std::memory_order_acquire);
    std::int64_t frame[8];
    std::memcpy(frame, shared.frame, sizeof frame);
    const std::int64_t now = pace::now_ns();
    number = frame[0];
    sent = frame[1];
    if (number >= 0 && ages.empty()) began = now, used = pace::cpu_ns();
    if (number >= 0) ages.push_back(now - sent);
  }
  pace::report(ages, double(pace::cpu_ns() - used) / double(pace::now_ns() - began));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return std::fprintf(stderr, "usage: %s park|spin|timed COUNT HZ\n", argv[0]), 2;
  const int count = std::atoi(argv[2]);
  const double hz = std::atof(argv[3]);
  void* memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return std::perror("mmap"), 1;
  Shared& shared = *new (memory) Shared{};
  const pid_t sender = fork();
  if (sender < 0) return std::perror("fork"), 1;
  if (sender == 0) {
    pace::run(kWarm, count, hz, [&shared](int number) { send(shared, number); });
    _exit(0);
  }
  receive(shared, argv[1], count, hz);
  return waitpid(sender, nullptr, 0) == sender ? 0 : 1;
}
