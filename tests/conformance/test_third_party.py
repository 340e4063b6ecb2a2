# SPDX-License-Identifier: Apache-2.0
"""An endpoint of somebody else, installed as a distribution of its own, is found by its entry point and passes."""

from __future__ import annotations

import inspect
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import framebus
from framebus.testing import conformance

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
    about = site / "framebus_spool-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: framebus-spool\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(ENTRY_POINTS)


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


OPEN = '        with part.open("wb") as file:\n            '
WRONG = [
    ("body = wire.HEAD.size +", "body = 1 + wire.HEAD.size +", "test_frames_arrive_in_order_with_every_byte"),
    ("return self._frame(data)", "return self._late(self._frame(data))", "test_frames_arrive_in_order_with_every_byte"),
    ("wire.encode(frame)", "wire.encode(replace(frame, meta={}))", "test_metadata_arrives"),
    ("wire.encode(frame)", "wire.encode(replace(frame, seq=1))", "test_sequence_numbers_arrive_or_are_counted"),
    ("wire.encode(frame)", "wire.encode(replace(frame, timestamp_ns=1))", "test_both_timestamps_arrive"),
    ("except wire.Malformed:", "except ZeroDivisionError:", "test_garbage_of_a_foreign_sender_is_refused"),
    ("self._count(refused=1)", "pass", "test_garbage_of_a_foreign_sender_is_refused"),
    ("if deadline.is_over:", "if False:", "test_recv_raises_timeout_when_nothing_comes"),
    ("self._put([wire.end()])", "pass", "test_iteration_ends_when_the_sender_closes"),
    (
        f'f"{{os.getpid()}}.part"\n{OPEN}file.writelines(pieces)',
        f'f"{{time.monotonic_ns():020}}.frame"\n{OPEN}file.writelines(slowly(pieces))',
        "test_a_sender_killed_while_sending",
    ),
    (">= self._room", ">= 1 << 30", "test_a_receiver_that_stands_still"),
    ("time.sleep(0.001)", "deaf()", "test_ctrl_c_ends_recv"),
    ("(0.001)", "(0.001 if deadline.timeout else 0); deaf()", "test_ctrl_c_ends_a_send_that_waits"),
]

FAULTS = """

from dataclasses import replace


def deaf():
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # from the first wait on, so that it is deaf at every moment of it
    time.sleep(0.01)


def slowly(pieces):
    for piece in pieces:
        time.sleep(0.01)  # so that the other end is sure to find half a frame
        yield piece


def late(self, frame):
    self.before, frame = frame, getattr(self, "before", frame)
    return frame


Source._late = late
"""

CONFTEST = """
from framebus.testing import process

process.WATCHDOG_S = 10.0
"""


RUNS_AT_A_TIME = 4  # most of their time they wait, and some until the watchdog


@pytest.fixture(scope="module")
def summaries(
    site: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[dict[int, Future[str]]]:
    """What pytest says in the end with each fault that is asked for, by its place in WRONG."""
    good = CODE.read_text()
    with ThreadPoolExecutor(RUNS_AT_A_TIME) as pool:
        yield {
            place: pool.submit(
                run_suite, site, tmp_path_factory.mktemp("wrong"), good.replace(right, wrong) + FAULTS, test
            )
            for place, (right, wrong, test) in enumerate(WRONG)
            if any(item.name.endswith(f"[{NAMES[place]}]") for item in request.session.items)
        }


NAMES = [f"{wrong.splitlines()[0]}-{test}" for _, wrong, test in WRONG]


@pytest.mark.xdist_group("wrong endpoints")  # the worker that gets one of them runs all
@pytest.mark.parametrize("place", range(len(WRONG)), ids=NAMES)
def test_the_suite_finds_what_is_wrong(summaries: dict[int, Future[str]], place: int) -> None:
    right, _, _ = WRONG[place]
    assert right in CODE.read_text()
    assert "1 failed" in summaries[place].result()


def test_the_suite_finds_nothing_wrong_with_the_same_code_without_the_faults(site: Path, tmp_path: Path) -> None:
    tests = sorted({test for _, _, test in WRONG})
    summary = run_suite(site, tmp_path, CODE.read_text() + FAULTS, " or ".join(tests))
    assert f"{len(tests)} passed" in summary


SUITE = inspect.getsource(TestSpool)  # once: CPython's parser may fail where several threads call it


def run_suite(site: Path, folder: Path, code: str, tests: str) -> str:
    """Run tests of the suite on another spool.py, as its author would; give pytest's last line."""
    shutil.copytree(site, folder / "site")
    (folder / "site" / "framebus_spool" / "__init__.py").write_text(code)
    (folder / "conftest.py").write_text(CONFTEST)
    head = (
        "from collections.abc import Callable\nfrom pathlib import Path\nfrom framebus.testing import conformance\n\n"
    )
    (folder / "test_spool.py").write_text(head + SUITE)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--rootdir={folder}", "-k", tests],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(folder / "site"), os.environ["PYTHONPATH"]])},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    summary = (done.stdout.splitlines() or [""])[-1]
    assert " in " in summary, f"the tests did not run:\n{done.stdout}{done.stderr}"
    assert "error" not in summary, done.stdout
    return summary


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
