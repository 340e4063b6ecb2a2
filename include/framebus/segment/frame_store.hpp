// SPDX-License-Identifier: Apache-2.0
// One generation of a channel's frame store.
//
// Promise: a Store is complete, and its numbers are consistent with each other and with the mapped length. They are
// copied once and never read from the segment again. Subscribers map it read-only.
#pragma once

#include <algorithm>
#include <bit>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "framebus/base/namespace.hpp"
#include "framebus/layout/descriptor.hpp"
#include "framebus/segment/control_block.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail {

// The part of a store that the slot algorithm uses: pointers and counts, all checked.
struct SlotTable {
  SlotRecord* slots = nullptr;
  Atomic<std::uint64_t>* directory = nullptr;
  std::uint32_t slot_count = 0;
  std::uint64_t directory_mask = 0;
};

class Store {
 public:
  Store(os::File file, const StoreHeader& header, bool writable)
      : file_(std::move(file)), mapping_(file_, header.total_bytes, writable), header_(numbers_of(header)) {
    table_ = {reinterpret_cast<SlotRecord*>(mapping_.data() + header_.slots_offset),
              reinterpret_cast<Atomic<std::uint64_t>*>(mapping_.data() + header_.directory_offset), header_.slot_count,
              header_.directory_words - 1};
    if (writable) {
      reserved_.resize(header_.slot_count, 0);
    } else {
      file_.close();  // the mapping is enough
    }
  }

  [[nodiscard]] const SlotTable& table() const noexcept { return table_; }
  [[nodiscard]] std::uint32_t generation() const noexcept { return header_.generation; }
  // Of the publisher that has made it.
  [[nodiscard]] std::uint32_t publisher_epoch() const noexcept { return header_.publisher_epoch; }
  [[nodiscard]] std::uint32_t slot_count() const noexcept { return header_.slot_count; }
  [[nodiscard]] std::uint64_t slot_bytes() const noexcept { return header_.slot_bytes; }
  [[nodiscard]] std::byte* payload(std::uint32_t slot) const noexcept {
    return mapping_.data() + header_.payload_offset + header_.slot_bytes * slot;
  }
  [[nodiscard]] const os::File& file() const noexcept { return file_; }  // publisher only
  [[nodiscard]] std::uint64_t allocated_bytes() const { return os::stat(file_).allocated_bytes; }

  // Was the file truncated?
  [[nodiscard]] bool is_broken() const noexcept { return mapping_.is_broken(); }

  // Publisher only, in the thread that has claimed the slot.
  [[nodiscard]] bool is_reserved(std::uint32_t slot, std::uint64_t bytes) const noexcept {
    return reserved_[slot] >= bytes;
  }
  // Publisher only: allocates and maps pages for the first `bytes` of a slot. False if memory is full.
  bool reserve(std::uint32_t slot, std::uint64_t bytes) {
    const int error = try_reserve(slot, bytes);
    if (error != 0 && error != ENOSPC) os::fail_on(file_, "fallocate", error);
    return error == 0;
  }
  // The same; returns 0 or an errno.
  int try_reserve(std::uint32_t slot, std::uint64_t bytes) noexcept {
    const std::uint64_t wanted = round_up(bytes, kPage);
    if (reserved_[slot] >= wanted) return 0;
    const std::uint64_t offset = header_.payload_offset + header_.slot_bytes * slot;
    if (const int error = os::try_reserve(file_, offset, wanted)) return error;
    mapping_.populate(offset, wanted);
    reserved_[slot] = wanted;
    ++reservations_;
    return 0;
  }
  // Number of reserve() calls that allocated pages.
  [[nodiscard]] std::uint64_t reservations() const noexcept { return reservations_; }

 private:
  struct Numbers {
    std::uint32_t generation;
    std::uint32_t slot_count;
    std::uint32_t directory_words;
    std::uint64_t slot_bytes;
    std::uint64_t directory_offset;
    std::uint64_t slots_offset;
    std::uint64_t payload_offset;
    std::uint32_t publisher_epoch;
  };
  static Numbers numbers_of(const StoreHeader& h) noexcept {
    return {h.generation,       h.slot_count,   h.directory_words, h.slot_bytes,
            h.directory_offset, h.slots_offset, h.payload_offset,  h.publisher_epoch};
  }

  os::File file_;
  os::Mapping mapping_;
  Numbers header_;
  SlotTable table_;
  std::vector<std::uint64_t> reserved_;
  std::uint64_t reservations_ = 0;
};

// The header of a store with `slots` slots of `slot_bytes` bytes each.
inline StoreHeader plan_store(const ControlBlock& control, std::uint32_t generation, std::uint32_t slots,
                              std::uint64_t slot_bytes) {
  StoreHeader h{};
  h.magic = kStoreMagic;
  h.layout_version = kLayoutVersion;
  h.generation = generation;
  h.channel_id[0] = control.channel_id[0];
  h.channel_id[1] = control.channel_id[1];
  h.slot_count = slots;
  h.directory_words = std::bit_ceil(std::max<std::uint32_t>(slots, 8));
  h.slot_bytes = round_up(std::max<std::uint64_t>(slot_bytes, 1), kPage);
  h.directory_offset = kPage;
  h.slots_offset = round_up(h.directory_offset + std::uint64_t{h.directory_words} * 8, kLine);
  h.payload_offset = round_up(h.slots_offset + std::uint64_t{slots} * sizeof(SlotRecord), kPage);
  h.total_bytes = h.payload_offset + h.slot_bytes * slots;
  h.publisher_epoch = control.publisher_epoch.load();
  return h;
}

// Does the header describe exactly what plan_store() would have made, in a file of this length?
inline bool is_consistent(const StoreHeader& h, const ControlBlock& control, std::uint32_t generation,
                          std::uint64_t file_bytes) noexcept {
  if (h.magic != kStoreMagic || h.layout_version != kLayoutVersion || h.generation != generation) return false;
  if (h.channel_id[0] != control.channel_id[0] || h.channel_id[1] != control.channel_id[1]) return false;
  if (h.slot_count == 0 || h.slot_count > kMaxSlots || h.slot_bytes > 2 * kMaxFrameBytes) return false;
  const StoreHeader want = plan_store(control, generation, h.slot_count, h.slot_bytes);
  return std::memcmp(&want, &h, offsetof(StoreHeader, publisher_epoch)) == 0 && file_bytes == h.total_bytes;
}

inline std::string no_room(const std::string& what, std::uint64_t wanted) {
  return std::string(kDirectory) + " is full: wanted " + std::to_string(wanted) + " bytes for " + what + ", free " +
         std::to_string(os::free_bytes(kDirectory)) +
         "; make it larger (mount -o remount,size=..., docker run --shm-size=1g) or send smaller frames; the channel "
         "keeps "
         "working as it was";
}

// Subscribers open only stores of the channel's owner, and only the owner can remove the store that a new one replaces.
inline void check_still_owner(const Control& control) {
  const std::uint32_t owner = os::stat(control.file()).owner;
  if (owner == os::user_id()) return;
  fail(Errc::permission_denied,
       "channel '" + control.name() + "' was opened by user " + std::to_string(owner) +
           " and needs a new store, but this program has become user " + std::to_string(os::user_id()) +
           "; change the user before opening the Publisher, or give it max_bytes= and send "
           "one frame before the change",
       EPERM, control.path());
}

// A new store without frames, otherwise complete, not linked to its name yet.
inline std::shared_ptr<Store> make_store(const Control& control, std::uint32_t generation, std::uint32_t slots,
                                         std::uint64_t slot_bytes, std::uint32_t mode) {
  check_still_owner(control);
  const StoreHeader header = plan_store(control.block(), generation, slots, slot_bytes);
  os::File file = os::create_unnamed(kDirectory, header.total_bytes, mode);
  os::take_group(file, control.file());  // this program's group may have changed, or the channel's was changed by hand
  if (!os::reserve(file, 0, header.payload_offset)) {
    fail(Errc::frame_too_large, no_room("the index of channel '" + control.name() + "'", header.payload_offset));
  }
  if (!os::write_beginning(file, &header, sizeof header)) fail_errno("pwrite");
  return std::make_shared<Store>(std::move(file), header, true);
}

// The store of a generation, checked; nullptr if no file of that name exists (any more).
inline std::shared_ptr<Store> open_store(const Control& control, std::uint32_t generation) {
  const std::string path = store_path(control.name(), generation);
  os::File file = os::open_existing(path, false);
  if (!file.is_open()) return nullptr;
  const os::FileStat f = os::stat(file);
  if (f.owner != os::stat(control.file()).owner) {
    fail(Errc::corrupt_channel,
         path + ": belongs to user " + std::to_string(f.owner) + ", the channel to another; not opened");
  }
  StoreHeader header{};
  if (os::read_beginning(file, &header, sizeof header) != sizeof header ||
      !is_consistent(header, control.block(), generation, f.bytes)) {
    fail(Errc::corrupt_channel, path + ": not a frame store of generation " + std::to_string(generation) +
                                    " of this channel (" + std::to_string(f.bytes) + " bytes); restart its publisher");
  }
  return std::make_shared<Store>(std::move(file), header, false);
}

}  // namespace framebus::inline FRAMEBUS_VERSION::detail
