// SPDX-License-Identifier: Apache-2.0
// Attaching to a channel, being a participant, and leaving. Kernel locks alone decide which participants are alive.
//
// Locked bytes of the control block (see docs/design.md, "Who is alive"):
//   0        the publisher
//   1 + i    the owner of reader record i
//   128      the gate: locked only by a leaving participant that has found no other and is removing the files
//
// Promises: a participant is alive exactly while its lock is held; a dead reader's record is wiped only under its lock;
// only a process that holds all the locks at once removes the files, and only if the path still leads to this file; no
// participant stays in a file that has lost its name without noticing it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "framebus/base/namespace.hpp"
#include "framebus/segment/control_block.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail {

inline constexpr std::uint64_t kPublisherByte = 0;
inline constexpr std::uint64_t kGateByte = 128;
inline constexpr std::uint64_t kLockBytes = 129;
constexpr std::uint64_t reader_byte(std::uint32_t index) noexcept { return 1 + index; }
constexpr std::uint64_t reader_bit(std::uint32_t index) noexcept { return std::uint64_t{1} << index; }
static_assert(reader_byte(kMaxReaders - 1) < kGateByte);

inline bool is_publisher_alive(const Control& control) { return os::is_locked(control.file(), kPublisherByte); }
inline bool is_reader_alive(const Control& control, std::uint32_t index) {
  return os::is_locked(control.file(), reader_byte(index));
}

// Clears a reader record and its bits. The caller holds the record's lock.
inline void wipe_reader(ControlBlock& block, std::uint32_t index) noexcept {
  // Bits first: a publisher that sees the bit cleared does not read the record (pairs with its load of `readers`).
  block.readers.fetch_and(~reader_bit(index));
  FRAMEBUS_STEP("wipe:bit_cleared");
  block.sleepers.fetch_and(~reader_bit(index));
  ReaderRecord& record = block.reader[index];
  for (auto& hold : record.holds) hold.store(0, std::memory_order_release);
  record.flags.store(0, std::memory_order_release);
}

// Wipes the records of readers that died; returns their number. `mask`: the records to check.
inline int reap_readers(Control& control, std::uint64_t mask) {
  ControlBlock& block = control.block();
  int reaped = 0;
  for (std::uint32_t i = 0; i < kMaxReaders; ++i) {
    if ((block.readers.load() & mask & reader_bit(i)) == 0 || !os::try_lock(control.file(), reader_byte(i))) continue;
    FRAMEBUS_STEP("reap:locked");
    wipe_reader(block, i);
    FRAMEBUS_STEP("reap:wiped");
    os::unlock(control.file(), reader_byte(i));
    ++reaped;
  }
  return reaped;
}

// Does the control block still have its name? If not, a participant that has opened it by that name must rejoin.
inline bool still_has_name(const Control& control) { return os::is_named(control.file(), control.path()); }

// Has the publisher that this control block knows closed the channel? Also if the channel had moved before.
inline bool is_over(const ControlBlock& block) noexcept {
  const std::uint32_t state = block.state.load();
  return state == kStateClosed || (state == kStateMoved && block.closed_epoch.load() == block.publisher_epoch.load());
}

// Begins the epoch of the next publisher. The end of the last one is recorded first: pairs with ending(), which reads
// the epoch first and then these.
inline void begin_epoch(ControlBlock& block) noexcept {
  const std::uint32_t last = block.publisher_epoch.load();
  if (block.closed_epoch.load() != last) block.died_epoch.store(last);
  block.publisher_epoch.store(last + 1);
}

// Is a participant removing the files right now?
inline bool is_being_removed(const Control& control) { return os::is_locked(control.file(), kGateByte); }

// Unlinks every store of the channel except that of generation `keep` (0: keeps none). A publisher killed while growing
// may have left one. Only for the live publisher, or for the last participant. A store that can't be removed stays for
// `framebus doctor`.
inline void remove_stores(const std::string& name, std::uint32_t keep) {
  const std::string prefix = std::string(kFilePrefix) + name + kGenerationMark;
  std::vector<std::string> files;
  try {
    files = os::list_files(kDirectory, prefix);
  } catch (const Error&) {
    return;
  }
  for (const std::string& file : files) {
    const std::string path = std::string(kDirectory) + "/" + file;
    if (keep == 0 || path != store_path(name, keep)) os::unlink_quietly(path);
  }
}

// Drops the lock of `byte`, which the caller holds. Removes the files if no participant is left.
inline void leave_channel(Control& control, std::uint64_t byte) noexcept {
  if (control.is_forked() || !control.file().is_open()) return;
  try {
    os::unlock(control.file(), byte);
    FRAMEBUS_STEP("leave:unlocked");
    if (!os::try_lock(control.file(), 0, kLockBytes)) return;
    FRAMEBUS_STEP("leave:all_locked");
    if (still_has_name(control)) {
      // By its name first: the directory can't be listed if the process has no descriptor left.
      os::unlink_quietly(store_path(control.name(), control.block().generation.load()));
      remove_stores(control.name(), 0);
      FRAMEBUS_STEP("leave:stores_removed");
      os::unlink_quietly(control.path());
    }
    os::unlock(control.file(), 0, kLockBytes);
  } catch (const Error&) {
    // Leaving cannot fail: the kernel drops the lock with the descriptor, and the next participant removes the files.
  }
}

// Bounds the retries of the functions that attach. The participant that they wait for is done within microseconds,
// unless it was stopped while leaving, or is a program that holds locks of others.
class RetryBackoff {
 public:
  explicit RetryBackoff(const std::string& name) : name_(name) {}
  void pause() {
    constexpr int kYields = 100;
    constexpr int kRounds = 3000;
    if (++rounds_ < kYields) {
      os::yield();
    } else if (rounds_ < kRounds) {
      os::sleep_ns(1'000'000);
    } else {
      fail(Errc::timeout, "the files of channel '" + name_ +
                              "' are being removed by a process that makes no progress; is one of its programs "
                              "stopped? Resume or end it, then try again");
    }
  }

 private:
  const std::string& name_;
  int rounds_ = 0;
};

struct ReaderClaim {
  std::shared_ptr<Control> control;
  std::uint32_t index = 0;
};

// Claims a reader record; nullopt if the channel has no files. The record's bit is not set yet.
inline std::optional<ReaderClaim> join_as_reader(const std::string& name) {
  for (RetryBackoff backoff(name);; backoff.pause()) {
    std::shared_ptr<Control> control = open_control(name);
    if (control == nullptr) return std::nullopt;
    std::uint32_t index = 0;
    while (index < kMaxReaders && !os::try_lock(control->file(), reader_byte(index))) ++index;
    FRAMEBUS_STEP("attach:locked");
    if (index < kMaxReaders && still_has_name(*control)) {
      wipe_reader(control->block(), index);
      return ReaderClaim{std::move(control), index};
    }
    if (index < kMaxReaders || is_being_removed(*control) || !still_has_name(*control)) continue;
    fail(Errc::too_many_subscribers, "channel '" + name + "' already has " + std::to_string(kMaxReaders) +
                                         " subscribers, the most a channel can have; close one of them");
  }
}

}  // namespace framebus::inline FRAMEBUS_VERSION::detail
