// SPDX-License-Identifier: Apache-2.0
// Program B of the original article on Linux, without framebus: copies an image whenever the event is set.
//
//   base_image_b NAME LAST [before|reset|after]
//
// Ends with the image numbered LAST, or when none has come for five seconds. Prints how many it got, how many of them
// were mixtures of two (torn), and how many numbers it never saw. The event is taken before the copy; with "reset" once
// more after it, as the article does, which loses what was announced meanwhile; with "after" only then, for an A that
// waits until it is taken. g++ -std=c++20 -O2 base_image_b.cpp -o base_image_b -lpthread -lrt
#include <fcntl.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

// WaitForSingleObject, for five seconds; a set event stays set if it is only looked at.
bool wait(sem_t* event, bool look) {
  timespec end{};
  clock_gettime(CLOCK_REALTIME, &end);
  end.tv_sec += 5;
  if (!look) return sem_timedwait(event, &end) == 0;
  int value = 0;
  for (int i = 0; i < 50'000 && value == 0; ++i) {
    if (i > 0) usleep(100);
    sem_getvalue(event, &value);
  }
  return value > 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return std::fprintf(stderr, "usage: %s NAME LAST [before|reset|after]\n", argv[0]), 2;
  const std::string name = argv[1], how = argc > 3 ? argv[3] : "before";
  int file = -1;
  sem_t* event = SEM_FAILED;
  for (int i = 0; i < 500 && (file < 0 || event == SEM_FAILED); ++i) {
    if (i > 0) usleep(10'000);
    if (event == SEM_FAILED) event = sem_open(("/" + name + "Mutex").c_str(), 0);  // OpenEvent
    if (file < 0) file = shm_open(("/" + name).c_str(), O_RDWR, 0);                // OpenFileMapping
  }
  const off_t size = file < 0 ? 0 : lseek(file, 0, SEEK_END);
  if (event == SEM_FAILED || size < 16) return std::fprintf(stderr, "program A has not started\n"), 1;
  const auto* view = static_cast<const char*>(mmap(nullptr, size, PROT_READ, MAP_SHARED, file, 0));  // MapViewOfFile
  if (view == MAP_FAILED) return std::perror("mmap"), 1;

  std::vector<char> buffer;
  int received = 0, torn = 0, missed = 0, number = 0;
  for (const int last = std::atoi(argv[2]); number < last && wait(event, how == "after");) {
    std::int32_t length = 0;
    std::memcpy(&length, view, sizeof length);
    if (length < 4 || length > size - 16) continue;  // no image yet, or none that fits
    buffer.resize(length);
    std::memcpy(buffer.data(), view + 16, length);
    if (how != "before") sem_trywait(event);  // ResetEvent
    const int before = number;
    std::memcpy(&number, buffer.data(), sizeof number);
    const auto is_mine = [&](char byte) { return byte == static_cast<char>(number % 251); };
    if (!std::all_of(buffer.begin() + sizeof number, buffer.end(), is_mine)) ++torn;
    missed += std::max(0, number - before - 1);
    ++received;
  }
  std::printf("received %d, torn %d, missed %d, last %d\n", received, torn, missed, number);
}
