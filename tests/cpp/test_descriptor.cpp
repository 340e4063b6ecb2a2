// SPDX-License-Identifier: Apache-2.0
// The description of a frame: what a publisher may plan, and what a subscriber must refuse.
#include <framebus/publisher.hpp>
#include <functional>
#include <limits>

#include "check.hpp"

using namespace framebus;
using namespace framebus::detail;

namespace {

constexpr std::uint64_t kSlotBytes = 1 << 20;

ArraySpec spec(const Shape& shape) { return {"image", {'u', '<', 2}, shape}; }

void planned_arrays_do_not_overlap_and_are_aligned() {
  const std::vector<ArraySpec> specs = {
      {"a", {'u', '|', 1}, {3}}, {"b", {'f', '<', 4}, {5, 7}}, {"c", {'c', '<', 8}, {}}};
  const Descriptor d = describe(specs);
  CHECK(d.array_count == 3);
  for (std::uint32_t i = 0; i < 3; ++i) {
    CHECK(d.arrays[i].offset % kLine == 0);
    if (i > 0) CHECK(d.arrays[i].offset >= d.arrays[i - 1].offset + d.arrays[i - 1].bytes);
  }
  CHECK(d.payload_bytes == 3 + 140 + 8);
  CHECK(d.meta_offset >= d.arrays[2].offset + 8);
}

void impossible_frames_are_refused() {
  const std::uint64_t huge = std::numeric_limits<std::int64_t>::max();
  CHECK_FAILS(describe(std::span<const ArraySpec>()), Errc::invalid_argument);
  CHECK_FAILS(describe(std::vector<ArraySpec>(9, spec({1}))), Errc::invalid_argument);
  CHECK_FAILS(describe(std::vector{spec(Shape(std::vector<std::uint64_t>(9, 1)))}), Errc::invalid_argument);
  CHECK_FAILS(describe(std::vector{spec({huge, huge})}), Errc::frame_too_large);
  CHECK_FAILS(describe(std::vector{spec({huge, 0})}), Errc::frame_too_large);
  CHECK_FAILS(describe(std::vector{spec({huge + 1})}), Errc::invalid_argument);  // what negative lengths become
  CHECK_FAILS(describe(std::vector{spec({kMaxFrameBytes})}), Errc::frame_too_large);
  CHECK_FAILS(describe(std::vector{ArraySpec{"", {'u', '|', 1}, {1}}}), Errc::invalid_argument);
  CHECK_FAILS(describe(std::vector{ArraySpec{std::string(33, 'x'), {'u', '|', 1}, {1}}}), Errc::invalid_argument);
  CHECK_FAILS(describe(std::vector{ArraySpec{"x", {'O', '|', 8}, {1}}}), Errc::invalid_argument);
}

void what_was_written_is_read_back() {
  const std::vector<ArraySpec> specs = {spec({480, 640}), {"mask", {'b', '|', 1}, {0, 640}}};
  const Descriptor out = describe(specs);
  SlotRecord record{};
  write_descriptor(record, out);
  Descriptor in;
  CHECK(read_descriptor(in, record, 42, kSlotBytes) == nullptr);
  CHECK(in.seq == 42 && in.array_count == 2 && in.payload_bytes == 480 * 640 * 2);
  CHECK(in.arrays[0].ndim == 2 && in.arrays[0].shape[1] == 640 && in.arrays[0].name() == "image");
  CHECK(in.arrays[1].bytes == 0 && in.arrays[1].name() == "mask");
  CHECK(read_descriptor(in, record, 42, 480 * 640 * 2 - 1) != nullptr);  // the array would end outside the slot
}

void every_broken_field_is_noticed() {
  const Descriptor good = describe(std::vector{spec({480, 640})});
  const std::vector<std::function<void(SlotRecord&)>> damages = {
      [](SlotRecord& r) { r.array_count = 0; },
      [](SlotRecord& r) { r.array_count = 9; },
      [](SlotRecord& r) { r.array_count = 0xffffffff; },
      [](SlotRecord& r) { r.pixel_format_bytes = 33; },
      [](SlotRecord& r) { r.meta_bytes = 1, r.meta_offset = kSlotBytes; },
      [](SlotRecord& r) { r.meta_bytes = 8, r.meta_offset = ~std::uint64_t{0} - 3; },
      [](SlotRecord& r) { r.arrays[0].name_bytes = 0; },
      [](SlotRecord& r) { r.arrays[0].name_bytes = 33; },
      [](SlotRecord& r) { r.arrays[0].ndim = 9; },
      [](SlotRecord& r) { r.arrays[0].kind = 'O'; },
      [](SlotRecord& r) { r.arrays[0].order = '|'; },
      [](SlotRecord& r) { r.arrays[0].item_bytes = 3; },
      [](SlotRecord& r) { r.arrays[0].shape[0] = 481; },
      [](SlotRecord& r) { r.arrays[0].shape[0] = ~std::uint64_t{0}; },
      [](SlotRecord& r) { r.arrays[0].shape[1] = std::uint64_t{1} << 63; },
      [](SlotRecord& r) { r.arrays[0].offset = 1; },
      [](SlotRecord& r) { r.arrays[0].offset = kSlotBytes; },
      [](SlotRecord& r) { r.arrays[0].offset = ~std::uint64_t{63}; },
      [](SlotRecord& r) { r.arrays[0].bytes -= 2; },
  };
  for (const auto& damage : damages) {
    SlotRecord record{};
    write_descriptor(record, good);
    damage(record);
    Descriptor in;
    CHECK(read_descriptor(in, record, 1, kSlotBytes) != nullptr);
  }
}

void names_are_checked() {
  for (const char* name : {"a", "camera0", "A.b_c-d", "0"}) CHECK(is_valid_name(name));
  for (const char* name : {"", ".", "-a", "_a", "a/b", "a@1", "a b", "\xc3\xa9"}) CHECK(!is_valid_name(name));
  CHECK(is_valid_name(std::string(128, 'x')) && !is_valid_name(std::string(129, 'x')));
}

}  // namespace

int main() {
  planned_arrays_do_not_overlap_and_are_aligned();
  impossible_frames_are_refused();
  what_was_written_is_read_back();
  every_broken_field_is_noticed();
  names_are_checked();
  return check::finish();
}
