// SPDX-License-Identifier: Apache-2.0
// A slot record that is valid except for the input's changes: read_descriptor() refuses it, or its result lies inside
// the slot.
#include <cstdlib>
#include <framebus/publisher.hpp>

#include "fields.hpp"
#include "input.hpp"

using namespace framebus;
using namespace framebus::detail;

namespace {

// Two arrays and metadata that fill a slot of two pages to the last byte.
constexpr std::uint64_t kSlotBytes = 2 * kPage;

Descriptor full_slot() {
  const ArraySpec specs[] = {{"color", {'u', '|', 1}, {4, 1000, 1}}, {"depth", {'f', '<', 8}, {8, 8, 8}}};
  Descriptor d = describe(specs);
  d.meta_bytes = static_cast<std::uint32_t>(kSlotBytes - d.meta_offset);
  return d;
}

void change(SlotRecord& record, fuzz::Input& input) {
  static const std::vector<fuzz::Field> fields = fuzz::slot_fields(0);
  const fuzz::Field& field = fields[input.below(static_cast<std::uint32_t>(fields.size()))];
  auto* bytes = reinterpret_cast<unsigned char*>(&record);
  std::uint64_t value = 0;
  std::memcpy(&value, bytes + field.offset, field.bytes);
  switch (input.below(4)) {
    case 0:
      value = input.notable();
      break;
    case 1:
      value = input.number<std::uint64_t>();
      break;
    case 2:
      value += input.notable();
      break;
    default:
      input.take(bytes + input.number<std::uint16_t>() % (sizeof record - 64), 1 + input.below(64));
      return;
  }
  std::memcpy(bytes + field.offset, &value, field.bytes);
}

void check(bool holds) {
  if (!holds) std::abort();
}

void check_array(const ArrayInfo& a, std::uint64_t slot_bytes) {
  check(a.ndim <= kMaxDims && !a.name().empty() && a.name().size() <= kNameBytes && is_valid(a.type));
  unsigned __int128 product = a.type.bytes;
  for (std::uint32_t k = 0; k < a.ndim && product != 0; ++k) product *= a.shape[k];
  check(product == a.bytes && a.offset % kLine == 0);
  check(a.offset <= slot_bytes && a.bytes <= slot_bytes - a.offset);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const std::uint64_t slot_bytes =
      input.below(4) == 0 ? kSlotBytes + input.notable() % (2 * kMaxFrameBytes) : kSlotBytes;
  SlotRecord record{};
  write_descriptor(record, full_slot());
  while (!input.is_empty()) change(record, input);
  Descriptor d;
  if (read_descriptor(d, record, 1, slot_bytes) != nullptr) return 0;
  check(d.array_count != 0 && d.array_count <= kMaxArrays && d.pixel_format().size() <= kNameBytes);
  check(d.meta_bytes == 0 || (d.meta_offset <= slot_bytes && d.meta_bytes <= slot_bytes - d.meta_offset));
  for (std::uint32_t i = 0; i < d.array_count; ++i) check_array(d.arrays[i], slot_bytes);
  return 0;
}
