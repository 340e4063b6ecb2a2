// SPDX-License-Identifier: Apache-2.0
// Removing the files that dead programs have left of one channel, while other programs may attach and leave.
//
// Promises: a file is unlinked only under locks that exclude every program that could use it or link its name to
// another file; a program that attaches meanwhile waits (it sees the gate locked, see membership.hpp) and is never
// refused because of the removal; a live publisher keeps its current store and every later one; a dead publisher's
// subscribers keep the current one.
//
// Three cases:
//   no participant    all bytes of the control block locked: control block and stores go, as in leave_channel()
//   participants      the gate locked, so that the control block keeps its name: stores before the current generation
//                     go, since a publisher only counts up; with the publisher's byte locked as well, also later ones
//   no control block  our own control block gets the name, all bytes locked from the start: the stores go, then it
//
// No lock prevents a person from removing a control block by hand while it is in use. The next publisher of the name
// then begins at generation 1 with its own control block, and a lock on the old one protects nothing any more. So right
// before each file is removed we check again that the locked control block still has the name (`still`). Participants
// that are left in the nameless channel may lose its store; they handle that as the loss of the name (fetcher.hpp).
#pragma once

#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "framebus/base/namespace.hpp"
#include "framebus/segment/membership.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail {

// The parts of a file name: NAME, or NAME@G.
struct NamedFile {
  std::string channel;
  std::uint32_t generation = 0;  // 0 for a control block
};

// nullopt for a name that framebus does not use.
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
inline bool may_remove(std::uint32_t owner) noexcept { return os::user_id() == owner || os::user_id() == 0; }

// Is a file with the name of a frame store one by its first bytes, of any layout version? A control block counts too:
// its publisher was killed before it got its own name (succession.hpp).
inline bool is_store(const os::File& file) noexcept {
  std::uint64_t magic = 0;
  if (os::read_beginning(file, &magic, sizeof magic) != sizeof magic) return false;
  return magic == kStoreMagic || magic == kControlMagic;
}

struct StoreFile {
  std::string path;
  std::uint32_t generation = 0;
  os::FileStat stat;
};

// The stores of a channel that this user may remove. A file that only has the name of a store is left out.
inline std::vector<StoreFile> stores_of(const std::string& channel) {
  std::vector<StoreFile> stores;
  const std::string prefix = std::string(kFilePrefix) + channel + kGenerationMark;
  for (const std::string& name : os::list_files(kDirectory, prefix)) {
    const auto named = parse_file_name(name);
    const std::string path = std::string(kDirectory) + "/" + name;
    const auto there = os::stat(path);
    if (!named || !there || !there->regular || !may_remove(there->owner)) continue;
    const os::File file = os::open_existing(path, false);
    if (file.is_open() && is_store(file)) stores.push_back({path, named->generation, *there});
  }
  return stores;
}

// Unlinks the file and appends it to `removed`, or throws the reason.
inline void remove_file(const std::string& path, std::vector<std::string>& removed) {
  if (os::unlink(path)) removed.push_back(path);
}

// No participant: removes everything. Returns whether that is the case, also if the files were just replaced or
// removed.
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

// With participants: removes only stores that no participant can open any more.
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
    // Before the gate: a publisher that is refused this byte checks the gate next.
    if (no_publisher) os::unlock(control->file(), kPublisherByte);
  }
  leave_channel(*control, kGateByte);  // a participant that left meanwhile could not lock all bytes, so we do
}

// No control block: removes the stores while our own control block has the name. False if another program was faster.
inline bool remove_stores_without_control(const std::string& channel, std::vector<std::string>& removed) {
  const std::vector<StoreFile> stores = stores_of(channel);
  if (stores.empty()) return true;
  const auto control = make_control(channel, stores.front().stat.mode & 0666);
  // Owned as if the owner's publisher had made it, so that no program is refused because of its owner.
  const std::uint32_t owner = stores.front().stat.owner;
  if (!os::set_owner(control->file(), owner, stores.front().stat.group) && owner != os::user_id()) {
    fail_errno("cannot give " + control->path() + " to the owner of " + stores.front().path, control->path());
  }
  os::try_lock(control->file(), 0, kLockBytes);  // always free: the file has no name yet
  if (!os::link_name(control->file(), control->path())) return false;
  for (const StoreFile& store : stores_of(channel)) {
    if (still_has_name(*control)) remove_file(store.path, removed);
  }
  if (still_has_name(*control)) os::unlink_quietly(control->path());
  return true;
}

// Removes every file of the channel that no live program can use; returns the paths. Throws if that fails.
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
