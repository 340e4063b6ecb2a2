// SPDX-License-Identifier: Apache-2.0
// The article's memory and its auto-reset event, for programs here that are to know nothing of framebus.
//
// Two disciplines are possible. As in the article: A writes and sets the event; B takes it, then copies. Or each waits
// for the other: A writes only while the event is not set, B copies only while it is, and takes it afterwards. For this
// the fences are there: sem_getvalue and sem_trywait promise no order of what this thread wrote or read before or
// after.
#pragma once

#include <fcntl.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>

namespace base_image {

inline constexpr std::size_t kCapacity = 2048 * 4096 * 4;

struct Header {
  std::int32_t length, width, height, bits;
  bool operator==(const Header&) const = default;
};

class Place {
 public:
  // Program A makes both, or uses what is there.
  static Place make(const std::string& name) {
    const int file = shm_open(("/" + name).c_str(), O_RDWR | O_CREAT, 0600);  // CreateFileMapping
    if (file < 0 || ftruncate(file, kCapacity) != 0) fail(name);
    sem_t* const event = sem_open(event_of(name).c_str(), O_CREAT, 0600, 0);  // CreateEvent; last, so B finds both
    if (event == SEM_FAILED) fail(name);
    return {name, file, event};
  }
  // Program B finds both, and waits five seconds for them.
  static Place open(const std::string& name) {
    int file = -1;
    sem_t* event = SEM_FAILED;
    for (int i = 0; i < 500 && (file < 0 || event == SEM_FAILED); ++i) {
      if (i > 0) usleep(10'000);
      if (event == SEM_FAILED) event = sem_open(event_of(name).c_str(), 0);       // OpenEvent
      if (event != SEM_FAILED) file = shm_open(("/" + name).c_str(), O_RDWR, 0);  // OpenFileMapping
    }
    if (file < 0 || event == SEM_FAILED) fail("program A has not started");
    return {name, file, event};
  }

  std::size_t capacity() const { return size_ - sizeof(Header); }  // bytes for pixels
  Header header() const {
    Header found;
    std::memcpy(&found, view_, sizeof found);
    return found;
  }
  const std::uint8_t* pixels() const { return view_ + sizeof(Header); }
  void write(const Header& header, std::span<const std::uint8_t> pixels) {
    std::memcpy(view_, &header, sizeof header);
    std::memcpy(view_ + sizeof header, pixels.data(), pixels.size());
  }

  bool is_set() const {
    int value = 0;
    sem_getvalue(event_, &value);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    return value > 0;
  }
  // SetEvent; says whether it was set already.
  bool set() {
    if (is_set()) return true;
    sem_post(event_);
    return false;
  }
  // ResetEvent.
  void reset() {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    sem_trywait(event_);
  }
  // WaitForSingleObject, which resets it.
  bool wait(int seconds) {
    timespec end{};
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += seconds;
    return sem_timedwait(event_, &end) == 0;
  }
  // Waits until the event is set, or until it is not, and leaves it so.
  bool wait_until(bool set, int seconds) const {
    constexpr int kPause_us = 20;
    for (int i = 0; i < seconds * (1'000'000 / kPause_us); ++i) {
      if (is_set() == set) return true;
      usleep(kPause_us);
    }
    return false;
  }

 private:
  Place(const std::string& name, int file, sem_t* event) : event_(event) {
    size_ = static_cast<std::size_t>(lseek(file, 0, SEEK_END));
    if (size_ < sizeof(Header)) fail(name);
    void* const view = mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);  // MapViewOfFile
    if (view == MAP_FAILED) fail(name);
    view_ = static_cast<std::uint8_t*>(view);
  }
  static std::string event_of(const std::string& name) { return "/" + name + "Mutex"; }
  [[noreturn]] static void fail(const std::string& what) {
    std::perror(what.c_str());
    std::exit(1);
  }

  sem_t* event_;
  std::size_t size_ = 0;
  std::uint8_t* view_ = nullptr;
};

}  // namespace base_image
