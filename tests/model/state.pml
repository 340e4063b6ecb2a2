/* SPDX-License-Identifier: Apache-2.0
 * What is shared: the control block, the stores, the locks; and what only the assertions look at.
 */
#define PUBLISHER 2
#define GENERATIONS (1 + GROWTHS + PUBLISHER_DEATHS)
#define DIRECTORY 4

/* Frame word: sequence and slot. Slot word: sequence and mark; TAKEN alone: the old frame is gone for good. */
#define FRAME(seq, slot) ((seq) << 2 | (slot))
#define SEQ(frame) ((frame) >> 2)
#define SLOT(frame) ((frame) & 3)
#define WORD(seq) ((seq) << 1)
#define MARKED(word) ((word) & 1)
#define TAKEN 1

/* The bytes of a frame: its number and who wrote it, so that a frame of a dead publisher that was never published is
 * not the one that its successor publishes under the same number. HALF: being written. */
#define BYTES(seq, who) ((seq) << 2 | (who))
#define HALF 255

#define BIT(n) (1 << (n))
#define WANTS_EVERY(reader) (EVERY & BIT(reader))

typedef Store {
  byte word[SLOTS];
  byte bytes[SLOTS];
  byte directory[DIRECTORY]
};

byte head;                     /* frame word of the newest frame, 0: none */
byte generation;               /* the current store, 0: none */
byte readers;                  /* a bit for each reader record in use */
byte cursor[2];
byte hold[2];                  /* frame words; one for each reader */
Store store[GENERATIONS + 1];  /* by generation; [0] is never used */
byte named;                    /* stores that can be opened, one bit each */

bool publisher_locked;
#define FREE 0
#define OWNED 1
#define REAPED 2               /* locked by a publisher that wipes a dead reader's line */
byte lock[2];

/* Not shared memory: what the processes know, kept here because others free an unused store by it, or die by it. */
byte mapped[2];                /* each reader's store, 0: none */
byte writing;                  /* the publisher's store, 0: none */
bool killed[3];
byte publisher_deaths;
byte reader_deaths;
bool over;                     /* no publisher will do anything any more */

/* For the assertions. */
byte truth[FRAMES + 1];        /* the bytes with which a frame was published */
byte got[2];                   /* the last frame that a reader has got */
short lost[2];                 /* the frames counted as dropped for a reader, one bit each */

/* The kernel takes back a store without a name that nobody maps. */
inline free_store(g) {
  if
  :: g != 0 && !(named & BIT(g)) && mapped[0] != g && mapped[1] != g && writing != g ->
     i = 0;
     do
     :: i < SLOTS -> store[g].word[i] = 0; store[g].bytes[i] = 0; i++
     :: else -> break
     od;
     i = 0;
     do
     :: i < DIRECTORY -> store[g].directory[i] = 0; i++
     :: else -> break
     od;
     i = 0
  :: else
  fi
}
