/* SPDX-License-Identifier: Apache-2.0
 * The publisher: SlotAllocator::claim and PublisherCore::publish, SlotWriter, make_generation, reap_readers.
 */
#define NONE 15                               /* no slot; also: later than every frame */
#define THE_WORD store[writing].word[slot]
#define THE_BYTES store[writing].bytes[slot]
#define OLD(s) (store[writing].word[s] >> 1)  /* SlotWriter::sequences_; only the publisher writes slot words */
#define MAY_TAKE(s) (FRAME(OLD(s), s) != head)
#define NEXT (SEQ(head) + 1)
#define HOLDS(reader, frame) ((readers & BIT(reader)) && hold[reader] == (frame))

/* SlotWriter::needed_after. */
inline needed_after() {
#if EVERY
  atomic { bits = readers; needed = NONE };
#if EVERY & 1
  atomic { if :: bits & BIT(0) && cursor[0] < needed -> needed = cursor[0] :: else fi; bits = bits & BIT(1) };
#endif
#if EVERY & 2
  atomic { if :: bits & BIT(1) && cursor[1] < needed -> needed = cursor[1] :: else fi; bits = 0 };
#endif
#else
  needed = NONE;
#endif
  slot = NONE
}

/* SlotWriter::take_oldest: the oldest slot with a frame in (above, up_to]. Private work only. */
inline oldest(up_to) {
  i = 0;
  do
  :: i < SLOTS ->
     if
     :: MAY_TAKE(i) && OLD(i) > above && OLD(i) <= up_to && (slot == NONE || OLD(i) < OLD(slot)) -> slot = i
     :: else
     fi;
     i++
  :: else -> break
  od;
  i = 0
}

/* The next slot in the order of SlotWriter::claim; NONE after the last. Private work only. */
inline next_candidate() {
  d_step {
    if :: slot != NONE && phase > 0 -> above = OLD(slot) :: else fi;
    slot = NONE;
    if
    :: phase == 0 ->
       do
       :: lowest < SLOTS && slot == NONE ->
          if
          :: MAY_TAKE(lowest) && OLD(lowest) <= needed && (OLD(lowest) == 0 || OLD(lowest) + RETAIN <= SEQ(head)) ->
             slot = lowest
          :: else
          fi;
          lowest++
       :: else -> break
       od;
       if :: slot == NONE -> phase = 1; lowest = 0; above = 0 :: else fi
    :: else
    fi;
    if
    :: phase == 1 ->
       oldest(needed);
       if :: slot == NONE -> phase = 2; above = needed :: else fi
    :: else
    fi;
    if :: phase == 2 && may_drop -> oldest(NONE) :: else fi
  }
}

/* SlotWriter::is_held (P2). */
inline is_held() {
  bits = readers;
  atomic { answer = (bits & BIT(0)) && hold[0] == FRAME(OLD(slot), slot); bits = bits & BIT(1) };
  atomic { if :: bits && !answer -> answer = hold[1] == FRAME(OLD(slot), slot) :: else fi; bits = 0 }
}

/* SlotWriter::losers, as far as `reader` goes. A count after a publisher has died is not looked at. */
inline count_loss(reader, seq) {
  d_step {
    if
    :: bits & BIT(reader) && cursor[reader] < seq && publisher_deaths == 0 ->
       assert(got[reader] < seq);  /* counted */
       lost[reader] = lost[reader] | BIT(seq)
    :: else
    fi
  }
}
inline count_losers() {
  bits = readers;
#if EVERY & 1
  count_loss(0, OLD(slot));
#endif
#if EVERY & 2
  count_loss(1, OLD(slot));
#endif
  bits = 0
}

/* SlotWriter::try_take: goes on to the next candidate where somebody holds the frame. */
inline try_take() {
#ifdef BREAK_HOLDS_BEFORE_CURSOR
  count_losers();
#endif
#ifdef BREAK_MARK_BEFORE_HOLDS
  if :: OLD(slot) != 0 -> is_held() :: else fi;
  THE_WORD = THE_WORD | 1;
#else
  THE_WORD = THE_WORD | 1;  /* P1 */
  if :: OLD(slot) != 0 -> is_held() :: else fi;
#endif
  if
  :: d_step { answer -> THE_WORD = THE_WORD & 254; answer = false };
     goto next
#if EVERY && !defined(BREAK_HOLDS_BEFORE_CURSOR)
  :: !answer && OLD(slot) > needed ->
#ifdef BREAK_COUNT_BEFORE_TAKEN
     d_step { above = OLD(slot); THE_WORD = TAKEN };
     bits = readers;
     count_loss(1, above);
     d_step { bits = 0; above = 0; THE_BYTES = HALF }
#else
     count_losers();
     d_step { THE_WORD = TAKEN; THE_BYTES = HALF }
#endif
  :: d_step { !answer && OLD(slot) <= needed -> THE_WORD = TAKEN; THE_BYTES = HALF }
#else
  :: d_step { !answer -> THE_WORD = TAKEN; THE_BYTES = HALF }
#endif
  fi
}

/* SlotWriter::claim: `slot` is the publisher's; or NONE, and short_of_needed says why. */
inline claim() {
  needed_after();
next:
  atomic {
    next_candidate();
    if
    :: slot == NONE -> goto done
    :: slot != NONE && OLD(slot) != 0 && (HOLDS(0, FRAME(OLD(slot), slot)) || HOLDS(1, FRAME(OLD(slot), slot))) ->
       goto next  /* the look that spares the mark; try_take decides */
    :: else
    fi
  };
  try_take();
done:
  atomic {
    phase = 0; lowest = 0; above = 0; i = 0;
    do
    :: slot == NONE && i < SLOTS ->
       if :: MAY_TAKE(i) && OLD(i) > needed -> short_of_needed = true :: else fi;
       i++
    :: else -> break
    od;
    i = 0
  }
}

/* reap_readers, for one record; answer becomes true if it was wiped. */
inline reap(reader) {
  if
  :: atomic { (readers & BIT(reader)) && lock[reader] == FREE -> lock[reader] = REAPED }
#ifdef BREAK_REAP_LOCK
  :: readers & BIT(reader)
#endif
     readers = readers & ~BIT(reader);
     hold[reader] = 0;
     atomic { answer = true; if :: lock[reader] == REAPED -> lock[reader] = FREE :: else fi }
  :: else
  fi
}

/* growth.hpp, copy_frames: the frames that head covers, into a store that nobody else knows yet. */
inline copy_frames(from, to) {
  i = 0;
  do
  :: i < DIRECTORY -> store[to].directory[i] = 0; i++
  :: else -> break
  od;
  i = 0;
  do
  :: i < SLOTS ->
     store[to].word[i] = 0; store[to].bytes[i] = 0;
     above = store[from].word[i] >> 1;
     if
#ifdef BREAK_HEAD_COVERS
     :: from != 0 && above != 0 && !MARKED(store[from].word[i]) ->
#else
     :: from != 0 && above != 0 && !MARKED(store[from].word[i]) && above <= SEQ(head) ->
#endif
        store[to].word[i] = store[from].word[i];
        store[to].bytes[i] = store[from].bytes[i];
        if
        :: SEQ(store[to].directory[above % DIRECTORY]) < above -> store[to].directory[above % DIRECTORY] = FRAME(above, i)
        :: else
        fi
     :: else
     fi;
     i++
  :: else -> break
  od;
  i = 0; above = 0
}

/* growth.hpp, make_generation. */
inline make_generation() {
#ifdef BREAK_COPY_BEFORE_SWITCH
  d_step { named = named | BIT(generation + 1); generation = generation + 1 };
  d_step { copy_frames(generation - 1, generation) };
#else
  d_step { copy_frames(generation, generation + 1); named = named | BIT(generation + 1) };
  generation = generation + 1;
#endif
  d_step {
    writing = generation;
    named = BIT(generation);
    free_store(generation - 1);
    assert(head == 0 || store[writing].word[SLOT(head)] == WORD(SEQ(head)))  /* the newest frame is still there */
  }
}

/* SlotAllocator::claim, and the wait of PublisherCore::claim. */
inline claim_or_grow() {
  if
  :: writing == 0 -> make_generation()
  :: writing != 0
#if GROWTHS
  :: writing != 0 && grown < GROWTHS -> grown++; make_generation()
#endif
  fi;
  do
  :: claim();
     if
     :: atomic { slot != NONE -> may_drop = false; tries = 0; needed = 0; break }
     :: slot == NONE ->
        reap(0); reap(1);
        if
        :: atomic { answer -> answer = false; may_drop = false; short_of_needed = false }
#if BLOCK
        :: !answer && short_of_needed ->
           /* Sleeps until an `every` reader has moved or has died. */
           atomic {
             ((EVERY & 1 && (cursor[0] > needed || lock[0] != OWNED)) ||
              (EVERY & 2 && (cursor[1] > needed || lock[1] != OWNED))) -> short_of_needed = false
           }
#else
        :: atomic { !answer && short_of_needed && !may_drop -> may_drop = true; short_of_needed = false }
#endif
        :: else -> atomic { assert(tries < TRIES); tries++; may_drop = false; short_of_needed = false }  /* found */
        fi
     fi
  od
}

/* PublisherCore::publish, SlotWriter::publish. Bytes and word are one step: nobody looks at bytes under another word. */
inline publish() {
#if defined(BREAK_WORD_BEFORE_HEAD)
  d_step { truth[NEXT] = BYTES(NEXT, publisher_deaths); head = FRAME(NEXT, slot) };
  d_step { THE_BYTES = truth[SEQ(head)]; THE_WORD = WORD(SEQ(head)) };
#elif defined(BREAK_BYTES_BEFORE_HEAD)
  THE_WORD = WORD(NEXT);
  d_step { truth[NEXT] = BYTES(NEXT, publisher_deaths); head = FRAME(NEXT, slot) };
  THE_BYTES = truth[SEQ(head)];
#else
  d_step { THE_BYTES = BYTES(NEXT, publisher_deaths); THE_WORD = WORD(NEXT) };
  store[writing].directory[NEXT % DIRECTORY] = FRAME(NEXT, slot);
  d_step { truth[NEXT] = BYTES(NEXT, publisher_deaths); head = FRAME(NEXT, slot) };
#endif
  slot = NONE
}

proctype publisher() {
  byte slot = NONE, needed, above, lowest, phase, bits, i, grown, tries;
  bool answer, may_drop, short_of_needed;
birth:
  {
    publisher_locked = true;
    do
    :: SEQ(head) < FRAMES -> claim_or_grow(); publish()
    :: else -> break
    od;
    over = true
  } unless {
    atomic {
      killed[PUBLISHER] ->
      d_step {
        killed[PUBLISHER] = false;
        slot = NONE; needed = 0; above = 0; lowest = 0; phase = 0; bits = 0; i = 0; tries = 0;
        answer = false; may_drop = false; short_of_needed = false;
        writing = 0
      };
      if
      :: goto birth
      :: over = true  /* no other comes */
      fi
    }
  }
}
