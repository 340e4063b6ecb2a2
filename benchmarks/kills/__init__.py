# SPDX-License-Identifier: Apache-2.0
"""The same kills for framebus, for hand-written shared memory and for iceoryx2, side by side.

`python -m benchmarks.kills` prints a table; iceoryx2 is there only if it is installed (pip install iceoryx2). Each
rival is one file, written the way its documentation recommends:

- `by_framebus`      Publisher and Subscriber
- `by_shared_memory` multiprocessing.shared_memory, two buffers, a Condition; where the publisher waits for its reader,
                     two semaphores
- `by_iceoryx2`      publish-subscribe with an event service to wake the reader; nodes that died are cleaned up by the
                     next node, as it is by default

`rival` says what each offers, `programs` are the killed and the surviving programs, `scenarios` are the kills.
"""
