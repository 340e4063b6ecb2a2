// SPDX-License-Identifier: Apache-2.0
// Removing what the dead have left of one channel, while others may be coming and going.
//
// Promises: a file is unlinked only under locks that keep everybody out who could use it or give its name to another
// file; whoever comes meanwhile waits (they see the gate taken, see membership.hpp) and is never refused for it; a
// live publisher keeps its current store and every later one, a dead publisher's subscribers keep the current one.
//
// Three cases:
//   nobody left       all bytes of the control block locked: control block and stores go, as in leave_channel()
//   somebody there    the gate locked, so that the control block keeps its name: stores before the current generation
//                     go, since a publisher only ever counts up; with the publisher's byte as well, also later ones
//   no control block  one of our own is put in its place, all bytes locked from the start: the stores go, then it
//
// No lock keeps a person from removing a control block by hand while it is in use. The next publisher of the name then
// begins at generation 1 with a control block of its own, while a lock on the old one protects nothing any more. So
// right before each file goes we look once more whether the locked control block still has the name (`still`). Whoever
// is left in the nameless channel may lose its store, which it takes as it takes the loss of the name (fetcher.hpp).
#pragma once

#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "framebus/base/namespace.hpp"
#include "framebus/segment/membership.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail {

// What the name of a file says: NAME, or NAME@G.
struct NamedFile {
  std::string channel;
  std::uint32_t generation = 0;  // 0 for a control block
};

// Nothing where framebus gives no such names.
inline std::optional<NamedFile> parse_file_name(std::string_view file) {
  if (!file.starts_with(kFilePrefix)) return std::nullopt;
  file.remove_prefix(kFilePrefix.size());
  const std::size_t mark = file.find(kGenerationMark);
  NamedFile named{std::string(file.substr(0, mark))};
  if (!is_valid_name(named.channel)) return std::nullopt;
  if (mark == std::string_view::npos) return named;
  const std::string_view digits = file.substr(mark + 1);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), named.generation);
  const bool whole = error == std::errc() && end == digits.data() + digits.size();
  if (!whole || named.generation == 0 || digits.front() == '0') return std::nullopt;
  return named;
}

// May this process unlink files of that user in a directory with the sticky bit?
inline bool may_remove(std::uint32_t owner) noexcept { return ::geteuid() == owner || ::geteuid() == 0; }

// Is what has the name of a frame store one by its first bytes, of whatever layout version? Or a control block that was
// on its way to its own name when its publisher was killed (succession.hpp).
inline bool is_store(const os::File& file) noexcept {
  std::uint64_t magic = 0;
  if (::pread(file.fd(), &magic, sizeof magic, 0) != static_cast<ssize_t>(sizeof magic)) return false;
  return magic == kStoreMagic || magic == kControlMagic;
}

struct StoreFile {
  std::string path;
  std::uint32_t generation = 0;
  os::FileStat stat;
  std::uint32_t group = 0;
};

// The stores of a channel that this user may remove. What only has the name of one is left out.
inline std::vector<StoreFile> stores_of(const std::string& channel) {
  std::vector<StoreFile> stores;
  const std::string prefix = std::string(kFilePrefix) + channel + kGenerationMark;
  for (const std::string& name : os::list_files(kDirectory, prefix)) {
    const auto named = parse_file_name(name);
    const std::string path = std::string(kDirectory) + "/" + name;
    struct stat s{};
    if (!named || ::lstat(path.c_str(), &s) != 0 || !S_ISREG(s.st_mode) || !may_remove(s.st_uid)) continue;
    const os::File file = os::open_existing(path, false);
    if (file.is_open() && is_store(file)) stores.push_back({path, named->generation, os::file_stat_of(s), s.st_gid});
  }
  return stores;
}

// Unlinks, and says so; or says why not.
inline void remove_file(const std::string& path, std::vector<std::string>& removed) {
  if (::unlink(path.c_str()) == 0) {
    removed.push_back(path);
  } else if (errno != ENOENT) {
    fail_errno("cannot remove " + path, path);
  }
}

// Nobody left: everything goes. True where that is so, and also where the files have just changed hands or gone.
inline bool remove_if_unused(const os::File& file, const std::string& channel, std::vector<std::string>& removed) {
  if (!os::try_lock(file, 0, 0)) return false;  // the whole file: another layout may lock other bytes
  const auto still = [&] { return os::is_named(file, control_path(channel)); };
  for (const StoreFile& store : stores_of(channel)) {
    if (still()) remove_file(store.path, removed);
  }
  if (still()) remove_file(control_path(channel), removed);
  os::unlock(file, 0, 0);
  return true;
}

// Somebody there: only stores that nobody can come to any more.
inline void remove_obsolete_stores(const std::string& channel, std::vector<std::string>& removed) {
  const auto control = open_control(channel);
  if (control == nullptr || !os::try_lock(control->file(), kGateByte)) return;  // gone, or being removed
  if (still_has_name(*control)) {
    const bool no_publisher = os::try_lock(control->file(), kPublisherByte);
    const std::uint32_t current = control->block().generation.load();  // pairs with the store in make_generation
    for (const StoreFile& store : stores_of(channel)) {
      const bool obsolete = store.generation < current || (no_publisher && store.generation > current);
      if (obsolete && still_has_name(*control)) remove_file(store.path, removed);
    }
    // Before the gate: who is refused this byte looks at the gate next.
    if (no_publisher) os::unlock(control->file(), kPublisherByte);
  }
  leave_channel(*control, kGateByte);  // whoever left meanwhile could not lock all bytes; so it is up to us
}

// No control block: the stores go while a control block of our own keeps the name. False where somebody was faster.
inline bool remove_stores_without_control(const std::string& channel, std::vector<std::string>& removed) {
  const std::vector<StoreFile> stores = stores_of(channel);
  if (stores.empty()) return true;
  const auto control = make_control(channel, stores.front().stat.mode & 0666);
  // As its owner's publisher would have made it, so that nobody who comes now is refused for who made it.
  const std::uint32_t owner = stores.front().stat.owner;
  if (::fchown(control->file().fd(), owner, stores.front().group) != 0 && owner != ::geteuid()) {
    fail_errno("cannot give " + control->path() + " to the owner of " + stores.front().path, control->path());
  }
  os::try_lock(control->file(), 0, kLockBytes);  // before it has a name, nobody can hold any
  if (!os::link_name(control->file(), control->path())) return false;
  for (const StoreFile& store : stores_of(channel)) {
    if (still_has_name(*control)) remove_file(store.path, removed);
  }
  if (still_has_name(*control)) os::unlink_quietly(control->path());
  return true;
}

// Removes every file of the channel that only the dead have used; returns the paths. Throws where that fails.
inline std::vector<std::string> clean_channel(const std::string& channel) {
  check_name(channel);
  std::vector<std::string> removed;
  for (RetryBackoff backoff(channel);; backoff.pause()) {
    const os::File file = os::open_existing(control_path(channel), true);
    if (!file.is_open()) {
      if (remove_stores_without_control(channel, removed)) return removed;
      continue;
    }
    if (!may_remove(os::stat(file).owner)) return removed;
    if (!remove_if_unused(file, channel, removed)) {
      remove_obsolete_stores(channel, removed);
      return removed;
    }
    if (!os::exists(control_path(channel)) && stores_of(channel).empty()) return removed;
  }
}

}  // namespace framebus::inline FRAMEBUS_VERSION::detail
