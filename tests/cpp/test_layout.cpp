// SPDX-License-Identifier: Apache-2.0
// Freezes the shared layout. Compiling this file is the test; the numbers are written a second time on purpose. Before
// changing one, read the rules at the head of layout.hpp and raise kLayoutVersion.
#include <framebus/layout/layout.hpp>
#include <type_traits>

#include "check.hpp"

using namespace framebus;
using namespace framebus::detail;

#define FROZEN(expression, value)                      \
  static_assert((expression) == (value), #expression); \
  CHECK((expression) == (value))
#define AT(type, field, offset) FROZEN(offsetof(type, field), offset)

static_assert(std::is_standard_layout_v<ControlBlock> && std::is_standard_layout_v<StoreHeader>);
static_assert(std::is_standard_layout_v<SlotRecord> && std::is_standard_layout_v<ReaderRecord>);

namespace {

void version_and_identity() {
  FROZEN(kLayoutVersion, 4U);
  FROZEN(sizeof(Identity), 256U);
  AT(Identity, pid, 0U);
  AT(Identity, uid, 4U);
  AT(Identity, since_ns, 8U);
  AT(Identity, command, 16U);
}

void reader_line() {
  FROZEN(sizeof(ReaderRecord), 1024U);
  AT(ReaderRecord, cursor, 0U);
  AT(ReaderRecord, flags, 8U);
  AT(ReaderRecord, hold_budget, 12U);
  AT(ReaderRecord, holds, 16U);
  AT(ReaderRecord, frames, 576U);
  AT(ReaderRecord, bytes, 584U);
  AT(ReaderRecord, missed, 592U);
  AT(ReaderRecord, dropped, 600U);
  AT(ReaderRecord, identity, 640U);
}

void control_block() {
  FROZEN(sizeof(ControlBlock), 17U * 4096U);
  AT(ControlBlock, magic, 0U);
  AT(ControlBlock, layout_version, 8U);
  AT(ControlBlock, total_bytes, 12U);
  AT(ControlBlock, max_readers, 16U);
  AT(ControlBlock, max_holds, 20U);
  AT(ControlBlock, channel_id, 24U);
  AT(ControlBlock, created_ns, 40U);
  AT(ControlBlock, head, 64U);
  AT(ControlBlock, sleepers, 72U);
  AT(ControlBlock, wake, 80U);
  AT(ControlBlock, generation, 84U);
  AT(ControlBlock, state, 88U);
  AT(ControlBlock, publisher_epoch, 92U);
  AT(ControlBlock, closed_epoch, 96U);
  AT(ControlBlock, died_epoch, 100U);
  AT(ControlBlock, readers, 128U);
  AT(ControlBlock, space, 136U);
  AT(ControlBlock, space_wanted, 140U);
  AT(ControlBlock, history_wanted, 144U);
  AT(ControlBlock, frames, 192U);
  AT(ControlBlock, bytes, 200U);
  AT(ControlBlock, dropped, 208U);
  AT(ControlBlock, period_ns, 216U);
  AT(ControlBlock, last_publish_ns, 224U);
  AT(ControlBlock, publisher, 256U);
  AT(ControlBlock, reader, 512U);
}

void store_header() {
  FROZEN(sizeof(StoreHeader), 4096U);
  AT(StoreHeader, magic, 0U);
  AT(StoreHeader, layout_version, 8U);
  AT(StoreHeader, generation, 12U);
  AT(StoreHeader, channel_id, 16U);
  AT(StoreHeader, slot_count, 32U);
  AT(StoreHeader, directory_words, 36U);
  AT(StoreHeader, slot_bytes, 40U);
  AT(StoreHeader, directory_offset, 48U);
  AT(StoreHeader, slots_offset, 56U);
  AT(StoreHeader, payload_offset, 64U);
  AT(StoreHeader, total_bytes, 72U);
  AT(StoreHeader, publisher_epoch, 80U);
}

void array_record() {
  FROZEN(sizeof(ArrayRecord), 128U);
  AT(ArrayRecord, name, 0U);
  AT(ArrayRecord, name_bytes, 32U);
  AT(ArrayRecord, kind, 33U);
  AT(ArrayRecord, order, 34U);
  AT(ArrayRecord, ndim, 35U);
  AT(ArrayRecord, item_bytes, 36U);
  AT(ArrayRecord, shape, 40U);
  AT(ArrayRecord, offset, 104U);
  AT(ArrayRecord, bytes, 112U);
}

void slot_record() {
  FROZEN(sizeof(SlotRecord), 1152U);
  AT(SlotRecord, word, 0U);
  AT(SlotRecord, timestamp_ns, 8U);
  AT(SlotRecord, wall_time_ns, 16U);
  AT(SlotRecord, published_ns, 24U);
  AT(SlotRecord, payload_bytes, 32U);
  AT(SlotRecord, meta_offset, 40U);
  AT(SlotRecord, meta_bytes, 48U);
  AT(SlotRecord, array_count, 52U);
  AT(SlotRecord, pixel_format_bytes, 56U);
  AT(SlotRecord, pixel_format, 64U);
  AT(SlotRecord, arrays, 128U);
}

void words() {
  FROZEN(frame_seq(frame_word(123456789, 77)), 123456789U);
  FROZEN(frame_slot(frame_word(123456789, 77)), 77U);
  FROZEN(slot_seq(slot_word(123456789) | 1), 123456789U);
  FROZEN(slot_being_written(slot_word(5)), false);
  FROZEN(slot_being_written(slot_word(5) | 1), true);
}

}  // namespace

int main() {
  version_and_identity();
  reader_line();
  control_block();
  store_header();
  array_record();
  slot_record();
  words();
  return check::finish();
}
