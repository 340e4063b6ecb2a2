/* SPDX-License-Identifier: Apache-2.0
 *
 * A channel: one publisher, two readers, and death at any step of any of them.
 *
 * Every statement (or atomic block) is one access to shared memory, in the order in which the C++ makes them, with
 * local work added where it cannot be told apart. Accesses are sequentially consistent here; store_buffers.pml looks
 * at what happens where they are not. README.md says which function each part stands for, and what is left out.
 *
 * Promises, checked as assertions in every reachable state:
 *   whole      a frame that is held has the bytes with which it was published, at the first look and at the last
 *   fetched    a fetch fails only if the publisher went on meanwhile
 *   found      a publisher that is not asked to wait finds a slot, with slots = sum of budgets + 2
 *   ordered    a reader's frames have growing numbers
 *   counted    an `every` reader gets a frame exactly if it was not counted as dropped for it
 *   complete   with on_full=block an `every` reader gets every frame
 * and, as the absence of invalid end states: whoever waits is waiting for something that comes.
 */
#include "settings.pml"
#include "state.pml"
#include "publisher.pml"
#include "reader.pml"

/* Kills: the kernel drops the lock, nothing else changes. Who was killed starts again (reader, publisher) or not. */
proctype killer() {
end:
  do
  :: d_step { publisher_deaths < PUBLISHER_DEATHS && publisher_locked ->
       publisher_deaths++; publisher_locked = false; killed[PUBLISHER] = true; lost[0] = 0; lost[1] = 0;
       if :: lock[0] == REAPED -> lock[0] = FREE :: else fi;
       if :: lock[1] == REAPED -> lock[1] = FREE :: else fi }
  :: d_step { reader_deaths < READER_DEATHS && lock[0] == OWNED -> reader_deaths++; lock[0] = FREE; killed[0] = true }
  :: d_step { reader_deaths < READER_DEATHS && lock[1] == OWNED -> reader_deaths++; lock[1] = FREE; killed[1] = true }
  od
}

init {
  atomic {
    if
    :: LATE -> skip
    :: else -> lock[0] = OWNED; lock[READERS - 1] = OWNED; readers = BIT(0) | BIT(READERS - 1)
    fi;
#if BEGIN
    d_step {
      generation = 1; named = BIT(1); writing = 1;
      do
      :: SEQ(head) < BEGIN ->
         head = FRAME(SEQ(head) + 1, SEQ(head));
         truth[SEQ(head)] = BYTES(SEQ(head), 0);
         store[1].word[SLOT(head)] = WORD(SEQ(head));
         store[1].bytes[SLOT(head)] = truth[SEQ(head)];
         store[1].directory[SEQ(head) % DIRECTORY] = head
      :: else -> break
      od
    };
#endif
    run publisher();
    run reader(0);
#if READERS == 2
    run reader(1);
#endif
#if PUBLISHER_DEATHS + READER_DEATHS > 0
    run killer()
#endif
  }
}
