// SPDX-License-Identifier: Apache-2.0
// Program A of the original article on Linux, without framebus: writes numbered images, independently of any reader.
//
//   base_image_a NAME COUNT WIDTH HEIGHT        COUNT 0: until it is stopped
//
// Image N begins with the int32 N; every other byte is N modulo 251. base_image_b or framebus.baseimage.Reader gets
// them.
#include <fcntl.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

int main(int argc, char** argv) {
  if (argc != 5) return std::fprintf(stderr, "usage: %s NAME COUNT WIDTH HEIGHT\n", argv[0]), 2;
  const std::string memory = std::string("/") + argv[1], mutex = memory + "Mutex";
  const int count = std::atoi(argv[2]), width = std::atoi(argv[3]), height = std::atoi(argv[4]);
  constexpr std::size_t kCapacity = 2048 * 4096 * 4;
  std::vector<std::uint8_t> image(static_cast<std::size_t>(width) * height * 3);
  const std::int32_t header[4] = {static_cast<std::int32_t>(image.size()), width, height, 24};
  if (image.size() < sizeof header || sizeof header + image.size() > kCapacity)
    return std::fprintf(stderr, "%s x %s does not fit\n", argv[3], argv[4]), 1;

  const int file = shm_open(memory.c_str(), O_RDWR | O_CREAT, 0600);  // CreateFileMapping
  if (file < 0 || ftruncate(file, kCapacity) != 0) return std::perror(argv[1]), 1;
  void* const view = mmap(nullptr, kCapacity, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);  // MapViewOfFile
  sem_t* const event = sem_open(mutex.c_str(), O_CREAT, 0600, 0);                            // CreateEvent
  if (view == MAP_FAILED || event == SEM_FAILED) return std::perror(argv[1]), 1;

  int sent = 0;
  while (count == 0 || sent < count) {
    const std::int32_t number = ++sent;
    std::memset(image.data(), number % 251, image.size());
    std::memcpy(image.data(), &number, sizeof number);
    std::memcpy(view, header, sizeof header);
    std::memcpy(static_cast<char*>(view) + sizeof header, image.data(), image.size());
    int value = 0;
    if (sem_getvalue(event, &value) == 0 && value == 0) sem_post(event);  // SetEvent
    usleep(10'000);
  }
  std::printf("sent %d frames\n", sent);
  shm_unlink(memory.c_str());  // programs that have them open keep them until they close them
  sem_unlink(mutex.c_str());
}
