// SPDX-License-Identifier: Apache-2.0
// Coming, being there, and leaving: who is part of a channel, decided by kernel locks alone.
//
// Bytes of the control block that are locked (see docs/design.md, "Who is alive"):
//   0        the publisher
//   1 + i    the owner of reader record i
//   128      the gate: locked only by a leaver that has found everybody gone and is removing the files
//
// Promises: a participant is alive exactly while its lock is held; a dead reader's line is wiped only under its lock;
// the files are removed only by one who holds all the locks at once, and only if the path still leads to that very
// file; nobody is left in a file that has lost its name without noticing it.
#pragma once

#include <sched.h>
#include <time.h>

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

// Leaves nothing of a reader behind. The caller holds the line's lock.
inline void wipe_reader(ControlBlock& block, std::uint32_t index) noexcept {
  // Bits first: a publisher that sees the bit gone does not look at the line (pairs with its load of `readers`).
  block.readers.fetch_and(~reader_bit(index));
  FRAMEBUS_STEP("wipe:bit_cleared");
  block.sleepers.fetch_and(~reader_bit(index));
  ReaderRecord& record = block.reader[index];
  for (auto& hold : record.holds) hold.store(0, std::memory_order_release);
  record.flags.store(0, std::memory_order_release);
}

// Wipes the lines of readers that died; returns how many. `mask` says which lines to ask about.
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

// Does the control block still have its name? If not, whoever came through that name must come again.
inline bool still_has_name(const Control& control) { return os::is_named(control.file(), control.path()); }

// Has the channel been closed, by the publisher that this control block knows? Also where it had moved before.
inline bool is_over(const ControlBlock& block) noexcept {
  const std::uint32_t state = block.state.load();
  return state == kStateClosed || (state == kStateMoved && block.closed_epoch.load() == block.publisher_epoch.load());
}

// Begins the epoch of the next publisher. How the last one ended is noted first: pairs with ending(),
// which looks for a new epoch and then for this.
inline void begin_epoch(ControlBlock& block) noexcept {
  const std::uint32_t last = block.publisher_epoch.load();
  if (block.closed_epoch.load() != last) block.died_epoch.store(last);
  block.publisher_epoch.store(last + 1);
}

// Is somebody removing the files right now?
inline bool is_being_removed(const Control& control) { return os::is_locked(control.file(), kGateByte); }

// Unlinks every store of the channel but that of generation `keep` (0: keeps none). A publisher killed while growing
// may have left one. Only for the live publisher, or for the last one out. What can't be removed stays, for
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

// Drops my lock and, if nobody is left, removes the files. `byte` is the one I hold.
inline void leave_channel(Control& control, std::uint64_t byte) noexcept {
  if (control.is_forked() || !control.file().is_open()) return;
  try {
    os::unlock(control.file(), byte);
    FRAMEBUS_STEP("leave:unlocked");
    if (!os::try_lock(control.file(), 0, kLockBytes)) return;
    FRAMEBUS_STEP("leave:all_locked");
    if (still_has_name(control)) {
      // By its name first: with no descriptor left the directory can't be listed.
      os::unlink_quietly(store_path(control.name(), control.block().generation.load()));
      remove_stores(control.name(), 0);
      FRAMEBUS_STEP("leave:stores_removed");
      os::unlink_quietly(control.path());
    }
    os::unlock(control.file(), 0, kLockBytes);
  } catch (const Error&) {
    // Leaving cannot fail: the kernel drops the lock with the descriptor, and the files stay for the next one.
  }
}

// Bounds the loops of the two functions that come in: whoever is in the way moves on within microseconds, unless it was
// stopped in the middle of leaving, or holds locks that are not its own.
class RetryBackoff {
 public:
  explicit RetryBackoff(const std::string& name) : name_(name) {}
  void pause() {
    constexpr int kYields = 100;
    constexpr int kRounds = 3000;
    constexpr struct timespec kPause = {0, 1'000'000};
    if (++rounds_ < kYields) {
      ::sched_yield();
    } else if (rounds_ < kRounds) {
      ::nanosleep(&kPause, nullptr);
    } else {
      fail(Errc::timeout, "the files of channel '" + name_ +
                              "' are being removed by a process that does not get on with it; is one of its programs "
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

// Takes a reader record. Nothing where the channel has no files. Its bit is not set yet.
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
