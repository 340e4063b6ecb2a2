# SPDX-License-Identifier: Apache-2.0
"""Where the mount of /dev/shm gives huge pages, a channel has them without being asked, and counts its memory right."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.support.places import Place, needs_root

SWITCH = Path("/sys/kernel/mm/transparent_hugepage/shmem_enabled")
SIDE = 4096

PROGRAM = """
import json, pathlib, sys, numpy, framebus
image = numpy.zeros((int(sys.argv[1]),) * 2, numpy.uint8)
with framebus.Publisher("camera0") as pub, framebus.Subscriber("camera0") as sub:
    for number in range(6):
        image.fill(number)
        pub.send(image)
        frame = sub.recv(30)
        assert (frame.array == number).all()
    mappings = pathlib.Path("/proc/self/smaps").read_text().split("VmFlags:")
    def bytes_of(mapping, what):
        return int(mapping.split("\\n" + what + ":")[1].split()[0]) * 1024
    stores = [m for m in mappings if "/dev/shm/" in m and bytes_of(m, "Size") > image.nbytes]
    huge = [bytes_of(m, "ShmemPmdMapped") for m in stores]
    print(json.dumps({"memory": pub.statistics().memory_bytes, "huge": huge}))
"""


@needs_root
@pytest.mark.skipif(
    not SWITCH.exists() or "[deny]" in SWITCH.read_text(encoding="utf-8"),
    reason="this kernel gives no huge pages to shared memory; run: echo never | sudo tee " + str(SWITCH),
)
def test_a_channel_has_huge_pages_where_the_mount_gives_them() -> None:
    place = Place("mount -t tmpfs -o size=256m,mode=1777,huge=within_size tmpfs /dev/shm")
    done = place.python(PROGRAM, str(SIDE))
    place.close()
    assert done.stderr == ""
    found = json.loads(done.stdout)
    assert len(found["huge"]) == 2, "the publisher's mapping and the subscriber's"
    assert all(huge >= SIDE * SIDE for huge in found["huge"]), found
    # The newest frame, the one that is looked at, the one that is written; and what is left of the last huge page.
    assert 2 * SIDE * SIDE <= found["memory"] < 4 * SIDE * SIDE
