// SPDX-License-Identifier: Apache-2.0
// Opening descriptors, so that none of them is ever 0, 1 or 2. No other file opens any.
//
// Promise: the functions here return a descriptor of 3 or more, closed by exec, or -1 with errno. In a program that was
// started without standard input, output or error (a daemon, `prog >&-`) these numbers are free, and the kernel returns
// the lowest free number. A descriptor there is read and written by every print, log line and warning of the process; a
// control block there would be overwritten for all its users. SQLite keeps its descriptors at 3 and above for the same
// reason.
//
// Two steps. First fill_standard_fds() opens /dev/null permanently at each free standard number. The number is taken
// before anything important is opened, and descriptors that other libraries open later are safe too. Another thread may
// close a standard number between that and the call that opens. A descriptor that lands there nevertheless is moved
// (F_DUPFD_CLOEXEC) before it is written to, mapped or locked. A lock belongs to the open file description, which the
// copy shares.
//
// Programs that this one starts inherit the filler. They get a standard stream that reads as ended and discards what is
// written, as from a service manager, instead of a free number. The filler is open with O_DSYNC, which has no effect on
// /dev/null and distinguishes it from one that the user asked for, in these programs too: is_filler().
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
  if (::poll(asked.data(), asked.size(), 0) <= 0) return true;  // a closed one would be counted, despite a signal
  return std::none_of(asked.begin(), asked.end(), [](const auto& each) { return (each.revents & POLLNVAL) != 0; });
}

// Opens /dev/null at each of 0, 1 and 2 that is closed; one system call if none is. Does nothing if /dev/null can't be
// opened: framebus's descriptors are then still moved above 2, those of others are not. Keeps errno.
inline void fill_standard_fds() noexcept {
  const int error = errno;
  while (!has_standard_fds()) {
    // Closed by exec until its number is known: above 2 it would leak into a program started meanwhile.
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

// Whether fill_standard_fds() opened this descriptor, here or in the program that started this one.
inline bool is_filler(int fd) noexcept {
  struct stat s{};
  if (fd < 0 || fd >= kFirstFd || ::fstat(fd, &s) != 0) return false;
  constexpr int kMark = O_ACCMODE | O_SYNC | O_APPEND;
  const bool is_null = S_ISCHR(s.st_mode) && major(s.st_rdev) == 1 && minor(s.st_rdev) == 3;
  return is_null && (::fcntl(fd, F_GETFL) & kMark) == (O_RDWR | O_DSYNC);
}

// Moves a descriptor that has just been opened, and that no other code knows yet, to 3 or above. Keeps errno if `fd` is
// -1.
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

// eventfd(2), non-blocking and closed by exec.
inline int open_eventfd() noexcept {
  fill_standard_fds();
  return lift_fd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
}

// io_uring_setup(2), whose descriptors are always closed by exec. `parameters`: a struct io_uring_params.
inline int open_io_uring(unsigned entries, void* parameters) noexcept {
  fill_standard_fds();
  return lift_fd(static_cast<int>(::syscall(kIoUringSetup, entries, parameters)));
}

}  // namespace framebus::inline FRAMEBUS_VERSION::detail::os
