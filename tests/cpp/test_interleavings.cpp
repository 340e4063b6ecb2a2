// SPDX-License-Identifier: Apache-2.0
// Thousands of seeded interleavings of publishing and holding, and proof that the same harness finds planted faults.
#define FRAMEBUS_ATOMIC_HEADER "interleaving.hpp"
#include "check.hpp"
#include "slot_arena.hpp"

using namespace framebus;
using namespace framebus::detail;
using namespace arena;

namespace {

using Word = Atomic<std::uint64_t>;  // the payload can be interrupted at every word, so that torn frames are seen

const auto kWrite = [](Word& word, std::uint64_t value) { word.store(value); };
const auto kRead = [](const Word& word) { return word.load(); };

enum class Fault { none, reader_does_not_look_again, publisher_ignores_holds };

struct Outcome {
  Seen seen;
  long without = 0;
  long switches = 0;
};

Outcome run(std::uint64_t seed, Fault fault) {
  constexpr std::uint64_t kFrames = 12;
  constexpr int kTries = 60;
  const std::uint32_t budget = fault == Fault::publisher_ignores_holds ? 0 : 1;
  Arena<Word> arena(2 + 2, 2, 1);
  for (int r : {0, 1}) arena.control->reader[r].hold_budget.store(budget);
  Seen seen[2];
  Outcome outcome;
  auto reader = [&](std::uint32_t index) {
    ReaderRecord& record = arena.control->reader[index];
    SlotReader slots(record, arena.table);
    std::uint64_t last = 0;
    for (int i = 0; i < kTries; ++i) {
      const std::uint64_t head = arena.control->head.load();
      if (frame_seq(head) <= last) continue;
      if (fault == Fault::reader_does_not_look_again) {
        record.holds[0].store(head);
      } else if (!slots.try_hold(0, head)) {
        continue;
      }
      look(arena, head, last, seen[index], kRead);
      slots.release(0);
    }
  };
  outcome.switches = interleaving::Scheduler::run(
      seed, {[&] { outcome.without = publish(arena, kFrames, {}, kWrite); }, [&] { reader(0); }, [&] { reader(1); }});
  for (const Seen& one : seen) {
    outcome.seen.frames += one.frames;
    outcome.seen.torn += one.torn;
    outcome.seen.out_of_order += one.out_of_order;
  }
  return outcome;
}

void no_interleaving_tears_a_frame_or_starves_the_publisher() {
  long frames = 0;
  long switches = 0;
  for (std::uint64_t seed = 1; seed <= 4000; ++seed) {
    const Outcome outcome = run(seed, Fault::none);
    CHECK(outcome.seen.torn == 0);
    CHECK(outcome.seen.out_of_order == 0);
    CHECK(outcome.without == 0);
    if (outcome.seen.torn != 0) std::fprintf(stderr, "seed %lu\n", static_cast<unsigned long>(seed));
    frames += outcome.seen.frames;
    switches += outcome.switches;
  }
  CHECK(frames > 6000);
  CHECK(switches > 25'000);
  std::printf("%ld frames looked at over %ld switches\n", frames, switches);
}

void a_seed_repeats_its_interleaving() {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const Outcome a = run(seed, Fault::none);
    const Outcome b = run(seed, Fault::none);
    CHECK(a.switches == b.switches && a.seen.frames == b.seen.frames);
  }
}

void planted_faults_are_found() {
  for (const Fault fault : {Fault::reader_does_not_look_again, Fault::publisher_ignores_holds}) {
    long torn = 0;
    for (std::uint64_t seed = 1; seed <= 1000; ++seed) torn += run(seed, fault).seen.torn;
    CHECK(torn > 0);
    std::printf("planted fault: %ld torn frames found\n", torn);
  }
}

}  // namespace

int main() {
  no_interleaving_tears_a_frame_or_starves_the_publisher();
  a_seed_repeats_its_interleaving();
  planted_faults_are_found();
  return check::finish();
}
