// SPDX-License-Identifier: Apache-2.0
// Files in shared memory on Linux: opened safely, created without a name, linked when complete,
// reserved.
//
// Promises: a path is never followed through a symlink, opening never blocks (FIFO), and only a regular file is
// accepted; a file gets its name when it is complete; a lock belongs to the open file description and ends with it.
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "framebus/base/namespace.hpp"
#include "framebus/error.hpp"
#include "framebus/os/linux/fds.hpp"

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

// Makes an eventfd readable; false if that fails.
inline bool signal(const File& event) noexcept {
  const std::uint64_t one = 1;
  return ::write(event.fd(), &one, sizeof one) == static_cast<ssize_t>(sizeof one);
}
// Makes it unreadable.
inline void drain(const File& event) noexcept {
  std::uint64_t count = 0;
  static_cast<void>(!::read(event.fd(), &count, sizeof count));
}

struct FileStat {
  std::uint64_t bytes = 0;
  std::uint64_t allocated_bytes = 0;
  std::uint32_t owner = 0;
  std::uint32_t group = 0;
  std::uint32_t mode = 0;
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  bool regular = false;
};

inline FileStat file_stat_of(const struct stat& s) noexcept {
  return {static_cast<std::uint64_t>(s.st_size),
          static_cast<std::uint64_t>(s.st_blocks) * 512,
          s.st_uid,
          s.st_gid,
          static_cast<std::uint32_t>(s.st_mode & 07777),
          s.st_dev,
          s.st_ino,
          S_ISREG(s.st_mode)};
}

// As chmod takes it: "0640".
inline std::string mode_text(std::uint32_t mode) {
  char text[8];
  std::snprintf(text, sizeof text, "%04o", mode);
  return text;
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

// The status of the file at `path`; nullopt if there is none. A symlink is not followed.
inline std::optional<FileStat> stat(const std::string& path) noexcept {
  struct stat s{};
  if (::lstat(path.c_str(), &s) != 0) return std::nullopt;
  return file_stat_of(s);
}

// Is `path` still the name of this file?
inline bool is_named(const File& file, const std::string& path) {
  const auto there = stat(path);
  if (!there) return false;
  const FileStat mine = stat(file);
  return there->inode == mine.inode && there->device == mine.device;
}

// Has the file lost its last name, so that it can't be opened any more? One system call, without a path.
inline bool is_unlinked(const File& file) noexcept {
  struct stat s{};
  return ::fstat(file.fd(), &s) == 0 && s.st_nlink == 0;
}

inline bool exists(const std::string& path) noexcept { return stat(path).has_value(); }

inline std::uint64_t allocated_bytes(const std::string& path) noexcept {
  const auto there = stat(path);
  return there ? there->allocated_bytes : 0;
}

// Reads from the beginning. The number of bytes, fewer at the end of the file; -1 and errno if that fails.
inline std::int64_t read_beginning(const File& file, void* to, std::size_t bytes) noexcept {
  return ::pread(file.fd(), to, bytes, 0);
}

// Writes the beginning, which exists. False and errno if that fails.
inline bool write_beginning(const File& file, const void* from, std::size_t bytes) noexcept {
  return ::pwrite(file.fd(), from, bytes, 0) == static_cast<ssize_t>(bytes);
}

// The user and the group of this process, by which files are owned and opened.
inline std::uint32_t user_id() noexcept { return ::geteuid(); }
inline std::uint32_t group_id() noexcept { return ::getegid(); }

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
    if (const auto s = stat(path)) {
      fail(Errc::permission_denied,
           path + ": permission denied; it belongs to user " + std::to_string(s->owner) + ", group " +
               std::to_string(s->group) + ", with mode " + mode_text(s->mode) + ", you are user " +
               std::to_string(user_id()) +
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

// False, and errno, where this user may not.
inline bool set_mode(const File& file, std::uint32_t mode) noexcept { return ::fchmod(file.fd(), mode) == 0; }
inline bool set_group(const File& file, std::uint32_t group) noexcept {
  return ::fchown(file.fd(), static_cast<uid_t>(-1), group) == 0;
}
inline bool set_owner(const File& file, std::uint32_t owner, std::uint32_t group) noexcept {
  return ::fchown(file.fd(), owner, group) == 0;
}

// Sets the group of a file to that of another one, as far as this user may.
inline void take_group(const File& file, const File& from) noexcept {
  struct stat s{};
  if (::fstat(from.fd(), &s) == 0) static_cast<void>(set_group(file, s.st_gid));
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

// Throws where the directory can't be looked into.
inline void check_directory(const std::string& directory) {
  if (!File(open_path(directory.c_str(), O_RDONLY | O_DIRECTORY)).is_open()) {
    fail_errno("cannot look into " + directory, directory);
  }
}

inline void unlink_quietly(const std::string& path) noexcept { ::unlink(path.c_str()); }

// False if there is no such file. Throws if that fails.
inline bool unlink(const std::string& path) {
  if (::unlink(path.c_str()) == 0) return true;
  if (errno == ENOENT) return false;
  fail_errno("cannot remove " + path, path);
}

// Gives the file at `from` the name `to`, in place of another file; removes `from` if that fails, and throws.
inline void replace(const std::string& from, const std::string& to) {
  if (std::rename(from.c_str(), to.c_str()) == 0) return;
  const int error = errno;
  unlink_quietly(from);
  fail_errno("cannot replace " + to, to, error);
}

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

}  // namespace framebus::inline FRAMEBUS_VERSION::detail::os
