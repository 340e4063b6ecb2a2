/* SPDX-License-Identifier: Apache-2.0
 * The bounds of one run; each can be set with -D.
 */
#ifndef FRAMES
#define FRAMES 5            /* to be published; at most 15 */
#endif
#ifndef BEGIN
#define BEGIN 0             /* frames that were published before anybody looked; at most SLOTS */
#endif
#ifndef SLOTS
#define SLOTS 4             /* at most 4; the sum of budgets + 2 is READERS + 2 */
#endif
#ifndef READERS
#define READERS 2           /* 1 or 2, each with a budget of one frame */
#endif
#ifndef EVERY
#define EVERY 0             /* readers that want every frame, one bit each */
#endif
#ifndef BLOCK
#define BLOCK 0             /* 0: on_full=drop, 1: on_full=block */
#endif
#ifndef RETAIN
#define RETAIN 0            /* newest frames to keep for history where there is anything else */
#endif
#ifndef LATE
#define LATE 0              /* 1: readers may come later than the publisher; 0: they are there first */
#endif
#ifndef TRIES
#define TRIES 1             /* claims in vain that a publisher repeats because readers have moved meanwhile */
#endif
#ifndef GROWTHS
#define GROWTHS 0           /* how often the publisher may move to a larger store, whenever it likes */
#endif
#ifndef PUBLISHER_DEATHS
#define PUBLISHER_DEATHS 0  /* at most 3 */
#endif
#ifndef READER_DEATHS
#define READER_DEATHS 0
#endif
