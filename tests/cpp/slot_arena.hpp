// SPDX-License-Identifier: Apache-2.0
// A control block, slots and payload in ordinary memory, and the loops of a publisher and a reader on them. Both sides
// use the same addresses, as ThreadSanitizer needs to find a race.
#pragma once

#include <framebus/segment/slots.hpp>
#include <memory>
#include <vector>

namespace arena {

using namespace framebus;
using namespace framebus::detail;

constexpr std::size_t kWords = 6;  // of payload in each slot

template <class Word>
struct Arena {
  Arena(std::uint32_t slots, std::uint32_t readers, std::uint32_t holds)
      : control(std::make_unique<ControlBlock>()),
        records(slots),
        directory(std::bit_ceil(std::max<std::uint32_t>(slots, 8))),
        payload(slots * kWords),
        table{records.data(), directory.data(), slots, directory.size() - 1} {
    for (std::uint32_t r = 0; r < readers; ++r) {
      control->reader[r].hold_budget.store(holds);
      control->readers.fetch_or(std::uint64_t{1} << r);
    }
  }

  std::unique_ptr<ControlBlock> control;
  std::vector<SlotRecord> records;
  std::vector<Atomic<std::uint64_t>> directory;
  std::vector<Word> payload;
  SlotTable table;
};

struct Seen {
  long frames = 0;
  long torn = 0;
  long out_of_order = 0;
};

// Publishes the sequences 1 to `count`; returns the number of claims without a slot.
template <class Word, class Write>
long publish(Arena<Word>& arena, std::uint64_t count, ClaimRules rules, Write&& write) {
  SlotWriter writer(*arena.control, arena.table);
  long without = 0;
  for (std::uint64_t seq = 1; seq <= count;) {
    const Claimed claimed = writer.claim(rules);
    if (claimed.shortage != Shortage::none) {
      ++without;
      std::this_thread::yield();
      continue;
    }
    for (std::size_t w = 0; w < kWords; ++w) write(arena.payload[claimed.slot * kWords + w], seq);
    writer.publish(claimed.slot, seq);
    ++seq;
  }
  return without;
}

// Checks a held frame: all its words must be its sequence.
template <class Word, class Read>
void look(Arena<Word>& arena, std::uint64_t word, std::uint64_t& last, Seen& seen, Read&& read) {
  const std::uint64_t seq = frame_seq(word);
  ++seen.frames;
  if (seq <= last) ++seen.out_of_order;
  last = seq;
  bool whole = true;
  for (std::size_t w = 0; w < kWords; ++w) whole = read(arena.payload[frame_slot(word) * kWords + w]) == seq && whole;
  if (!whole) ++seen.torn;
}

}  // namespace arena
