# SPDX-License-Identifier: Apache-2.0
"""The original article's pair, program A unpaced at 1920x1080 with 24 bit: frames sent, received, torn, missed.

Program A is examples/cpp/base_image_a.cpp or framebus.baseimage.Writer, and never looks who reads. Program B is
examples/cpp/base_image_b.cpp or framebus.baseimage.Reader. Image N begins with the number N, and every other byte is N
modulo 251, so B sees what was torn and counts what it missed. Each B looks at every byte, which takes it longer than
the copy.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

import framebus
from framebus import baseimage

ROOT = Path(__file__).parents[1]
FRAMES = 3000
WIDTH, HEIGHT = 1920, 1080
PATIENCE_S = 5.0

Figures = dict[str, int]


def build(folder: Path) -> dict[str, Path]:
    programs = {}
    for which in ("a", "b"):
        programs[which] = folder / which
        source = ROOT / f"examples/cpp/base_image_{which}.cpp"
        subprocess.run(["c++", "-std=c++20", "-O2", source, "-o", programs[which], "-lpthread", "-lrt"], check=True)
    return programs


def start_a(programs: dict[str, Path], name: str) -> subprocess.Popen[bytes]:
    command = [programs["a"], name, str(FRAMES), str(WIDTH), str(HEIGHT)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def cpp_b(programs: dict[str, Path], name: str, how: str) -> Figures:
    """The article's B; `how` "reset" is with the article's second ResetEvent, "before" without."""
    b = subprocess.Popen([programs["b"], name, str(FRAMES), how], stdout=subprocess.PIPE, text=True)
    a = start_a(programs, name)
    words = b.communicate()[0].replace(",", "").split()
    a.wait()
    return {"received": int(words[1]), "torn": int(words[3]), "missed": int(words[5])}


def send_all(name: str) -> None:
    """Our Writer, as a program A of its own."""
    image = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    with baseimage.Writer(name) as writer:
        for number in range(1, FRAMES + 1):
            image.fill(number % 251)
            image.reshape(-1)[:4].view("<i4")[0] = number
            writer.send(image)


def start_python_a(name: str) -> subprocess.Popen[bytes]:
    program = f"from benchmarks.article import send_all; send_all({name!r})"
    return subprocess.Popen([sys.executable, "-c", program], cwd=ROOT)


def python_b(a: subprocess.Popen[bytes], name: str, retries: int, settle: float = 0.0) -> Figures:
    """Our Reader; `unmarked` are those of the torn that it did not notice."""
    found = {"received": 0, "torn": 0, "missed": 0, "marked": 0, "unmarked": 0}
    number = 0
    with baseimage.Reader(name, retries=retries, settle=settle, connect_timeout=PATIENCE_S) as reader:
        while number < FRAMES:
            try:
                frame = reader.recv(PATIENCE_S)
            except framebus.Timeout:
                break
            flat, before = frame.array.reshape(-1), number
            number = int(flat[:4].view("<i4")[0])
            torn = bool((flat[4:] != number % 251).any())
            marked = "torn_suspected" in frame.meta
            found["received"] += 1
            found["torn"] += torn
            found["marked"] += marked
            found["unmarked"] += torn and not marked
            found["missed"] += max(0, number - before - 1)
        found["given up"] = reader.statistics().retries
    a.wait()
    return found


# The same two programs on a channel belong here, as one more line each.
PAIRS: dict[str, Callable[[dict[str, Path], str], Figures]] = {
    "C++ A, C++ B as in the article": lambda programs, name: cpp_b(programs, name, "reset"),
    "C++ A, C++ B without the second reset": lambda programs, name: cpp_b(programs, name, "before"),
    "C++ A, Python B, retries=0": lambda programs, name: python_b(start_a(programs, name), name, 0),
    "C++ A, Python B, retries=3": lambda programs, name: python_b(start_a(programs, name), name, 3),
    "C++ A, Python B, retries=3, settle=0.01": lambda programs, name: python_b(start_a(programs, name), name, 3, 0.01),
    "Python A, Python B, retries=3": lambda _, name: python_b(start_python_a(name), name, 3),
}


def main() -> None:
    print(f"\nthe article's pair, {FRAMES} frames of {WIDTH}x{HEIGHT}x24 bit, A unpaced")
    with tempfile.TemporaryDirectory() as folder:
        programs = build(Path(folder))
        for label, pair in PAIRS.items():
            name = f"bench-article-{os.getpid()}"
            baseimage.Writer(name, keep=True).close()  # so that B may be there before A
            try:
                found = pair(programs, name)
            finally:
                baseimage.Writer(name).close()  # the last one out removes what the C++ programs leave
            print(f"  {label:40s} sent {FRAMES}, " + ", ".join(f"{what} {count}" for what, count in found.items()))
