// SPDX-License-Identifier: Apache-2.0
// The two files of a channel, byte by byte.
//
// Promise: a program built by any compiler, with any flags, on any machine of the same byte order reads what another
// program wrote. All numbers are written here and none is taken from the compiler; tests/cpp/test_layout.cpp freezes
// them.
//
// Rules for changing this file:
// - Any change of a size, an offset or a meaning raises kLayoutVersion. There is no compatible change.
// - Constant fields are written before the file gets its name and never again.
// - Every atomic says which side writes it. A word with one writer is stored; a word with several is changed by
//   fetch_or, fetch_and or fetch_add only.
// - docs/protocol.md is generated from here (scripts/protocol), from the trailing comments of the fields.
#pragma once

#include <cstddef>
#include <cstdint>

#include "framebus/base/atomic.hpp"
#include "framebus/base/namespace.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail {

inline constexpr std::uint32_t kLayoutVersion = 4;                       // moves with every change of this file
inline constexpr std::uint64_t kControlMagic = 0x5355424d41524643;       // "CFRAMBUS" in memory, little-endian
inline constexpr std::uint64_t kStoreMagic = 0x5355424d41524653;         // "SFRAMBUS"
inline constexpr std::size_t kLine = 64;                                 // a cache line, on every machine
inline constexpr std::size_t kPage = 4096;                               // a page, on every machine
inline constexpr std::uint32_t kMaxReaders = 64;                         // reader records; one bit each in `readers`
inline constexpr std::uint32_t kMaxHolds = 64;                           // holds of one reader
inline constexpr std::uint32_t kMaxArrays = 8;                           // arrays in one frame
inline constexpr std::uint32_t kMaxDims = 8;                             // dimensions of one array
inline constexpr std::uint32_t kMaxSlots = 8192;                         // above every sum of hold budgets
inline constexpr std::uint32_t kNoSlot = 0xffff;                         // in a frame word: the frame is gone
inline constexpr std::size_t kNameBytes = 32;                            // array names, pixel formats (UTF-8)
inline constexpr std::size_t kCommandBytes = 240;                        // command line of a participant
inline constexpr std::uint64_t kMaxFrameBytes = std::uint64_t{1} << 40;  // one frame, arrays and metadata

// A participant's process, for messages and reports. No decision depends on it.
struct Identity {
  std::uint32_t pid;            // process id in its own namespace
  std::uint32_t uid;            // effective user id
  std::int64_t since_ns;        // wall clock when it attached
  char command[kCommandBytes];  // command line, UTF-8, cut to fit, NUL-padded
};

// One record of the reader table. Only its owner writes it; a dead owner's record is wiped under its lock.
struct ReaderRecord {
  Atomic<std::uint64_t> cursor;  // sequence of the last frame fetched
  Atomic<std::uint32_t> flags;   // 1: fetches every frame, 2: observer (not counted as a subscriber), 4: keeps a frame
  Atomic<std::uint32_t> hold_budget;       // hold budget: the number of holds it may use
  Atomic<std::uint64_t> holds[kMaxHolds];  // frame words of the frames it holds, 0 for none
  std::uint64_t pad0[6];
  Atomic<std::uint64_t> frames;   // frames fetched
  Atomic<std::uint64_t> bytes;    // bytes of those frames
  Atomic<std::uint64_t> missed;   // frames skipped because a newer one was there
  Atomic<std::uint64_t> dropped;  // frames the publisher gave up for on_full=drop
  std::uint64_t pad1[4];
  Identity identity;  // the subscriber's process
  std::uint8_t pad2[128];
};

// The control block: /dev/shm/framebus.NAME.
struct ControlBlock {
  // Line 0: constant.
  std::uint64_t magic;           // kControlMagic; reads reversed on another byte order
  std::uint32_t layout_version;  // kLayoutVersion
  std::uint32_t total_bytes;     // size of the control block
  std::uint32_t max_readers;     // kMaxReaders
  std::uint32_t max_holds;       // kMaxHolds
  std::uint64_t channel_id[2];   // random; the stores of this channel repeat it
  std::int64_t created_ns;       // wall clock of creation
  std::uint64_t pad0[2];
  // Line 1: changes with every frame.
  Atomic<std::uint64_t> head;             // frame word of the newest frame, 0 before the first; publisher
  Atomic<std::uint64_t> sleepers;         // a bit for each reader record that sleeps on `wake`; readers, fetch_or/and
  Atomic<std::uint32_t> wake;             // futex word, changes with every publication; publisher
  Atomic<std::uint32_t> generation;       // the current store, 0 for none; publisher
  Atomic<std::uint32_t> state;            // 0 new, 1 open, 2 closed, 3 moved; publisher
  Atomic<std::uint32_t> publisher_epoch;  // counts publishers; publisher
  Atomic<std::uint32_t> closed_epoch;     // the last epoch that ended with close(); publisher
  Atomic<std::uint32_t> died_epoch;       // the last epoch that ended without; set by the publisher after it
  std::uint32_t pad1[6];
  // Line 2: the readers.
  Atomic<std::uint64_t> readers;         // a bit for each reader record in use; readers, fetch_or/and
  Atomic<std::uint32_t> space;           // futex word for a waiting publisher; readers, fetch_add
  Atomic<std::uint32_t> space_wanted;    // 1 while the publisher waits on `space`; publisher
  Atomic<std::uint32_t> history_wanted;  // the largest history= of any reader; readers, grows only
  std::uint32_t pad2[11];
  // Line 3: the publisher's counts.
  Atomic<std::uint64_t> frames;           // frames published; publisher
  Atomic<std::uint64_t> bytes;            // bytes of those frames; publisher
  Atomic<std::uint64_t> dropped;          // frames given up, once for each reader that needed them; publisher
  Atomic<std::uint64_t> period_ns;        // running mean of the time between frames; publisher
  Atomic<std::uint64_t> last_publish_ns;  // CLOCK_MONOTONIC of the newest frame; publisher
  std::uint64_t pad3[3];
  // Lines 4 to 7.
  Identity publisher;  // the process of the current or last publisher
  // The reader table. Its first three records lie in the page of `head`.
  ReaderRecord reader[kMaxReaders];  // one record for each subscriber
  std::uint8_t pad4[kPage - 512];
};

// The first page of a frame store: /dev/shm/framebus.NAME@G. Constant.
struct StoreHeader {
  std::uint64_t magic;             // kStoreMagic
  std::uint32_t layout_version;    // kLayoutVersion
  std::uint32_t generation;        // G
  std::uint64_t channel_id[2];     // as in the control block
  std::uint32_t slot_count;        // slots
  std::uint32_t directory_words;   // entries of the directory, a power of two, at least slot_count
  std::uint64_t slot_bytes;        // room for one frame's arrays and metadata, whole pages
  std::uint64_t directory_offset;  // where the directory starts: frame words by sequence modulo its size
  std::uint64_t slots_offset;      // where the slot records start
  std::uint64_t payload_offset;    // where slot 0's bytes start, whole pages
  std::uint64_t total_bytes;       // size of the file
  std::uint32_t publisher_epoch;   // that of the publisher that has made it
  std::uint8_t pad0[kPage - 84];
};

// One array of a frame.
struct ArrayRecord {
  char name[kNameBytes];          // UTF-8, NUL-padded
  std::uint8_t name_bytes;        // 1 to kNameBytes
  std::uint8_t kind;              // 'b' bool, 'i', 'u', 'f', 'c'
  std::uint8_t order;             // '<', '>', or '|' for single bytes
  std::uint8_t ndim;              // 0 to kMaxDims
  std::uint32_t item_bytes;       // bytes of one element
  std::uint64_t shape[kMaxDims];  // elements in each dimension, C order
  std::uint64_t offset;           // from the start of the slot's bytes, a multiple of kLine
  std::uint64_t bytes;            // product of shape times item_bytes
  std::uint64_t pad0;
};

// One slot: the slot word and the description of the frame.
struct SlotRecord {
  Atomic<std::uint64_t> word;        // sequence << 1, lowest bit: being written; publisher
  std::int64_t timestamp_ns;         // CLOCK_MONOTONIC of capture, as given, or of publication
  std::int64_t wall_time_ns;         // CLOCK_REALTIME of the same
  std::int64_t published_ns;         // CLOCK_MONOTONIC of publication
  std::uint64_t payload_bytes;       // bytes of all arrays together
  std::uint64_t meta_offset;         // from the start of the slot's bytes
  std::uint32_t meta_bytes;          // JSON, UTF-8; 0 for none
  std::uint32_t array_count;         // 1 to kMaxArrays
  std::uint32_t pixel_format_bytes;  // 0 for none
  std::uint32_t pad0;
  char pixel_format[kNameBytes];  // PFNC name
  std::uint8_t pad1[32];
  ArrayRecord arrays[kMaxArrays];  // the arrays, in the order they were sent
};

// A frame word is a frame's sequence number and slot; a slot word is a sequence number and "being written".
constexpr std::uint64_t frame_word(std::uint64_t seq, std::uint32_t slot) noexcept { return seq << 16 | slot; }
constexpr std::uint64_t frame_seq(std::uint64_t word) noexcept { return word >> 16; }
constexpr std::uint32_t frame_slot(std::uint64_t word) noexcept { return static_cast<std::uint32_t>(word & 0xffff); }
constexpr std::uint64_t slot_word(std::uint64_t seq) noexcept { return seq << 1; }
constexpr std::uint64_t slot_seq(std::uint64_t word) noexcept { return word >> 1; }
constexpr bool slot_being_written(std::uint64_t word) noexcept { return (word & 1) != 0; }

// kReaderKeeper: the frame in the first hold is kept for a subscriber's program that is being started.
enum ReaderFlag : std::uint32_t { kReaderEvery = 1, kReaderObserver = 2, kReaderKeeper = 4 };
// kStateMoved: the channel continues in another control block, which has the name now.
enum ChannelState : std::uint32_t { kStateNew = 0, kStateOpen = 1, kStateClosed = 2, kStateMoved = 3 };

}  // namespace framebus::inline FRAMEBUS_VERSION::detail
