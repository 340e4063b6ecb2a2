// SPDX-License-Identifier: Apache-2.0
// Ways to copy a frame into shared memory, and their effect on its reader, a thread on another core that sums it up.
//
// copies BYTES SLOTS SOURCES ROUNDS: copies frames of BYTES into SLOTS slots in turn, from SOURCES sources in turn.
// Prints a line for each way: its name, the median microseconds of the copy, and of the reader. The ways take turns,
// ROUNDS times; each begins with one frame for every slot that is not counted.
#include <fcntl.h>
#include <immintrin.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <framebus/copy/copy.hpp>
#include <framebus/os/os.hpp>
#include <thread>
#include <vector>

namespace {

using framebus::detail::os::monotonic_ns;

double microseconds_since(std::int64_t start_ns) { return static_cast<double>(monotonic_ns() - start_ns) / 1e3; }

// Does one thing at a time, at once, on another core.
class Helper {
 public:
  template <class Work>
  double run(const Work& work) {
    call_ = [](const void* w, double& took) {
      const std::int64_t start = monotonic_ns();
      (*static_cast<const Work*>(w))();
      took = microseconds_since(start);
    };
    work_ = &work;
    const int mine = asked_.fetch_add(1) + 1;
    while (done_.load() != mine) std::this_thread::yield();
    return took_;
  }
  template <class Mine, class Other>
  void run_both(const Mine& mine, const Other& other) {
    call_ = [](const void* w, double&) { (*static_cast<const Other*>(w))(); };
    work_ = &other;
    const int number = asked_.fetch_add(1) + 1;
    mine();
    while (done_.load() != number) std::this_thread::yield();
  }
  Helper() = default;
  Helper(const Helper&) = delete;
  Helper& operator=(const Helper&) = delete;
  ~Helper() {
    stop_ = true;
    thread_.join();
  }

 private:
  void (*call_)(const void*, double&) = nullptr;
  const void* work_ = nullptr;
  double took_ = 0;
  std::atomic<int> asked_{0}, done_{0};
  std::atomic<bool> stop_{false};
  std::thread thread_{[this] {
    for (int seen = 0; !stop_; std::this_thread::yield()) {
      if (asked_.load() == seen) continue;
      call_(work_, took_);
      done_ = ++seen;
    }
  }};
};

Helper helper;

void plain(std::byte* to, const std::byte* from, std::uint64_t bytes) { std::memcpy(to, from, bytes); }

void past_the_cache(std::byte* to, const std::byte* from, std::uint64_t bytes) {
  framebus::detail::copying::stream(to, from, bytes);
  framebus::detail::copying::finish_stream();
}

void by_two(std::byte* to, const std::byte* from, std::uint64_t bytes) {
  const std::uint64_t half = bytes / 2 / 4096 * 4096;
  helper.run_both([&] { std::memcpy(to, from, half); }, [&] { std::memcpy(to + half, from + half, bytes - half); });
}

#ifdef FRAMEBUS_X86
void past_the_cache_sse2(std::byte* to, const std::byte* from, std::uint64_t bytes) {
  for (std::uint64_t i = 0; i < bytes / 16; ++i) {
    _mm_stream_si128(reinterpret_cast<__m128i*>(to) + i, _mm_loadu_si128(reinterpret_cast<const __m128i*>(from) + i));
  }
  _mm_sfence();
  std::memcpy(to + bytes / 16 * 16, from + bytes / 16 * 16, bytes % 16);
}
#endif

struct Way {
  const char* name;
  void (*copy)(std::byte* to, const std::byte* from, std::uint64_t bytes);
  std::vector<double> copy_us, read_us;
};

std::uint64_t sum(const std::byte* data, std::uint64_t bytes) {
  constexpr std::uint64_t kLanes = 16;  // enough for the compiler to add vectors
  std::uint64_t lanes[kLanes] = {};
  for (std::uint64_t i = 0; i + 8 * kLanes <= bytes; i += 8 * kLanes) {
    for (std::uint64_t k = 0; k < kLanes; ++k) {
      std::uint64_t word = 0;
      std::memcpy(&word, data + i + 8 * k, 8);
      lanes[k] += word;
    }
  }
  std::uint64_t total = 0;
  for (const std::uint64_t lane : lanes) total += lane;
  return total;
}

double median(std::vector<double>& values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

std::byte* map_slots(std::uint64_t bytes) {
  const int file = ::open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (file < 0 || ::posix_fallocate(file, 0, static_cast<off_t>(bytes)) != 0) return nullptr;
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  ::close(file);
  return memory == MAP_FAILED ? nullptr : static_cast<std::byte*>(memory);
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 5) return EXIT_FAILURE;
  const std::uint64_t bytes = std::strtoull(arguments[1], nullptr, 10);
  const std::uint64_t slots = std::strtoull(arguments[2], nullptr, 10);
  const std::uint64_t sources = std::strtoull(arguments[3], nullptr, 10);
  const std::uint64_t stride = (bytes + 4095) / 4096 * 4096;
  std::byte* memory = map_slots(stride * slots);
  if (memory == nullptr) return EXIT_FAILURE;
  std::fill_n(memory, stride * slots, std::byte{1});
  const std::vector<std::vector<std::byte>> images(sources, std::vector<std::byte>(bytes, std::byte{2}));
  std::vector<Way> ways{{"memcpy", plain, {}, {}}, {"past the cache", past_the_cache, {}, {}}};
#ifdef FRAMEBUS_X86
  ways.push_back({"past the cache, SSE2", past_the_cache_sse2, {}, {}});
#endif
  ways.push_back({"memcpy, two threads", by_two, {}, {}});
  volatile std::uint64_t seen = 0;
  for (int round = std::atoi(arguments[4]); round > 0; --round) {
    for (Way& way : ways) {
      for (std::uint64_t i = 0; i < 4 * slots; ++i) {
        std::byte* to = memory + stride * (i % slots);
        const std::int64_t start = monotonic_ns();
        way.copy(to, images[i % sources].data(), bytes);
        const double copy_us = microseconds_since(start);
        const double read_us = helper.run([&] { seen = seen + sum(to, bytes); });
        if (i < slots) continue;
        way.copy_us.push_back(copy_us);
        way.read_us.push_back(read_us);
      }
    }
  }
  for (Way& way : ways) std::printf("%s: %.1f %.1f\n", way.name, median(way.copy_us), median(way.read_us));
  ::munmap(memory, stride * slots);
}
