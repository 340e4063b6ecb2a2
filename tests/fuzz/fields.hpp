// SPDX-License-Identifier: Apache-2.0
// The positions of all relevant numbers in the two files: a structure-aware fuzzer changes these first.
#pragma once

#include <cstddef>
#include <framebus/layout/layout.hpp>
#include <vector>

namespace fuzz {

struct Field {
  bool in_store;
  std::uint64_t offset;
  std::uint32_t bytes;
};

// The fields of a slot record at `slot`, with its first two arrays.
inline std::vector<Field> slot_fields(std::uint64_t slot) {
  using namespace framebus;
  using namespace framebus::detail;
  std::vector<Field> fields;
  const auto add = [&](std::uint64_t offset, std::uint32_t bytes, std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) fields.push_back({true, slot + offset + std::uint64_t{i} * bytes, bytes});
  };
  add(0, 8, 6);
  add(offsetof(SlotRecord, meta_bytes), 4, 3);
  for (std::uint64_t a = 0; a < 2; ++a) {
    const std::uint64_t array = offsetof(SlotRecord, arrays) + a * sizeof(ArrayRecord);
    add(array + offsetof(ArrayRecord, name_bytes), 1, 4);
    add(array + offsetof(ArrayRecord, item_bytes), 4, 1);
    add(array + offsetof(ArrayRecord, shape), 8, kMaxDims + 2);
  }
  return fields;
}

inline constexpr std::uint32_t kLively = 16;

inline std::vector<Field> all_fields(const framebus::detail::StoreHeader& header) {
  using namespace framebus;
  using namespace framebus::detail;
  std::vector<Field> fields;  // the first kLively of them change all the time in a living channel
  const auto add = [&](bool in_store, std::uint64_t offset, std::uint32_t bytes, std::uint32_t count = 1) {
    for (std::uint32_t i = 0; i < count; ++i) fields.push_back({in_store, offset + std::uint64_t{i} * bytes, bytes});
  };
  add(false, offsetof(ControlBlock, head), 8, 2);
  add(false, offsetof(ControlBlock, wake), 4, 5);
  add(false, offsetof(ControlBlock, readers), 8);
  add(false, offsetof(ControlBlock, space), 4, 3);
  add(false, offsetof(ControlBlock, frames), 8, 5);
  add(false, offsetof(ControlBlock, magic), 8);
  add(false, offsetof(ControlBlock, layout_version), 4, 4);
  add(false, offsetof(ControlBlock, channel_id), 8, 2);
  for (std::uint64_t i = 0; i < 3; ++i) {
    const std::uint64_t record = offsetof(ControlBlock, reader) + i * sizeof(ReaderRecord);
    add(false, record + offsetof(ReaderRecord, cursor), 8);
    add(false, record + offsetof(ReaderRecord, flags), 4, 2);
    add(false, record + offsetof(ReaderRecord, holds), 8, 4);
  }
  add(true, offsetof(StoreHeader, magic), 8);
  add(true, offsetof(StoreHeader, layout_version), 4, 2);
  add(true, offsetof(StoreHeader, channel_id), 8, 2);
  add(true, offsetof(StoreHeader, slot_count), 4, 2);
  add(true, offsetof(StoreHeader, slot_bytes), 8, 5);
  add(true, header.directory_offset, 8, header.directory_words);
  for (std::uint64_t s = 0; s < header.slot_count; ++s) {
    const std::vector<Field> slot = slot_fields(header.slots_offset + s * sizeof(SlotRecord));
    fields.insert(fields.end(), slot.begin(), slot.end());
  }
  add(true, offsetof(StoreHeader, publisher_epoch), 4);
  return fields;
}

}  // namespace fuzz
