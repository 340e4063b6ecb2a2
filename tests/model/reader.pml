/* SPDX-License-Identifier: Apache-2.0
 * A reader: join_as_reader, ReaderSession, Fetcher, SlotReader, Frame::release.
 */
#define STORE store[mapped[me]]
#define IS_THERE(frame) (STORE.word[SLOT(frame)] == WORD(SEQ(frame)))
#define IS_WHOLE(frame) (STORE.bytes[SLOT(frame)] == truth[SEQ(frame)])

/* SlotReader::try_hold: R1, R2; found is the frame if it is ours, else 0. */
inline try_hold(frame) {
#ifdef BREAK_HOLD_BEFORE_WORD
  if
  :: atomic { IS_THERE(frame) -> found = frame };
     hold[me] = frame
  :: else -> found = 0
  fi
#else
  hold[me] = frame;                               /* R1 */
  if
#ifdef BREAK_REREAD
  :: found = frame
#else
  :: atomic { IS_THERE(frame) -> found = frame }  /* R2 */
  :: atomic { !IS_THERE(frame) -> found = 0 };
     hold[me] = 0
#endif
  fi
#endif
}

/* SlotReader::oldest_after, one load for each slot. Marked slots count as long as the publisher may decide on them. */
inline oldest_after() {
#if defined(BREAK_WAIT_FOR_MARK)
  atomic { next = 0; i = 0; patient = false };
#elif defined(BREAK_LIMIT_FOR_MARK)
  atomic { next = 0; i = 0; patient = true };
#else
  atomic { next = 0; i = 0; patient = publisher_locked };
#endif
  do
  :: atomic { i < SLOTS ->
       word = STORE.word[i];
       if
       :: word >> 1 > seen && word >> 1 <= SEQ(newest) && (patient || !MARKED(word)) &&
          (next == 0 || word >> 1 < SEQ(next)) -> next = FRAME(word >> 1, i)
       :: else
       fi;
       word = 0; i++;
       if :: i == SLOTS -> i = 0; patient = false; break :: else fi }
  od
}

/* Fetcher::map_current. */
inline map_current() {
  do
  :: g = generation;
     if
     :: d_step { named & BIT(g) -> word = mapped[me]; mapped[me] = g; g = 0; free_store(word); word = 0 };
        break
     :: else -> assert(generation != g)  /* the publisher has just moved on */
     fi
  od
}

/* Fetcher::hold_oldest. */
inline hold_oldest() {
  atomic {
    if
    :: SEQ(newest) == seen + 1 -> next = newest
    :: else -> next = STORE.directory[(seen + 1) % DIRECTORY]
    fi;
    if :: SEQ(next) != seen + 1 -> next = 0 :: else fi
  };
  do
  :: next != 0 ->
     try_hold(next);
     if
     :: atomic { found != 0 -> next = 0; break }
     :: atomic { found == 0 -> next = 0 }
     fi
  :: atomic { next == 0 && generation != mapped[me] -> break }
  :: next == 0 && generation == mapped[me] ->
     oldest_after();
     if
     :: next == 0 -> break
     :: else
     fi
  od
}

/* What must hold when a reader has got a frame. */
inline check_frame() {
  assert(IS_WHOLE(found));                                           /* whole: the first look */
  assert(SEQ(found) > seen);                                         /* ordered */
  if
  :: WANTS_EVERY(me) ->
#if BLOCK
     assert(SEQ(found) == seen + 1);                                 /* complete */
#endif
     assert(publisher_deaths > 0 || !(lost[me] & BIT(SEQ(found))));  /* counted */
     i = seen + 1;
     do
     :: i < SEQ(found) -> assert(publisher_deaths > 0 || lost[me] & BIT(i)); i++
     :: else -> break
     od;
     i = 0
  :: else
  fi
}

/* Losses that can make no difference any more are forgotten, which saves states. */
inline forget_losses() {
  if
  :: publisher_deaths > 0 -> lost[me] = 0
  :: else -> lost[me] = (lost[me] >> (seen + 1)) << (seen + 1)
  fi
}

/* Fetcher::take, the application, Frame::release. */
inline take() {
#ifdef BREAK_CURSOR_BEFORE_RELEASE
  d_step { check_frame(); got[me] = SEQ(found); seen = SEQ(found); forget_losses(); found = 0; newest = 0; hold[me] = 0 };
  cursor[me] = seen
#else
  d_step { check_frame(); got[me] = SEQ(found); seen = SEQ(found); forget_losses(); newest = 0; cursor[me] = seen };
  d_step { assert(IS_WHOLE(found)); found = 0; hold[me] = 0 }  /* whole: the last look */
#endif
}

/* join_as_reader, ReaderSession and the beginning of Fetcher. */
inline attach() {
  d_step { lock[me] == FREE -> lock[me] = OWNED; got[me] = 0; lost[me] = 0 };
  readers = readers & ~BIT(me);
  hold[me] = 0;
  seen = SEQ(head);
  cursor[me] = seen;
#ifndef BREAK_BIT_BEFORE_HOLD
  readers = readers | BIT(me);
#endif
  atomic {
    seen = SEQ(head);
    if :: !WANTS_EVERY(me) && seen > 0 -> seen-- :: else fi
  };
  cursor[me] = seen
}

/* Fetcher::hold_next, once. */
inline fetch() {
  if
  :: mapped[me] == 0 -> map_current()
  :: else
  fi;
#if EVERY
  if
  :: WANTS_EVERY(me) -> hold_oldest()
  :: else -> try_hold(newest)
  fi;
#else
  try_hold(newest);
#endif
#ifdef BREAK_BIT_BEFORE_HOLD
  readers = readers | BIT(me);
#endif
  if
#ifdef BREAK_GENERATION_RECHECK
  :: found != 0 -> take()
  :: found == 0 && generation != mapped[me] -> newest = 0; map_current()
#else
  :: generation == mapped[me] && found != 0 -> take()
  :: atomic { generation != mapped[me] && found != 0 -> found = 0; newest = 0 };
     hold[me] = 0;
     map_current()
  :: atomic { generation != mapped[me] && found == 0 -> newest = 0 };
     map_current()
#endif
  :: generation == mapped[me] && found == 0 -> d_step { assert(head != newest); newest = 0 }  /* fetched */
  fi
}

proctype reader(byte me) {
  byte seen, newest, found, next, word, g, i;
  bool patient;
birth:
  {
    if
    :: lock[me] == OWNED  /* attached before the publisher came, see init */
    :: else -> attach()
    fi;
    do
    :: atomic { SEQ(head) > seen -> newest = head }; fetch()
    :: atomic { SEQ(head) == seen && over -> break }
    od
  } unless {
    atomic {
      killed[me] ->
      d_step {
        killed[me] = false;
        seen = 0; newest = 0; found = 0; next = 0; g = 0; i = 0; patient = false;
        word = mapped[me]; mapped[me] = 0; free_store(word); word = 0
      };
      goto birth
    }
  }
}
