// SPDX-License-Identifier: Apache-2.0
// The copy into shared memory at the pace of a camera: through the cache or past it, and what its readers make of it.
//
// paced_copies BYTES READERS cold|written ROUNDS: copies frames of BYTES into four slots in turn, 60 times a second,
// and wakes READERS threads, each of which reads the first element and then every byte. `written`: the source is
// written just before the copy. `cold`: the sources together are larger than the caches, and each is used in turn. The
// two ways alternate, one second each, ROUNDS times. Prints a line for each way: its name and the median microseconds
// from before the copy until the last reader has read the first element, and until it has read all.
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <framebus/copy/copy.hpp>
#include <string>
#include <thread>
#include <vector>

#include "pace.hpp"

namespace {

constexpr double kHz = 60;
constexpr int kFrames = 60, kWarm = 8;  // in each turn of a way
constexpr std::uint64_t kSlots = 4;
constexpr std::uint64_t kSourceBytes = 96 << 20;  // three times a large last-level cache

struct Way {
  const char* name;
  bool streams;
  std::vector<double> seen_us, all_us;
};

std::atomic<const std::byte*> frame{nullptr};
std::atomic<int> number{0}, finished{0};
std::atomic<std::int64_t> seen_ns{0}, all_ns{0};
std::atomic<std::uint64_t> sums{0};

void raise_to(std::atomic<std::int64_t>& newest, std::int64_t ns) {
  std::int64_t old = newest.load();
  while (old < ns && !newest.compare_exchange_weak(old, ns)) {
  }
}

void read_frames(std::uint64_t bytes) {
  for (int last = 0;;) {
    number.wait(last);
    last = number.load();
    const std::byte* data = frame.load();
    if (data == nullptr) return;
    std::uint64_t sum = static_cast<std::uint64_t>(data[0]);
    raise_to(seen_ns, pace::now_ns());
    for (std::uint64_t i = 0; i + 8 <= bytes; i += 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, data + i, 8);
      sum += word;
    }
    sums += sum;
    raise_to(all_ns, pace::now_ns());
    finished.fetch_add(1);
    finished.notify_one();
  }
}

double median(std::vector<double>& values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

std::byte* map(std::uint64_t bytes) {
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (memory == MAP_FAILED) std::abort();
  return static_cast<std::byte*>(memory);
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 5) return EXIT_FAILURE;
  const std::uint64_t bytes = std::strtoull(arguments[1], nullptr, 10);
  const int readers = std::atoi(arguments[2]);
  const bool written = arguments[3] == std::string("written");
  const std::uint64_t stride = (bytes + 4095) / 4096 * 4096;
  const std::uint64_t sources = written ? 1 : std::max<std::uint64_t>(2, kSourceBytes / stride);
  std::byte* slots = map(kSlots * stride);
  std::byte* source = map(sources * stride);
  std::vector<std::thread> threads;
  for (int i = 0; i < readers; ++i) threads.emplace_back(read_frames, bytes);
  std::vector<Way> ways{{"memcpy", false, {}, {}}, {"past the cache", true, {}, {}}};
  std::uint64_t sent = 0;
  for (int round = std::atoi(arguments[4]); round > 0; --round) {
    for (Way& way : ways) {
      pace::run(kWarm, kFrames, kHz, [&](int counted) {
        std::byte* from = source + sent % sources * stride;
        std::byte* to = slots + sent % kSlots * stride;
        if (written) std::memset(from, static_cast<int>(sent), bytes);
        seen_ns = all_ns = 0;
        finished = 0;
        const std::int64_t start = pace::now_ns();
        if (way.streams) {
          framebus::detail::copying::stream(to, from, bytes);
          framebus::detail::copying::finish_stream();
        } else {
          std::memcpy(to, from, bytes);
        }
        frame = to;
        ++number;
        number.notify_all();
        for (int done = 0; (done = finished.load()) < readers;) finished.wait(done);
        ++sent;
        if (counted < 0) return;
        way.seen_us.push_back(static_cast<double>(seen_ns - start) / 1e3);
        way.all_us.push_back(static_cast<double>(all_ns - start) / 1e3);
      });
    }
  }
  frame = nullptr;
  ++number;
  number.notify_all();
  for (std::thread& thread : threads) thread.join();
  for (Way& way : ways) std::printf("%s: %.1f %.1f\n", way.name, median(way.seen_us), median(way.all_us));
}
