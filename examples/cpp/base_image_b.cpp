// SPDX-License-Identifier: Apache-2.0
// Program B of the original article on Linux, without framebus: copies an image whenever the event is set.
//
//   base_image_b NAME COUNT        COUNT 0: until none has come for five seconds, since the layout has no end
//
// Program A is base_image_a. It does not wait, so an image may be torn: a mixture of two. The same one may come twice;
// it counts once. The article's B resets the event once more after its copy, which loses images, so this one does not.
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

// WaitForSingleObject on an auto-reset event: the wait has reset it.
static bool wait(sem_t* event) {
  timespec end{};
  clock_gettime(CLOCK_REALTIME, &end);
  end.tv_sec += 5;
  return sem_timedwait(event, &end) == 0;
}

int main(int argc, char** argv) {
  if (argc != 3) return std::fprintf(stderr, "usage: %s NAME COUNT\n", argv[0]), 2;
  const std::string memory = std::string("/") + argv[1], mutex = memory + "Mutex";
  const int count = std::atoi(argv[2]);
  sem_t* event = SEM_FAILED;
  for (int i = 0; i < 500 && (event = sem_open(mutex.c_str(), 0)) == SEM_FAILED; ++i) usleep(10'000);  // OpenEvent
  const int file = shm_open(memory.c_str(), O_RDWR, 0);  // OpenFileMapping
  const off_t size = lseek(file, 0, SEEK_END);
  if (event == SEM_FAILED || size < 16) return std::fprintf(stderr, "program A has not started\n"), 1;
  const auto* view = static_cast<const char*>(mmap(nullptr, size, PROT_READ, MAP_SHARED, file, 0));  // MapViewOfFile
  if (view == MAP_FAILED) return std::perror(argv[1]), 1;

  std::vector<char> image;
  std::int32_t received = 0, torn = 0, missed = 0, last = 0;
  while ((count == 0 || received < count) && wait(event)) {
    std::int32_t length = 0, number = 0;
    std::memcpy(&length, view, sizeof length);
    if (length < 4 || length > size - 16) continue;  // no image yet, or none that fits
    image.assign(view + 16, view + 16 + length);
    std::memcpy(&number, image.data(), sizeof number);
    if (number == last) continue;
    const auto is_mine = [&](char byte) { return byte == static_cast<char>(number % 251); };
    if (!std::all_of(image.begin() + sizeof number, image.end(), is_mine)) ++torn;
    if (received > 0) missed += std::max(0, number - last - 1);
    last = number;
    ++received;
  }
  std::printf("received %d frames, torn %d, missed %d\n", received, torn, missed);
}
