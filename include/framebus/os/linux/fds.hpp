// SPDX-License-Identifier: Apache-2.0
// The only place that opens descriptors, so that none of them is ever 0, 1 or 2.
//
// Promise: the functions here return a descriptor of 3 or more, closed by exec, or -1 with errno. A program that was
// started without standard input, output or error (a daemon, `prog >&-`) has its numbers free, and the kernel gives out
// the lowest free number. What lands there is read and written by every print, log line and warning of the process; a
// control block there would be overwritten for all its users. SQLite keeps its descriptors at 3 and above for the same
// reason.
//
// Two steps. fill_standard_fds() first opens /dev/null at each standard number that is free, for good: so the number is
// taken before anything that matters is opened, and descriptors that other libraries open later are safe too. Another
// thread may close a standard number between that and the call that opens; a descriptor that lands there nevertheless
// is lifted (F_DUPFD_CLOEXEC) before it is written to, mapped or locked. A lock belongs to the open file description,
// which the copy shares.
//
// What fills a number is inherited by programs that this one starts: they get a standard stream that reads as ended and
// swallows what is written, as from a service manager, instead of a free number. It is open with O_DSYNC, which means
// nothing for /dev/null and tells it from one that the user asked for, in these programs too: is_filler().
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "framebus/base/namespace.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail::os {

inline constexpr int kFirstFd = 3;          // the first number that is not a standard stream's
inline constexpr long kIoUringSetup = 425;  // the number of io_uring_setup on every architecture

// Whether 0, 1 and 2 are open, in one system call.
inline bool has_standard_fds() noexcept {
  std::array<struct pollfd, kFirstFd> asked{{{0, 0, 0}, {1, 0, 0}, {2, 0, 0}}};
  if (::poll(asked.data(), asked.size(), 0) <= 0) return true;  // one that is closed would count, also with a signal
  return std::none_of(asked.begin(), asked.end(), [](const auto& each) { return (each.revents & POLLNVAL) != 0; });
}

// Opens /dev/null at each of 0, 1 and 2 that is closed. One system call where none is. Does nothing where
// /dev/null can't be opened: descriptors of framebus are then lifted, those of others are as they would be without it.
// Keeps errno.
inline void fill_standard_fds() noexcept {
  const int error = errno;
  while (!has_standard_fds()) {
    // Closed by exec until it is known where it is: above 2 it would leak into a program started meanwhile.
    const int fd = ::open("/dev/null", O_RDWR | O_DSYNC | O_CLOEXEC);
    if (fd < 0) break;
    if (fd < kFirstFd) {
      ::fcntl(fd, F_SETFD, 0);
    } else {
      ::close(fd);  // another thread has filled it meanwhile
    }
  }
  errno = error;
}

// Whether this is what fill_standard_fds(), here or in the program that started this one, has put in place of a
// standard stream.
inline bool is_filler(int fd) noexcept {
  struct stat s{};
  if (fd < 0 || fd >= kFirstFd || ::fstat(fd, &s) != 0) return false;
  constexpr int kMark = O_ACCMODE | O_SYNC | O_APPEND;
  const bool is_null = S_ISCHR(s.st_mode) && major(s.st_rdev) == 1 && minor(s.st_rdev) == 3;
  return is_null && (::fcntl(fd, F_GETFL) & kMark) == (O_RDWR | O_DSYNC);
}

// Moves a descriptor that has just been opened, and that nothing else knows yet, to 3 or above. Keeps errno where `fd`
// is -1.
inline int lift_fd(int fd) noexcept {
  if (fd < 0 || fd >= kFirstFd) return fd;
  const int lifted = ::fcntl(fd, F_DUPFD_CLOEXEC, kFirstFd);
  const int error = errno;
  ::close(fd);
  fill_standard_fds();
  errno = error;
  return lifted;
}

// open(2); the descriptor is closed by exec.
inline int open_path(const char* path, int flags, mode_t mode = 0) noexcept {
  fill_standard_fds();
  return lift_fd(::open(path, flags | O_CLOEXEC, mode));
}

// eventfd(2), which neither blocks nor survives exec.
inline int open_eventfd() noexcept {
  fill_standard_fds();
  return lift_fd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
}

// io_uring_setup(2), whose descriptors are always closed by exec. `parameters` is its struct io_uring_params.
inline int open_io_uring(unsigned entries, void* parameters) noexcept {
  fill_standard_fds();
  return lift_fd(static_cast<int>(::syscall(kIoUringSetup, entries, parameters)));
}

}  // namespace framebus::inline FRAMEBUS_VERSION::detail::os
