/* SPDX-License-Identifier: Apache-2.0
 *
 * Publishing and holding on processors with store buffers (total store order, as x86 has it): a store reaches memory
 * some time later, in the order of its processor's stores, unless the processor waits for that (a fence, which is what
 * a sequentially consistent store adds to a release store).
 *
 * One publisher, one reader of the newest frame, three slots, one generation. Nobody loads what it has stored itself,
 * so loads need not look into the own buffer. Promises, as in channel.pml: whole, fetched, found.
 */
#ifndef FRAMES
#define FRAMES 5
#endif
#define SLOTS 3
#define PENDING 6  /* stores that a processor may have under way */

#define FRAME(seq, slot) ((seq) << 2 | (slot))
#define SEQ(frame) ((frame) >> 2)
#define SLOT(frame) ((frame) & 3)
#define WORD(seq) ((seq) << 1)
#define TAKEN 1
#define HALF 255
#define NONE 3

/* Memory: where each word is. */
#define HEAD 0
#define HOLD 1
#define WORD_OF(slot) (2 + (slot))
#define BYTES_OF(slot) (2 + SLOTS + (slot))
byte memory[2 + 2 * SLOTS];

chan from_publisher = [PENDING] of { byte, byte };
chan from_reader = [PENDING] of { byte, byte };
bool over;

#define I (s % SLOTS)
#define FENCE(buffer) empty(buffer)

proctype publisher() {
  byte head, slot, s;
  byte old[SLOTS];
  do
  :: SEQ(head) < FRAMES ->
     /* SlotWriter::claim and try_take, twice as claim looks twice */
     s = 0; slot = NONE;
     do
     :: slot == NONE && s < 2 * SLOTS ->
        if
        :: FRAME(old[I], I) == head || (old[I] != 0 && memory[HOLD] == FRAME(old[I], I))
        :: else ->
           from_publisher!WORD_OF(I), WORD(old[I]) | 1;  /* P1 */
#ifndef NO_PUBLISHER_FENCE
           FENCE(from_publisher);
#endif
           if
           :: old[I] != 0 && memory[HOLD] == FRAME(old[I], I) -> from_publisher!WORD_OF(I), WORD(old[I])  /* P2 */
           :: else -> from_publisher!WORD_OF(I), TAKEN; slot = I
           fi
        fi;
        s++
     :: else -> break
     od;
     assert(slot != NONE);  /* found */
     /* The frame, and SlotWriter::publish */
     from_publisher!BYTES_OF(slot), HALF;
     from_publisher!BYTES_OF(slot), SEQ(head) + 1;
     old[slot] = SEQ(head) + 1;
     from_publisher!WORD_OF(slot), WORD(SEQ(head) + 1);
     head = FRAME(SEQ(head) + 1, slot);
     from_publisher!HEAD, head;
     FENCE(from_publisher)
  :: else -> break
  od;
  over = true
}

proctype reader() {
  byte seen, newest;
  do
  :: atomic { SEQ(memory[HEAD]) > seen -> newest = memory[HEAD] };
     /* SlotReader::try_hold */
     from_reader!HOLD, newest;  /* R1 */
#ifndef NO_READER_FENCE
     FENCE(from_reader);
#endif
     if
     :: memory[WORD_OF(SLOT(newest))] == WORD(SEQ(newest)) ->   /* R2 */
        assert(memory[BYTES_OF(SLOT(newest))] == SEQ(newest));  /* whole: the first look */
        assert(memory[BYTES_OF(SLOT(newest))] == SEQ(newest));  /* whole: the last look */
        seen = SEQ(newest);
        from_reader!HOLD, 0;
        FENCE(from_reader)
     :: else ->
        from_reader!HOLD, 0;
        assert(memory[HEAD] != newest)                          /* fetched */
     fi;
     newest = 0
  :: atomic { SEQ(memory[HEAD]) == seen && over -> break }
  od
}

/* Stores reach memory, each processor's own in their order. */
proctype drain() {
  byte where, what;
end:
  do
  :: d_step { from_publisher?where, what -> memory[where] = what; where = 0; what = 0 }
  :: d_step { from_reader?where, what -> memory[where] = what; where = 0; what = 0 }
  od
}

init {
  atomic { run publisher(); run reader(); run drain() }
}
