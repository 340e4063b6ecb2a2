// SPDX-License-Identifier: Apache-2.0
// Becoming the publisher of a name: creating the channel, taking it over, taking the name back.
//
// Promises: one publisher has a name at a time; the next one continues the sequence; the control block and every store
// that it makes have exactly the mode that it asked for and its group, independent of the predecessor's mode and of the
// umask. If the predecessor's mode granted more, the control block is replaced (succession.hpp), so that programs which
// had it open lose access; if it granted less, the mode of both files is changed. If that fails the channel is not
// taken over.
#pragma once

#include <memory>
#include <string>

#include "framebus/base/namespace.hpp"
#include "framebus/segment/succession.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail {

// Sequence numbers have 48 bits, which no channel uses up: 44 years at 100,000 frames a second.
inline constexpr std::uint64_t kMaxSeq = std::uint64_t{1} << 47;

// Opens a control block that a publisher could take over.
inline std::shared_ptr<Control> open_for_takeover(const std::string& name) {
  auto control = open_control(name);
  if (control != nullptr && frame_seq(control->block().head.load()) >= kMaxSeq) {
    fail(Errc::corrupt_channel, control->path() +
                                    ": claims an impossible number of frames; stop the programs that use it, then run "
                                    "`framebus doctor --clean` or remove it");
  }
  return control;
}

// Removes an unusable control block and its stores, if this user owns it and no program has locked it. True if the name
// is free afterwards, or leads to another file.
inline bool remove_if_abandoned(const std::string& name) {
  const os::File file = os::open_existing(control_path(name), true);
  if (!file.is_open()) return true;
  // The whole file, of any length: another layout may lock other bytes.
  if (os::stat(file).owner != os::user_id() || !os::try_lock(file, 0, 0)) return false;
  if (!os::is_named(file, control_path(name))) return true;  // there is another one now
  remove_stores(name, 0);
  os::unlink_quietly(control_path(name));
  return true;
}

// Records the publisher and begins its epoch. A channel gets its name after this, or its state says that it is being
// taken over: no subscriber attaches in between and mistakes the old publisher's epoch for the new one's.
inline void open_channel(ControlBlock& block) {
  write_identity(block.publisher);
  block.space_wanted.store(0);  // a predecessor may have died waiting
  begin_epoch(block);
  FRAMEBUS_STEP("open:epoch_moved");
  block.state.store(kStateOpen);
  FRAMEBUS_STEP("open:state");
}

// The channel of that name, its publisher's byte locked by us; nullptr if there is none. Fails with channel_in_use if
// another publisher lives, with permission_denied if another user owns it. A channel that is broken, or of another
// layout, is removed if it has no participant.
inline std::shared_ptr<Control> lock_existing(const std::string& name) {
  for (RetryBackoff backoff(name);; backoff.pause()) {
    std::shared_ptr<Control> control;
    try {
      control = open_for_takeover(name);
    } catch (const Error& error) {
      const bool useless = error.code() == Errc::corrupt_channel || error.code() == Errc::layout_mismatch;
      if (!useless || !remove_if_abandoned(name)) throw;
      continue;
    }
    if (control == nullptr) return control;
    const std::uint32_t owner = os::stat(control->file()).owner;
    if (owner != os::user_id()) {
      fail(Errc::permission_denied,
           control->path() + " belongs to user " + std::to_string(owner) + ", you are user " +
               std::to_string(os::user_id()) + "; a channel can only be published by its owner, choose another name",
           EPERM, control->path());
    }
    if (os::try_lock(control->file(), kPublisherByte)) {
      if (still_has_name(*control)) return control;
      continue;
    }
    if (is_being_removed(*control) || !still_has_name(*control)) continue;
    if (!is_publisher_alive(*control)) continue;  // it left in between
    const Identity& other = control->block().publisher;
    fail(Errc::channel_in_use, "channel '" + name + "' already has a publisher: process " + std::to_string(other.pid) +
                                   " (" + command_of(other) + "); end it, or choose another name");
  }
}

// Does the file grant a right that `mode` does not grant, or that it grants to our group and not to the file's?
inline bool grants_more(const os::File& file, std::uint32_t mode) {
  constexpr std::uint32_t kGroupBits = 070;
  const os::FileStat s = os::stat(file);
  if ((s.mode & ~mode) != 0) return true;
  return s.group != os::group_id() && (s.mode & kGroupBits) != 0;
}

// Sets mode and group of a file of this user. At no moment does either group have a right that its mode does not grant.
inline void set_mode(const os::File& file, std::uint32_t mode, const std::string& path) {
  const os::FileStat s = os::stat(file);
  const auto change = [&](std::uint32_t to) {
    if (!os::set_mode(file, to)) fail_errno("cannot change the mode of " + path, path);
  };
  const std::uint32_t group = os::group_id();
  if (s.group != group) {
    change(0600);
    if (!os::set_group(file, group)) fail_errno("cannot give " + path + " to group " + std::to_string(group), path);
    change(mode);
  } else if (s.mode != mode) {
    change(mode);
  }
}

// Sets mode and group of the current store, which is the predecessor's. A file that is not our store is left alone: no
// program opens it.
inline void set_store_mode(const Control& control, std::uint32_t mode) {
  const std::string path = store_path(control.name(), control.block().generation.load());
  const auto there = os::stat(path);
  if (!there || !there->regular || there->owner != os::user_id()) return;
  const os::File store = os::open_existing(path, false);
  if (store.is_open()) set_mode(store, mode, path);
}

// Opens the channel with the rights of `mode`. The store first: a reader that may open the control block may open it.
// Returns nullptr if the channel has lost its name meanwhile.
inline std::shared_ptr<Control> open_with_mode(const std::shared_ptr<Control>& control, std::uint32_t mode) {
  const bool narrowed = grants_more(control->file(), control_mode(mode));
  set_store_mode(*control, mode);
  FRAMEBUS_STEP("mode:store_set");
  if (!narrowed) {
    set_mode(control->file(), control_mode(mode), control->path());
    FRAMEBUS_STEP("mode:set");
    open_channel(control->block());
    return control;
  }
  auto fresh = make_successor(*control, mode);
  open_channel(fresh->block());
  FRAMEBUS_STEP("move:made");
  control->block().state.store(
      kStateMoved);  // has effect once the name leads elsewhere: a death in between leaves no reader here
  if (!replace_named(*fresh, *control)) return nullptr;
  mark_moved(control->block(), true);
  keep_predecessor(*fresh, control);
  return fresh;
}

// Takes over a channel whose publisher's byte we have locked; nullptr if it has lost its name meanwhile.
inline std::shared_ptr<Control> take_over(const std::shared_ptr<Control>& control, std::uint32_t mode) {
  ControlBlock& block = control->block();
  const std::uint32_t state = block.state.load();
  block.state.store(kStateNew);
  FRAMEBUS_STEP("publisher:took_over");
  try {
    remove_stores(control->name(), block.generation.load());
    return open_with_mode(control, mode);
  } catch (...) {
    block.state.store(state);
    throw;
  }
}

// Becomes the publisher of a name: creates the control block or takes it over. Fails as lock_existing() does.
inline std::shared_ptr<Control> join_as_publisher(const std::string& name, std::uint32_t mode) {
  for (RetryBackoff backoff(name);; backoff.pause()) {
    if (auto control = lock_existing(name)) {
      if (auto ours = take_over(control, mode)) return ours;
      continue;
    }
    auto control = make_control(name, mode);
    os::try_lock(control->file(), kPublisherByte);  // always free: the file has no name yet
    open_channel(control->block());
    FRAMEBUS_STEP("publisher:made");
    if (os::link_name(control->file(), control->path())) return control;  // else another publisher was faster
  }
}

// Links a control block to its channel's name again. A channel that a dead publisher has left there meanwhile is
// replaced, and its subscribers rejoin. Fails as lock_existing() does.
inline void take_name_back(const Control& fresh) {
  for (RetryBackoff backoff(fresh.name());; backoff.pause()) {
    if (os::link_name(fresh.file(), fresh.path())) return;
    const auto other = lock_existing(fresh.name());
    if (other == nullptr || !replace_named(fresh, *other)) continue;
    mark_moved(other->block(), true);
    remove_stores(fresh.name(), 0);
    return;
  }
}

}  // namespace framebus::inline FRAMEBUS_VERSION::detail
