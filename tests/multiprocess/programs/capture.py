# SPDX-License-Identifier: Apache-2.0
"""OpenCV decodes a clip into loans, as examples/python/opencv_capture.py does, at the test's command."""

from __future__ import annotations

import cv2
import numpy as np

import framebus
from memory import place_of
from talk import options, say, serve

OPTIONS = options()
CLIP = cv2.VideoCapture(OPTIONS["clip"])
PUBLISHER = framebus.Publisher(OPTIONS["name"], on_full="block")
OBSERVER = framebus.Subscriber(OPTIONS["name"], every=True)


def play(frames: int) -> list[dict[str, object]]:
    """Send so many frames; gives for each whether it was decoded in place and whether the frame sent is that memory."""
    facts: list[dict[str, object]] = []
    for _ in range(frames):
        if not CLIP.grab():
            break
        with PUBLISHER.loan((120, 160, 3), "uint8", pixel_format="BGR8") as loan:
            loan.array.fill(0)
            ok, image = CLIP.retrieve(loan.array)
            decoded_into = place_of(loan.array)
            same = image is loan.array
        with OBSERVER.recv(timeout=30) as sent:
            facts.append(
                {
                    "ok": ok,
                    "returned the loan": same,
                    "decoded into": decoded_into,
                    "sent from": place_of(sent.array),
                    "brightness": int(np.median(sent.array)),
                    "still writable": image.flags.writeable,
                }
            )
    return facts


say("ready")
serve(play=play, close=PUBLISHER.close)
PUBLISHER.close()
OBSERVER.close()
