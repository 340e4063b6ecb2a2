// SPDX-License-Identifier: Apache-2.0
// Locks on bytes of a file that belong to the open file description (Linux 3.15 and later).
//
// Promise: the kernel drops them with the last descriptor of the description, however the process ends, and they are
// visible across pid namespaces. No call here waits.
#pragma once

#include <fcntl.h>

#include <cstdint>

#include "framebus/base/namespace.hpp"
#include "framebus/os/linux/file.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail::os {

inline struct flock lock_of(short type, std::uint64_t start, std::uint64_t count) noexcept {
  struct flock lock{};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = static_cast<off_t>(start);
  lock.l_len = static_cast<off_t>(count);
  return lock;
}

// Takes all the bytes or none.
inline bool try_lock(const File& file, std::uint64_t start, std::uint64_t count = 1) {
  struct flock lock = lock_of(F_WRLCK, start, count);
  if (::fcntl(file.fd(), F_OFD_SETLK, &lock) == 0) return true;
  if (errno == EAGAIN || errno == EACCES) return false;
  fail_on(file, "cannot lock shared memory");
}

inline void unlock(const File& file, std::uint64_t start, std::uint64_t count = 1) noexcept {
  struct flock lock = lock_of(F_UNLCK, start, count);
  ::fcntl(file.fd(), F_OFD_SETLK, &lock);
}

// Does another description hold a lock on any of the bytes?
inline bool is_locked(const File& file, std::uint64_t start, std::uint64_t count = 1) {
  struct flock lock = lock_of(F_WRLCK, start, count);
  if (::fcntl(file.fd(), F_OFD_GETLK, &lock) != 0) fail_on(file, "cannot ask for a lock on shared memory");
  return lock.l_type != F_UNLCK;
}

}  // namespace framebus::inline FRAMEBUS_VERSION::detail::os
