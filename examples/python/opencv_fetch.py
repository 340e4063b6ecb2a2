# SPDX-License-Identifier: Apache-2.0
"""The subscriber's program: one for cv2.VideoCapture, with one line changed. Without --show it needs no OpenCV.

    python examples/python/opencv_fetch.py [CHANNEL] [--show]

opencv_capture.py sends something to see. --show opens a window, which takes an OpenCV that can (opencv-python).
"""

import sys

import framebus

show = "--show" in sys.argv
name = next((word for word in sys.argv[1:] if word != "--show"), "camera0")

capture = framebus.VideoCapture(name, connect_timeout=30)  # was: cv2.VideoCapture(0)
frames, brightness = 0, 0.0
while True:
    ok, image = capture.read()
    if not ok:
        break
    frames += 1
    brightness = image.mean()
    image[:10] = (0, 0, 255)  # a red line on top: the image is ours to draw into
    if show:
        import cv2

        cv2.imshow(name, image)
        if cv2.waitKey(1) == 27:  # Escape
            break
capture.release()
print(f"received {frames} frames, the last of brightness {brightness:.0f}")
