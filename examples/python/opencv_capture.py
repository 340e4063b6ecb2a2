# SPDX-License-Identifier: Apache-2.0
"""The publisher's program: OpenCV decodes a video file, or what a camera sees, straight into shared memory.

    python examples/python/opencv_capture.py SOURCE [CHANNEL]

SOURCE is a file or the number of a camera; opencv_fetch.py shows what is sent. retrieve() fills the array that it is
given and returns it if it has the picture's size; framebus then has nothing left to copy.
"""

import sys
import time

import cv2

import framebus

source = int(sys.argv[1]) if sys.argv[1].isdecimal() else sys.argv[1]
name = sys.argv[2] if len(sys.argv) > 2 else "camera0"

capture = cv2.VideoCapture(source)
ok, image = capture.read()
if not ok:
    sys.exit(f"OpenCV gets no picture from {source!r}")
shape = image.shape
period_s = 1 / (capture.get(cv2.CAP_PROP_FPS) or 30) if isinstance(source, str) else 0  # a camera has its own pace

with framebus.Publisher(name) as pub:
    due = time.monotonic()
    pub.send(image, pixel_format="BGR8")
    while capture.grab():
        due += period_s
        time.sleep(max(0, due - time.monotonic()))
        with pub.loan(shape, "uint8", pixel_format="BGR8") as loan:
            ok, image = capture.retrieve(loan.array)
            if image is not loan.array:
                raise RuntimeError("OpenCV has put the picture elsewhere, or there is none: did it change its size?")
    print(f"sent {pub.statistics().frames} frames of {shape[1]}x{shape[0]}")
