// SPDX-License-Identifier: Apache-2.0
// A wall clock that jumps: preloaded into a program, it shifts what the program takes for the time of day.
//
// The shift, in nanoseconds, is the first word of the file FRAMEBUS_WALL_CLOCK, mapped, so that a test changes it for
// all programs at once. All other clocks, and every wait, stay as they are. (libfaketime is no help: version 0.9.10
// breaks time.sleep() of Python 3.11.)
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>

namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

std::int64_t shift_ns() {
  static const volatile std::int64_t* const shift = [] {
    static const std::int64_t none = 0;
    const char* path = std::getenv("FRAMEBUS_WALL_CLOCK");
    const int fd = path == nullptr ? -1 : ::open(path, O_RDONLY | O_CLOEXEC);
    void* page = fd < 0 ? MAP_FAILED : ::mmap(nullptr, sizeof none, PROT_READ, MAP_SHARED, fd, 0);
    if (fd >= 0) ::close(fd);
    return page == MAP_FAILED ? &none : static_cast<const std::int64_t*>(page);
  }();
  return *shift;
}

}  // namespace

extern "C" int clock_gettime(clockid_t clock, struct timespec* now) noexcept {
  using Function = int (*)(clockid_t, struct timespec*);
  static const auto real = reinterpret_cast<Function>(::dlsym(RTLD_NEXT, "clock_gettime"));
  const int result = real(clock, now);
  if (result != 0 || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)) return result;
  const std::int64_t shifted = now->tv_sec * kSecond + now->tv_nsec + shift_ns();
  now->tv_sec = shifted / kSecond;
  now->tv_nsec = shifted % kSecond;
  return 0;
}

extern "C" time_t time(time_t* result) noexcept {
  struct timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  if (result != nullptr) *result = now.tv_sec;
  return now.tv_sec;
}

extern "C" int gettimeofday(struct timeval* result, void* /*zone*/) noexcept {
  struct timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  *result = {now.tv_sec, now.tv_nsec / 1000};
  return 0;
}
