// SPDX-License-Identifier: Apache-2.0
// Publishing and holding with real threads on plain memory. Under ThreadSanitizer this is the test that the memory
// orders in slots.hpp suffice: the payload is not atomic.
#include <thread>

#include "check.hpp"
#include "slot_arena.hpp"

using namespace framebus;
using namespace framebus::detail;
using namespace arena;

namespace {

constexpr std::uint64_t kFrames = 200'000;

const auto kWrite = [](std::uint64_t& word, std::uint64_t value) { word = value; };
const auto kRead = [](const std::uint64_t& word) { return word; };

// Fetches the newest frame repeatedly and holds `holds` frames at a time.
Seen read_latest(Arena<std::uint64_t>& arena, std::uint32_t index, std::uint32_t holds, std::uint64_t until) {
  SlotReader reader(arena.control->reader[index], arena.table);
  Seen seen;
  std::vector<std::uint64_t> held(holds, 0);
  std::uint64_t last = 0;
  for (std::uint32_t h = 0; last < until; h = (h + 1) % holds) {
    if (held[h] != 0) {
      std::uint64_t again = frame_seq(held[h]) - 1;  // held frames must be unchanged
      look(arena, held[h], again, seen, kRead);
      reader.release(h);
      held[h] = 0;
    }
    const std::uint64_t head = arena.control->head.load();
    if (frame_seq(head) <= last) {
      std::this_thread::yield();
    } else if (reader.try_hold(h, head)) {
      look(arena, head, last, seen, kRead);
      held[h] = head;
    }
  }
  for (std::uint32_t h = 0; h < holds; ++h) reader.release(h);
  return seen;
}

// Fetches every frame in order by the directory, publishing its cursor.
Seen read_every(Arena<std::uint64_t>& arena, std::uint32_t index, std::uint64_t until) {
  ReaderRecord& record = arena.control->reader[index];
  SlotReader reader(record, arena.table);
  Seen seen;
  std::uint64_t last = 0;
  while (last < until) {
    if (frame_seq(arena.control->head.load()) == last) {
      std::this_thread::yield();
      continue;
    }
    const std::uint64_t word = reader.find(last + 1);
    if (word == 0 || !reader.try_hold(0, word)) {
      ++seen.out_of_order;
      break;
    }
    record.cursor.store(last + 1);
    look(arena, word, last, seen, kRead);
    reader.release(0);
  }
  return seen;
}

void two_latest_readers_see_whole_frames_and_starve_nobody() {
  Arena<std::uint64_t> arena(2 * 2 + 2, 2, 2);
  Seen a;
  Seen b;
  std::thread reader_a([&] { a = read_latest(arena, 0, 2, kFrames); });
  std::thread reader_b([&] { b = read_latest(arena, 1, 2, kFrames); });
  const long without = publish(arena, kFrames, {}, kWrite);
  reader_a.join();
  reader_b.join();
  for (const Seen& seen : {a, b}) {
    CHECK(seen.frames > 0);
    CHECK(seen.torn == 0);
    CHECK(seen.out_of_order == 0);
  }
  CHECK(without == 0);
}

void an_every_reader_sees_every_frame() {
  Arena<std::uint64_t> arena(8, 2, 1);
  arena.control->reader[0].flags.store(kReaderEvery);
  Seen every;
  Seen latest;
  std::thread reader_a([&] { every = read_every(arena, 0, kFrames / 4); });
  std::thread reader_b([&] { latest = read_latest(arena, 1, 1, kFrames / 4); });
  publish(arena, kFrames / 4, {}, kWrite);
  reader_a.join();
  reader_b.join();
  CHECK(every.frames == static_cast<long>(kFrames / 4));
  CHECK(every.torn == 0 && every.out_of_order == 0);
  CHECK(latest.torn == 0 && latest.out_of_order == 0);
}

void the_lowest_free_slot_is_taken_first() {
  Arena<std::uint64_t> arena(8, 1, 2);
  SlotWriter writer(*arena.control, arena.table);
  for (std::uint64_t seq = 1; seq <= 100; ++seq) {
    const Claimed claimed = writer.claim({});
    CHECK(claimed.shortage == Shortage::none && claimed.slot < 2);
    writer.publish(claimed.slot, seq);
  }
}

void retained_frames_are_given_up_only_when_nothing_else_is_left() {
  Arena<std::uint64_t> arena(4, 1, 2);
  SlotWriter writer(*arena.control, arena.table);
  for (std::uint64_t seq = 1; seq <= 10; ++seq) writer.publish(writer.claim({.retain = 4}).slot, seq);
  std::uint64_t sum = 0;
  for (std::uint32_t s = 0; s < 4; ++s) sum += slot_seq(arena.records[s].word.load());
  CHECK(sum == 7 + 8 + 9 + 10);
}

void a_needed_frame_is_reused_only_when_dropping_is_allowed_and_then_counted() {
  Arena<std::uint64_t> arena(4, 2, 1);
  for (int r : {0, 1}) arena.control->reader[r].flags.store(kReaderEvery);
  SlotWriter writer(*arena.control, arena.table);
  for (std::uint64_t seq = 1; seq <= 4; ++seq) writer.publish(writer.claim({}).slot, seq);
  CHECK(writer.claim({}).shortage == Shortage::needed);
  arena.control->reader[1].cursor.store(1);  // one of the two has received frame 1
  const Claimed claimed = writer.claim({.retain = 0, .may_drop = true});
  CHECK(claimed.shortage == Shortage::none && claimed.dropped == 1);
}

void held_slots_are_never_claimed() {
  Arena<std::uint64_t> arena(3, 1, 2);
  SlotWriter writer(*arena.control, arena.table);
  SlotReader reader(arena.control->reader[0], arena.table);
  writer.publish(writer.claim({}).slot, 1);
  const std::uint64_t first = arena.control->head.load();
  CHECK(reader.try_hold(0, first));
  for (std::uint64_t seq = 2; seq <= 50; ++seq) {
    const Claimed claimed = writer.claim({});
    CHECK(claimed.shortage == Shortage::none && claimed.slot != frame_slot(first));
    writer.publish(claimed.slot, seq);
  }
  CHECK(reader.try_hold(1, arena.control->head.load()));
  writer.publish(writer.claim({}).slot, 51);
  CHECK(writer.claim({}).shortage == Shortage::held);
  reader.release(0);
  CHECK(writer.claim({}).slot == frame_slot(first));
  CHECK(!reader.try_hold(0, first));  // too late: the slot is being written
}

}  // namespace

int main() {
  two_latest_readers_see_whole_frames_and_starve_nobody();
  an_every_reader_sees_every_frame();
  the_lowest_free_slot_is_taken_first();
  retained_frames_are_given_up_only_when_nothing_else_is_left();
  a_needed_frame_is_reused_only_when_dropping_is_allowed_and_then_counted();
  held_slots_are_never_claimed();
  return check::finish();
}
