# SPDX-License-Identifier: Apache-2.0
"""The original article's pair, program A unpaced at 1920x1080 with 24 bit: frames sent, received, torn, missed.

Program A is article_a.cpp of tests/multiprocess/programs or framebus.baseimage.Writer, and never looks who reads.
Program B is article_b.cpp or framebus.baseimage.Reader. Image N begins with the number N, and every other byte is N
modulo 251, so B sees what was torn and counts what it missed. Each B looks at every byte, which takes it longer than
the copy. The last pairs do the same on a channel.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from tests.support.started import Started

import framebus
from framebus import baseimage

ROOT = Path(__file__).parents[1]
TESTS = ROOT / "tests/multiprocess"
FRAMES = 3000
WIDTH, HEIGHT = 1920, 1080
PATIENCE_S = 5.0

Figures = dict[str, int]


def build(folder: Path) -> dict[str, Path]:
    from tests.support.compiler import compile_cpp
    from tests.support.paths import PROGRAMS

    names = {"a": "article_a", "b": "article_b", "channel a": "article_a_channel", "channel b": "article_b_channel"}
    return {which: compile_cpp(PROGRAMS / f"{name}.cpp", folder / name) for which, name in names.items()}


def start_a(programs: dict[str, Path], name: str) -> subprocess.Popen[bytes]:
    command = [programs["a"], name, str(FRAMES), str(WIDTH), str(HEIGHT)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def cpp_b(programs: dict[str, Path], name: str, how: str) -> Figures:
    """The article's B; `how` "reset" is with the article's second ResetEvent, "before" without."""
    b = subprocess.Popen([programs["b"], name, str(FRAMES), how], stdout=subprocess.PIPE, text=True)
    a = start_a(programs, name)
    found = figures_in(b.communicate()[0])
    a.wait()
    return found


def figures_in(line: str) -> Figures:
    """What a C++ B prints when it ends."""
    words = line.replace(",", "").split()
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


@contextmanager
def channel_a(programs: dict[str, Path], name: str, on_full: str = "drop") -> Iterator[Started]:
    """A that has made its channel; sends when a line is written to it."""
    with Started(programs["channel a"], name, FRAMES, WIDTH, HEIGHT, on_full, stderr=None) as a:
        if a.line() != "ready":
            raise RuntimeError("program A did not start")
        yield a
        a.finish()


def cpp_b_of_channel(programs: dict[str, Path], name: str) -> Figures:
    with channel_a(programs, name) as a:
        b = Started(programs["channel b"], name, stderr=None)
        if b.line() != "attached":
            raise RuntimeError("program B did not start")
        a.tell()
        return figures_in(b.finish()[1])


def python_b_of_channel(programs: dict[str, Path], name: str, every: bool) -> Figures:
    found = {"received": 0, "torn": 0, "missed": 0}
    number = 0
    with (
        channel_a(programs, name, "block" if every else "drop") as a,
        framebus.Subscriber(name, every=every) as subscriber,
    ):
        a.tell()
        for frame in subscriber:
            flat, before = frame.array.reshape(-1), number
            number = int(flat[:4].view("<i4")[0])
            found["received"] += 1
            found["torn"] += bool((flat[4:] != number % 251).any())
            found["missed"] += max(0, number - before - 1)
            frame.release()
    return found


PAIRS: dict[str, Callable[[dict[str, Path], str], Figures]] = {
    "C++ A, C++ B as in the article": lambda programs, name: cpp_b(programs, name, "reset"),
    "C++ A, C++ B without the second reset": lambda programs, name: cpp_b(programs, name, "before"),
    "C++ A, Python B, retries=0": lambda programs, name: python_b(start_a(programs, name), name, 0),
    "C++ A, Python B, retries=3": lambda programs, name: python_b(start_a(programs, name), name, 3),
    "C++ A, Python B, retries=3, settle=0.01": lambda programs, name: python_b(start_a(programs, name), name, 3, 0.01),
    "Python A, Python B, retries=3": lambda _, name: python_b(start_python_a(name), name, 3),
    "channel: C++ A, C++ B": cpp_b_of_channel,
    "channel: C++ A, Python B": lambda programs, name: python_b_of_channel(programs, name, every=False),
    "channel: C++ A block, Python B every": lambda programs, name: python_b_of_channel(programs, name, every=True),
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
