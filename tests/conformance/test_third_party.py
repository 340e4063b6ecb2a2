# SPDX-License-Identifier: Apache-2.0
"""An endpoint of somebody else, installed as a distribution of its own, is found by its entry point and passes."""

from __future__ import annotations

import inspect
import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

import framebus
from framebus.testing import Refused, conformance, process
from framebus.testing.conformance import pair

ENTRY_POINTS = """
[framebus.endpoints]
spool = framebus_spool:ENDPOINT
npy = framebus_spool.npy:ENDPOINT
"""
CODE = Path(__file__).parent / "third_party" / "spool.py"


def install(site: Path) -> None:
    """Lay the distribution out as pip would."""
    (site / "framebus_spool").mkdir()
    shutil.copy(CODE, site / "framebus_spool" / "__init__.py")
    shutil.copy(CODE.with_name("spool_npy.py"), site / "framebus_spool" / "npy.py")
    entry_points = ENTRY_POINTS
    for scheme, code in copies().items():
        (site / "framebus_spool" / f"{scheme}.py").write_text(code)
        entry_points += f"{scheme} = framebus_spool.{scheme}:ENDPOINT\n"
    about = site / "framebus_spool-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: framebus-spool\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(entry_points)


def copies() -> dict[str, str]:
    """Returns the code of the endpoint with each of the faults, by the scheme that the copy has."""
    right = CODE.read_text()
    codes = {SCHEMES[what]: right.replace(good, bad) for what, (good, bad, _, _) in WRONG.items()}
    return {
        scheme: re.sub(r'"spool([:"])', rf'"{scheme}\1', code) + FAULTS
        for scheme, code in {**codes, "right": right}.items()
    }


@pytest.fixture(scope="module", autouse=True)
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder on the path of this program and of those it starts."""
    folder = tmp_path_factory.mktemp("site")
    install(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        yield folder
    sys.modules.pop("framebus_spool", None)


class TestSpool(conformance.Suite):
    def link(self, tmp_path: Path) -> conformance.Link:
        return conformance.Link(source=f"spool:{tmp_path}", sink=f"spool:{tmp_path}")

    def garbage(self, link: conformance.Link) -> Callable[[bytes], None]:
        folder = Path(link.source.partition(":")[2])

        def throw(data: bytes) -> None:
            (folder / "foreign.part").write_bytes(data)
            (folder / "foreign.part").rename(folder / "foreign.frame")

        return throw


class TestNpy(conformance.Suite):
    def link(self, tmp_path: Path) -> conformance.Link:
        return conformance.Link(source=f"npy:{tmp_path}", sink=f"npy:{tmp_path}")

    def garbage(self, link: conformance.Link) -> Callable[[bytes], None]:
        return (Path(link.source.partition(":")[2]) / "foreign.npy").write_bytes  # type: ignore[return-value]

    def messages(self) -> list[bytes]:
        file = io.BytesIO()
        np.save(file, np.arange(3000, dtype=np.uint16).reshape(30, 100))
        return [file.getvalue()]


def test_the_endpoint_is_listed_with_its_options() -> None:
    (spool,) = (info for info in framebus.endpoints() if info.scheme == "spool")
    assert spool.installed
    assert spool.problem is None
    assert spool.sink is not None
    assert [*spool.sink] == ["room"]


PUT = """
        part = self._folder / f"{os.getpid()}.part"
        with part.open("wb") as file:
            file.writelines(pieces)
        part.rename(self._folder / f"{time.monotonic_ns():020}.frame")
"""
PUT_AS_IT_COMES = """
        with (self._folder / f"{time.monotonic_ns():020}.frame").open("wb") as file:
            file.writelines(slowly(pieces))
"""
# By the name of the fault: the right code, the wrong code, the test of the suite that fails, and its message.
WRONG = {
    "the body is cut elsewhere": (
        "body = wire.HEAD.size +",
        "body = 1 + wire.HEAD.size +",
        "test_frames_arrive_in_order_with_every_byte",
        "frames are missing",
    ),
    "a frame comes twice": (
        "return self._frame(data)",
        "return self._late(self._frame(data))",
        "test_frames_arrive_in_order_with_every_byte",
        "frames out of order, or twice",
    ),
    "no metadata": (
        "wire.encode(frame)",
        "wire.encode(replace(frame, meta={}))",
        "test_metadata_arrives",
        r"^assert \{\} == \{'exposure_us",
    ),
    "one sequence number": (
        "wire.encode(frame)",
        "wire.encode(replace(frame, seq=1))",
        "test_sequence_numbers_arrive_or_are_counted",
        "sequence numbers out of order, or twice",
    ),
    "one timestamp": (
        "wire.encode(frame)",
        "wire.encode(replace(frame, timestamp_ns=1))",
        "test_both_timestamps_arrive",
        "'timestamp_ns': 1}",
    ),
    "garbage ends it": (
        "except wire.Malformed:",
        "except ZeroDivisionError:",
        "test_garbage_of_a_foreign_sender_is_refused",
        "'Malformed'.* after b",
    ),
    "garbage is not counted": (
        "self._count(refused=1)",
        "pass",
        "test_garbage_of_a_foreign_sender_is_refused",
        "garbage came, and was not counted",
    ),
    "no timeout": (
        "if deadline.is_over:",
        "if False:",
        "test_recv_raises_timeout_when_nothing_comes",
        "the source .* did not say 'answer'",
    ),
    "no end": (
        "self._put([wire.end()])",
        "pass",
        "test_iteration_ends_when_the_sender_closes",
        "the source .* did not say 'answer'",
    ),
    "half a frame": (
        PUT,
        PUT_AS_IT_COMES,
        "test_a_sender_killed_while_sending_leaves_whole_frames_and_is_noticed",
        "At index [0-9]+ diff: 1[0-9]+ != 1",
    ),
    "room for everything": (
        ">= self._room",
        ">= 1 << 30",
        "test_a_receiver_that_stands_still_blocks_nobody_for_longer_than_the_timeout",
        "it took [0-9]+ unread frames",
    ),
    "recv is deaf": ("time.sleep(0.001)", "deaf()", "test_ctrl_c_ends_recv", "the source .* did not end"),
    "send is deaf": (
        "(0.001)",
        "(0.001 if deadline.timeout else 0); deaf()",
        "test_ctrl_c_ends_a_send_that_waits",
        "the sink .* did not end",
    ),
}

FAULTS = """

from dataclasses import replace
from itertools import count

turns = count()


def deaf():
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # from the first wait on, so that it is deaf at every moment of it
    time.sleep(0.01)


def slowly(pieces):
    is_slow = next(turns) % 4 == 3  # the test waits for some that come through
    for piece in pieces:
        if is_slow:
            time.sleep(0.01)  # so that the other end is sure to find half a frame
        yield piece


def late(self, frame):
    arrays = {name: array.copy() for name, array in frame.arrays.items()}
    clocks = {"timestamp_ns": frame.timestamp_ns, "wall_time_ns": frame.wall_time_ns}
    self.before, frame = Frame(arrays, seq=frame.seq, **clocks), getattr(self, "before", frame)
    return frame


Source._late = late
"""
SCHEMES = {what: f"wrong{place}" for place, what in enumerate(WRONG)}
IMPATIENCE_S = 10.0  # the watchdog for programs of which some are wrong


class Other(TestSpool):
    """The suite for a copy of the endpoint, which has a scheme of its own."""

    __test__ = False

    def __init__(self, scheme: str) -> None:
        self.scheme = scheme

    def link(self, tmp_path: Path) -> conformance.Link:
        return conformance.Link(source=f"{self.scheme}:{tmp_path}", sink=f"{self.scheme}:{tmp_path}")


@pytest.mark.parametrize("what", list(WRONG))
def test_the_suite_finds_what_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    right, _, name, says = WRONG[what]
    assert right in CODE.read_text()
    for module in (process, pair):
        monkeypatch.setattr(module, "WATCHDOG_S", IMPATIENCE_S)
    suite = Other(SCHEMES[what])
    test = getattr(suite, name)
    arguments = [tmp_path] if "tmp_path" in inspect.signature(test).parameters else []
    with closing(suite.pair_of(suite.link(tmp_path))) as both, pytest.raises((AssertionError, Refused), match=says):
        test(both, *arguments)


def test_pytest_tells_what_is_wrong_and_finds_nothing_wrong_with_the_same_code_without_the_fault(
    tmp_path: Path,
) -> None:
    """The suite is run as its author would run it, on a copy that has all that the wrong ones have but no fault."""
    wrong = SCHEMES["no metadata"]
    source = inspect.getsource(TestSpool)
    head = (
        "from collections.abc import Callable\nfrom pathlib import Path\nfrom framebus.testing import conformance\n\n"
    )
    code = [
        source.replace("TestSpool", name).replace("spool:", f"{scheme}:")
        for name, scheme in (("TestRight", "right"), ("TestWrong", wrong))
    ]
    (tmp_path / "test_spool.py").write_text("\n\n".join([head, *code]))
    tests = {name for _, _, name, _ in WRONG.values()}
    chosen = [
        *(f"test_spool.py::TestRight::{name}" for name in tests),
        "test_spool.py::TestWrong::test_metadata_arrives",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--rootdir={tmp_path}", *chosen],
        cwd=tmp_path,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert f"1 failed, {len(tests)} passed" in done.stdout, done.stdout + done.stderr
    assert "FAILED test_spool.py::TestWrong::test_metadata_arrives" in done.stdout


def test_without_pytest_the_message_has_the_command_that_installs_it(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['pytest'] = None")
    done = subprocess.run(
        [sys.executable, "-c", "import framebus.testing; print('helpers'); import framebus.testing.conformance"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ["PYTHONPATH"]])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "helpers\n"
    assert done.stderr.splitlines()[-1].endswith(
        'needs pytest, which is not installed; run: pip install "framebus[testing]"'
    )
