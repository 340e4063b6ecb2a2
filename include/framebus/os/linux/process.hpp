// SPDX-License-Identifier: Apache-2.0
// This process: its clocks, its command line, and the effect of fork() on its channels.
//
// Promise: after fork() the child's copies of a channel's descriptors are closed before fork() returns, so a child
// never keeps a dead parent's locks. fork_epoch() differs from the parent's, so objects that the child inherited can
// refuse to be used and do not undo what belongs to the parent.
#pragma once

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "framebus/base/namespace.hpp"
#include "framebus/os/linux/fds.hpp"
#include "framebus/os/linux/file.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail::os {

inline std::int64_t clock_ns(clockid_t clock) noexcept {
  struct timespec ts{};
  ::clock_gettime(clock, &ts);
  return static_cast<std::int64_t>(ts.tv_sec) * 1'000'000'000 + ts.tv_nsec;
}
inline std::int64_t monotonic_ns() noexcept { return clock_ns(CLOCK_MONOTONIC); }
inline std::int64_t wall_ns() noexcept { return clock_ns(CLOCK_REALTIME); }

inline std::uint32_t process_id() noexcept { return static_cast<std::uint32_t>(::getpid()); }

// The first `most` bytes of this process's command line, arguments separated by blanks.
inline std::string command_line(std::size_t most) {
  const File file(open_path("/proc/self/cmdline", O_RDONLY));
  std::string command(most, '\0');
  const ssize_t n = file.is_open() ? ::read(file.fd(), command.data(), command.size()) : 0;
  command.resize(static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
  while (!command.empty() && command.back() == '\0') command.pop_back();
  std::replace_if(command.begin(), command.end(), [](char c) { return c == '\0' || c == '\n'; }, ' ');
  return command;
}

// For crash points.
inline void kill_process() noexcept { ::kill(::getpid(), SIGKILL); }
inline void stop_process() noexcept { ::kill(::getpid(), SIGSTOP); }

inline std::uint64_t random_word() {
  std::uint64_t word = 0;
  while (::getrandom(&word, sizeof word, 0) != sizeof word) {
    if (errno != EINTR) fail_errno("getrandom");
  }
  return word;
}

// The descriptors that a forked child must not keep.
class ForkGuard {
 public:
  static ForkGuard& instance() {
    static ForkGuard* guard = new ForkGuard;  // never destroyed: objects may end after static destructors
    return *guard;
  }
  void add(File* file) {
    const std::lock_guard lock(mutex_);
    files_.push_back(file);
  }
  void remove(File* file) {
    const std::lock_guard lock(mutex_);
    std::erase(files_, file);
  }
  [[nodiscard]] std::uint32_t epoch() const noexcept { return epoch_.load(std::memory_order_relaxed); }

 private:
  ForkGuard() { ::pthread_atfork(&before, &in_parent, &in_child); }
  static void before() { instance().mutex_.lock(); }
  static void in_parent() { instance().mutex_.unlock(); }
  static void in_child() {
    ForkGuard& guard = instance();
    for (File* file : guard.files_) file->close();
    guard.files_.clear();
    // Relaxed: a forked child has one thread, and no other process reads this.
    guard.epoch_.fetch_add(1, std::memory_order_relaxed);
    guard.mutex_.unlock();
  }

  std::mutex mutex_;
  std::vector<File*> files_;
  std::atomic<std::uint32_t> epoch_{0};
};

inline std::uint32_t fork_epoch() noexcept { return ForkGuard::instance().epoch(); }

// Remembers which process made an object. To be asked before any lock is taken: a mutex that another thread of the
// parent held at fork() is never released in the child.
class ForkMark {
 public:
  [[nodiscard]] bool is_inherited() const noexcept { return epoch_ != fork_epoch(); }

 private:
  std::uint32_t epoch_ = fork_epoch();
};

// The one T of this process: made at first use and never destroyed, since objects may be destroyed after static ones. A
// forked child makes its own. It never uses its parent's, whose locks may be held and whose threads do not exist.
template <class T>
T& of_this_process() {
  struct Marked {
    T value;
    ForkMark mark;
  };
  static std::atomic<Marked*> current{nullptr};
  Marked* found = current.load();
  while (found == nullptr || found->mark.is_inherited()) {
    auto fresh = std::make_unique<Marked>();
    if (current.compare_exchange_strong(found, fresh.get())) found = fresh.release();
  }
  return found->value;
}

}  // namespace framebus::inline FRAMEBUS_VERSION::detail::os
