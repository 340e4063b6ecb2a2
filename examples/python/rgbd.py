# SPDX-License-Identifier: Apache-2.0
"""Several arrays that belong together travel in one frame: a colour picture and its depths.

    python examples/python/rgbd.py

Both ends are in one program here, to keep it short; the subscriber could be any other program.
"""

import os

import numpy as np

import framebus

name = f"rgbd-example-{os.getpid()}"
color = np.zeros((480, 640, 3), np.uint8)
depth = np.full((480, 640), 1500, np.uint16)  # millimetres
depth[200:280, 300:340] = 600

with framebus.Publisher(name) as pub, framebus.Subscriber(name, every=True) as sub:
    pub.send({"color": color, "depth": depth}, meta={"depth_unit_m": 0.001}, pixel_format="BGR8")

    with sub.recv(timeout=1.0) as frame:
        depths = frame.arrays["depth"]
        near_m = depths.min() * frame.meta["depth_unit_m"]
        print(frame)
        print(f"{np.count_nonzero(depths < 1000)} pixels are nearer than one metre, the nearest at {near_m:.1f} m")

    # The same without a copy: a loan for both arrays at once.
    with pub.loan({"color": (color.shape, "uint8"), "depth": (depth.shape, "uint16")}) as loan:
        loan.arrays["color"][...] = 128
        loan.arrays["depth"][...] = depth
    print(sub.recv(timeout=1.0))
