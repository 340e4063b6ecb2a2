// SPDX-License-Identifier: Apache-2.0
// Program A of the original article on Linux, without framebus: writes numbered images, and never looks who reads.
//
//   base_image_a NAME COUNT WIDTH HEIGHT [MILLISECONDS]
//
// Image N begins with the int32 N; every other byte is N modulo 251. Prints how many it sent, and leaves memory and
// event behind for whoever still reads. g++ -std=c++20 -O2 base_image_a.cpp -o base_image_a -lpthread -lrt
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
  if (argc < 5) return std::fprintf(stderr, "usage: %s NAME COUNT WIDTH HEIGHT [MILLISECONDS]\n", argv[0]), 2;
  const std::string name = argv[1];
  const int count = std::atoi(argv[2]), width = std::atoi(argv[3]), height = std::atoi(argv[4]);
  const int pause_ms = argc > 5 ? std::atoi(argv[5]) : 0;
  constexpr std::size_t kCapacity = 2048 * 4096 * 4;

  const int file = shm_open(("/" + name).c_str(), O_RDWR | O_CREAT, 0600);          // CreateFileMapping
  sem_t* const event = sem_open(("/" + name + "Mutex").c_str(), O_CREAT, 0600, 0);  // CreateEvent
  if (file < 0 || event == SEM_FAILED || ftruncate(file, kCapacity) != 0) return std::perror("BaseImage"), 1;
  void* const view = mmap(nullptr, kCapacity, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);  // MapViewOfFile
  if (view == MAP_FAILED) return std::perror("mmap"), 1;

  std::vector<std::uint8_t> image(static_cast<std::size_t>(width) * height * 3);
  const std::int32_t header[4] = {static_cast<std::int32_t>(image.size()), width, height, 24};
  if (image.size() < sizeof header || sizeof header + image.size() > kCapacity)
    return std::fprintf(stderr, "does not fit\n"), 1;
  for (int number = 1; number <= count; ++number) {
    std::memset(image.data(), number % 251, image.size());
    std::memcpy(image.data(), &number, sizeof number);
    std::memcpy(view, header, sizeof header);
    std::memcpy(static_cast<char*>(view) + sizeof header, image.data(), image.size());
    int value = 0;
    if (sem_getvalue(event, &value) == 0 && value == 0) sem_post(event);  // SetEvent
    if (pause_ms > 0) usleep(static_cast<useconds_t>(pause_ms) * 1000);
  }
  std::printf("sent %d\n", count);
}
