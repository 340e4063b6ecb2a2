// SPDX-License-Identifier: Apache-2.0
// Files in shared memory on Linux: opened safely, created without a name, linked when complete, reserved, mapped.
//
// Promises: a path is never followed through a symlink, opening never blocks (FIFO), and only a regular file is
// accepted; a file gets its name when it is complete; a lock belongs to the open file description and ends with it.
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "framebus/base/namespace.hpp"
#include "framebus/error.hpp"
#include "framebus/os/linux/fds.hpp"
#include "framebus/os/linux/sigbus.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail::os {

class File {
 public:
  File() = default;
  explicit File(int fd) noexcept : fd_(fd) {}
  File(File&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  File& operator=(File&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() { close(); }

  [[nodiscard]] int fd() const noexcept { return fd_; }
  [[nodiscard]] bool is_open() const noexcept { return fd_ >= 0; }
  void close() noexcept {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

 private:
  int fd_ = -1;
};

struct FileStat {
  std::uint64_t bytes = 0;
  std::uint64_t allocated_bytes = 0;
  std::uint32_t owner = 0;
  std::uint32_t mode = 0;
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  bool regular = false;
};

inline FileStat file_stat_of(const struct stat& s) noexcept {
  return {static_cast<std::uint64_t>(s.st_size),
          static_cast<std::uint64_t>(s.st_blocks) * 512,
          s.st_uid,
          static_cast<std::uint32_t>(s.st_mode & 07777),
          s.st_dev,
          s.st_ino,
          S_ISREG(s.st_mode)};
}

// The path that an open file was opened by or has been renamed to; empty for a file without a name.
inline std::string path_of(const File& file) {
  char path[4096];
  const std::string self = "/proc/self/fd/" + std::to_string(file.fd());
  const ssize_t length = ::readlink(self.c_str(), path, sizeof path);
  const std::string_view found(path, length < 0 ? 0 : static_cast<std::size_t>(length));
  return std::string(found.ends_with(" (deleted)") ? std::string_view() : found);
}

// A system call on an open file failed.
[[noreturn]] inline void fail_on(const File& file, const std::string& what, int error = errno) {
  fail_errno(what, path_of(file), error);
}

inline FileStat stat(const File& file) {
  struct stat s{};
  if (::fstat(file.fd(), &s) != 0) fail_on(file, "fstat");
  return file_stat_of(s);
}

// Is `path` still the name of this file?
inline bool is_named(const File& file, const std::string& path) {
  struct stat s{};
  if (::lstat(path.c_str(), &s) != 0) return false;
  const FileStat mine = stat(file);
  return s.st_ino == mine.inode && s.st_dev == mine.device;
}

// Has the file lost its last name, so that it can't be opened any more? One system call, without a path.
inline bool is_unlinked(const File& file) noexcept {
  struct stat s{};
  return ::fstat(file.fd(), &s) == 0 && s.st_nlink == 0;
}

inline bool exists(const std::string& path) noexcept {
  struct stat s{};
  return ::lstat(path.c_str(), &s) == 0;
}

inline std::uint64_t allocated_bytes(const std::string& path) noexcept {
  struct stat s{};
  return ::lstat(path.c_str(), &s) == 0 ? static_cast<std::uint64_t>(s.st_blocks) * 512 : 0;
}

// Opens a regular file; returns a File that is not open if the path does not exist.
inline File open_existing(const std::string& path, bool writable) {
  const int fd = open_path(path.c_str(), (writable ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0 && errno == ENOENT) return {};
  if (fd < 0 && (errno == ELOOP || errno == EISDIR || errno == ENXIO)) {
    fail(Errc::corrupt_channel, path +
                                    ": expected a regular file, found something else (symlink, directory or "
                                    "device); remove it by hand if no program needs it");
  }
  if (fd < 0 && errno == EACCES) {
    struct stat s{};
    if (::lstat(path.c_str(), &s) == 0) {
      char mode[8];
      std::snprintf(mode, sizeof mode, "%04o", static_cast<unsigned>(s.st_mode & 07777));
      fail(Errc::permission_denied,
           path + ": permission denied; it belongs to user " + std::to_string(s.st_uid) + ", group " +
               std::to_string(s.st_gid) + ", with mode " + mode + ", you are user " + std::to_string(::geteuid()) +
               "; its publisher can share it: mode=0o660 with its group, mode=0o666 with all",
           EACCES, path);
    }
  }
  if (fd < 0) fail_errno(path, path);
  File file(fd);
  if (!stat(file).regular) {
    fail(Errc::corrupt_channel, path +
                                    ": expected a regular file, found something else; remove it by hand if no program "
                                    "needs it");
  }
  return file;
}

// Another open file description of the same file. A mapping keeps its description, and with it the description's locks,
// even in a forked child that has closed its descriptors; so mapping and locks need two descriptions.
inline File reopen(const File& file, bool writable) {
  const std::string self = "/proc/self/fd/" + std::to_string(file.fd());
  File other(open_path(self.c_str(), writable ? O_RDWR : O_RDONLY));
  if (!other.is_open()) fail_errno("cannot open " + self + " (/proc must be mounted)", self);
  return other;
}

// Creates a file of `bytes` zeros in `directory`, without a name.
inline File create_unnamed(const std::string& directory, std::uint64_t bytes, std::uint32_t mode) {
  File file(open_path(directory.c_str(), O_TMPFILE | O_RDWR, 0600));
  if (!file.is_open()) {
    const int error = errno;
    const bool about_place = error != EMFILE && error != ENFILE && error != ENOMEM;
    fail_errno("cannot make a file in " + directory + (about_place ? " (a writable tmpfs must be mounted there)" : ""),
               directory, error);
  }
  if (::fchmod(file.fd(), mode) != 0) fail_errno("fchmod in " + directory, directory);
  if (::ftruncate(file.fd(), static_cast<off_t>(bytes)) != 0) fail_errno("ftruncate in " + directory, directory);
  return file;
}

// Sets the group of a file to that of another one, as far as this user may.
inline void take_group(const File& file, const File& from) noexcept {
  struct stat s{};
  if (::fstat(from.fd(), &s) != 0 || ::fchown(file.fd(), static_cast<uid_t>(-1), s.st_gid) != 0) return;
}

// Links a file without a name to `path`; false if the name is taken.
inline bool link_name(const File& file, const std::string& path) {
  const std::string self = "/proc/self/fd/" + std::to_string(file.fd());
  if (::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) == 0) return true;
  if (errno == EEXIST) return false;
  fail_errno("cannot name " + path + " (needs /proc)", path);
}

// The names of the files in `directory` that begin with `prefix`; none if the directory does not exist.
inline std::vector<std::string> list_files(const std::string& directory, std::string_view prefix) {
  std::vector<std::string> names;
  const int fd = open_path(directory.c_str(), O_RDONLY | O_DIRECTORY);
  if (fd < 0 && errno == ENOENT) return names;
  if (fd < 0) fail_errno("cannot look into " + directory, directory);
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(fd), &::closedir);
  if (stream == nullptr) {
    const int error = errno;
    ::close(fd);
    fail_errno("cannot look into " + directory, directory, error);
  }
  while (const dirent* entry = ::readdir(stream.get())) {
    if (std::string_view(entry->d_name).starts_with(prefix)) names.emplace_back(entry->d_name);
  }
  return names;
}

inline void unlink_quietly(const std::string& path) noexcept { ::unlink(path.c_str()); }

inline std::uint64_t free_bytes(const std::string& directory) noexcept {
  struct statvfs s{};
  if (::statvfs(directory.c_str(), &s) != 0) return 0;
  return static_cast<std::uint64_t>(s.f_bavail) * s.f_frsize;
}

// Reserves pages, so that touching them later cannot fail. Returns 0 or an errno, ENOSPC if there is no room. Never
// extends the file: one that another program has truncated must be noticed, not filled up with zeros.
inline int try_reserve(const File& file, std::uint64_t offset, std::uint64_t bytes) noexcept {
  if (bytes == 0) return 0;
  int error = 0;
  do {
    const int rc = ::fallocate(file.fd(), FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset), static_cast<off_t>(bytes));
    error = rc == 0 ? 0 : errno;
  } while (error == EINTR);
  if (error == EOPNOTSUPP) error = ::posix_fallocate(file.fd(), static_cast<off_t>(offset), static_cast<off_t>(bytes));
  return error;
}

// The same; false if there is no room, an exception for any other error.
inline bool reserve(const File& file, std::uint64_t offset, std::uint64_t bytes) {
  const int error = try_reserve(file, offset, bytes);
  if (error != 0 && error != ENOSPC) fail_on(file, "fallocate", error);
  return error == 0;
}

class Mapping {
 public:
  Mapping() = default;
  Mapping(const File& file, std::uint64_t bytes, bool writable) : bytes_(bytes) {
    void* p = ::mmap(nullptr, bytes, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, file.fd(), 0);
    if (p == MAP_FAILED) fail_on(file, "cannot map " + std::to_string(bytes) + " bytes of shared memory");
    data_ = static_cast<std::byte*>(p);
    guard_ = Guard(data_, bytes, writable);
  }
  Mapping(Mapping&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(other.bytes_), guard_(std::move(other.guard_)) {}
  Mapping& operator=(Mapping&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    std::swap(guard_, other.guard_);
    return *this;
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() {
    guard_ = Guard();  // before the range can be mapped by other code
    if (data_ != nullptr) ::munmap(data_, bytes_);
  }

  [[nodiscard]] std::byte* data() const noexcept { return data_; }
  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }
  // Maps the pages of a range now, in one call, instead of each at its first write. Only saves time: it fails on an old
  // kernel, and a missing page shows when it is touched.
  void populate(std::uint64_t offset, std::uint64_t bytes) const noexcept {
    constexpr int kPopulateWrite = 23;  // MADV_POPULATE_WRITE, Linux 5.14
    if (bytes != 0) ::madvise(data_ + offset, bytes, kPopulateWrite);
  }

  // Was the file truncated while it was mapped? Then some of what is read here is zeros.
  [[nodiscard]] bool is_broken() const noexcept { return guard_.is_broken(); }

 private:
  std::byte* data_ = nullptr;
  std::uint64_t bytes_ = 0;
  Guard guard_;
};

}  // namespace framebus::inline FRAMEBUS_VERSION::detail::os
