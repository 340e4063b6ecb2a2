# SPDX-License-Identifier: Apache-2.0
"""Draws straight into shared memory: no frame is copied, not even once.

    python examples/python/loan.py

Both ends are in one program here, to keep it short; the subscriber could be any other program.
"""

import os

import numpy as np

import framebus

name = f"loan-example-{os.getpid()}"

with framebus.Publisher(name) as pub, framebus.Subscriber(name, every=True) as sub:
    for brightness in (10, 20, 30):
        with pub.loan((1080, 1920, 3), "uint8", pixel_format="BGR8") as frame:
            frame.array.fill(brightness)  # what a camera or a decoder would do
            frame.meta = {"brightness": brightness}

    try:
        with pub.loan((1080, 1920, 3), "uint8") as frame:
            raise RuntimeError("the camera failed")
    except RuntimeError as error:
        print(f"not sent: {error}")

    for _ in range(3):
        with sub.recv(timeout=1.0) as received:
            print(received.seq, received.meta, int(np.max(received.array)))
