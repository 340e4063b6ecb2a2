# SPDX-License-Identifier: Apache-2.0
"""The article's two programs, step by step and with all their faults, without framebus; `role` says which.

CreateFileMapping is shm_open with O_CREAT, an auto-reset event a named semaphore that SetEvent posts where it is 0 and
ResetEvent takes; MapViewOfFile is mmap, once. Program A splits the copy where the test says so.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import select
import struct
import sys

from talk import options, say, serve

OPTIONS = options()
NAME = OPTIONS["name"]
CAPACITY = 2048 * 4096 * 4
WIDTH, HEIGHT = OPTIONS.get("size", [64, 48])
LENGTH = WIDTH * HEIGHT

libc = ctypes.CDLL(None, use_errno=True)
libc.sem_open.restype = ctypes.c_void_p
for function in (libc.sem_post, libc.sem_wait, libc.sem_trywait):
    function.argtypes = (ctypes.c_void_p,)
libc.sem_getvalue.argtypes = (ctypes.c_void_p, ctypes.POINTER(ctypes.c_int))

IS_A = OPTIONS["role"] == "a"
EVENT = libc.sem_open(f"/{NAME}Mutex".encode(), os.O_CREAT if IS_A else 0, ctypes.c_uint(0o600), ctypes.c_uint(0))
FILE = os.open(f"/dev/shm/{NAME}", os.O_RDWR | (os.O_CREAT if IS_A else 0), 0o600)
assert EVENT, "OpenEvent failed"
if IS_A:
    os.truncate(FILE, CAPACITY)
VIEW = mmap.mmap(FILE, CAPACITY)
LARGEST = 0


def set_event() -> None:
    """SetEvent."""
    value = ctypes.c_int()
    libc.sem_getvalue(EVENT, ctypes.byref(value))
    if value.value == 0:
        libc.sem_post(EVENT)


def write(value: int, part: str = "all") -> None:
    """Write header and pixels of an image that is all `value`, or only its first or second half."""
    half = 16 + LENGTH // 2
    if part != "second":
        VIEW[:16] = struct.pack("<4i", LENGTH, WIDTH, HEIGHT, 8)
        VIEW[16:half] = bytes([value]) * (half - 16)
    if part != "first":
        VIEW[half : 16 + LENGTH] = bytes([value]) * (16 + LENGTH - half)


def send_interprocess(value: int) -> None:
    """SendInterprocess: write, then set the event; never look who reads."""
    write(value)
    set_event()


def flood() -> None:
    """Send one image after the other until the test says something else."""
    value = 0
    while not select.select([sys.stdin], [], [], 0)[0]:
        send_interprocess(value := value % 250 + 1)


def get_image() -> dict[str, object]:
    """FetchImage::getImage: wait for the event, copy, reset it; gives the header and the values that were copied."""
    libc.sem_wait(EVENT)
    length = struct.unpack("<i", VIEW[:4])[0]
    copy = VIEW[: length + 16]
    libc.sem_trywait(EVENT)  # ResetEvent
    return {"header": struct.unpack("<4i", copy[:16]), "values": sorted(set(copy[16:]))}


say("ready")
serve(
    set_event=set_event,
    write=write,
    send=send_interprocess,
    flood=flood,
    get_image=get_image,
)
