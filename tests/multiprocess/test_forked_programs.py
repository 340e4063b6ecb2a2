# SPDX-License-Identifier: Apache-2.0
"""Programs that framebus.testing forks: they must not be told from programs in an interpreter of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from framebus._util import fds
from framebus.testing.forked import Forked
from framebus.testing.process import WATCHDOG_S

FACTS = """
import json, os, signal, sys, threading
found = {
    "argv": sys.argv,
    "name": __name__,
    "file": os.path.basename(__file__),
    "main": sys.modules["__main__"].__dict__ is globals(),
    "path": os.path.realpath(sys.path[0]),
    "cwd": os.getcwd(),
    "environ": dict(os.environ),
    "fds": sorted(fd for fd in map(int, os.listdir("/proc/self/fd")) if os.path.exists(f"/proc/self/fd/{fd}")),
    "threads": threading.active_count(),
    "sigint": signal.getsignal(signal.SIGINT) is signal.default_int_handler,
    "faulthandler": __import__("faulthandler").is_enabled(),
    "warnings": sys.warnoptions,
    "encoding": [sys.stdin.encoding, sys.stdout.encoding, sys.stderr.errors],
    "interactive": [sys.stdout.line_buffering, sys.stdout.isatty()],
}
print(json.dumps(found, sort_keys=True))
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    return tmp_path / "program.py"


def ended(
    script: Path, code: str, *arguments: str, given: bytes = b"", env: Mapping[str, str] | None = None
) -> tuple[int, str, str]:
    """Forks the program; returns its exit status, output and errors."""
    script.write_text(code)
    with tempfile.TemporaryFile() as errors:
        program = Forked(("-W", "error"), [str(script), *arguments], stderr=errors, env=env)
        with program.stdin, program.stdout:
            program.stdin.write(given)
            program.stdin.close()
            output = program.stdout.read()
        status = program.wait(WATCHDOG_S)
        errors.seek(0)
        return status, output.decode(), errors.read().decode()


def ended_alone(script: Path, code: str, *arguments: str, env: Mapping[str, str] | None = None) -> tuple[int, str, str]:
    """Does the same in an interpreter of its own."""
    script.write_text(code)
    words: Sequence[str] = [sys.executable, "-X", "faulthandler", "-W", "error", str(script), *arguments]
    environment = {**os.environ, **(env or {})}
    done = subprocess.run(
        words, input="", capture_output=True, text=True, env=environment, timeout=WATCHDOG_S, check=False
    )
    return done.returncode, done.stdout, done.stderr


def test_a_forked_program_finds_what_one_of_its_own_finds(script: Path) -> None:
    env = {"FRAMEBUS_TESTED": "1"}
    assert ended(script, FACTS, "one", "two words", env=env) == ended_alone(script, FACTS, "one", "two words", env=env)


def test_variables_that_an_interpreter_reads_at_its_start_take_effect(script: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "only_there.py").write_text("print('imported')")
    paths = [str(tmp_path / "elsewhere"), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = {"PYTHONPATH": os.pathsep.join(paths)}
    assert ended(script, "import only_there", env=env) == (0, "imported\n", "")
    status, _, errors = ended(script, "import only_there")
    assert status == 1
    assert errors.endswith("ModuleNotFoundError: No module named 'only_there'\n")


@pytest.mark.parametrize(
    "code",
    [
        "print('done')",
        "import sys; sys.exit(3)",
        "import sys; sys.exit('a reason')",
        "import os, signal; os.kill(os.getpid(), signal.SIGTERM); signal.pause()",
        "raise KeyboardInterrupt",
        "import os; os._exit(9)",
        "import warnings; warnings.warn('an error here', UserWarning)",
        "import atexit; atexit.register(print, 'at exit')",
        "import threading; threading.Timer(0.1, print, ['from a thread']).start()",
        "import sys; sys.stdout.write('not flushed')",
    ],
)
def test_a_forked_program_ends_as_one_of_its_own(script: Path, code: str) -> None:
    status, output, errors = ended(script, code)
    status_alone, output_alone, errors_alone = ended_alone(script, code)
    assert (status, output) == (status_alone, output_alone)
    assert errors.splitlines()[-1:] == errors_alone.splitlines()[-1:]


def test_a_channel_of_a_forked_program_is_closed_at_its_end(script: Path, channel_name: str) -> None:
    code = f"import framebus; pub = framebus.Publisher({channel_name!r}); pub.send(b'1')"
    assert ended(script, code) == (0, "", "")
    assert not list(Path("/dev/shm").glob(f"*{channel_name}*"))


@pytest.fixture
def descriptors() -> Iterator[list[int]]:
    """Two pipes, numbered so that one takes the number of another when it is placed."""
    opened = [*fds.pipe(), *fds.pipe()]
    yield opened
    for fd in opened:
        os.close(fd)


def test_a_forked_program_inherits_the_descriptors_it_was_given_and_no_others(
    script: Path, descriptors: list[int]
) -> None:
    script.write_text(
        "import os, sys\n"
        "for fd in sys.argv[1:]:\n    os.write(int(fd), fd.encode())\n"
        "print(len(os.listdir('/proc/self/fd')))"
    )
    reading, writing = descriptors[::2], descriptors[1::2]
    with tempfile.TemporaryFile() as errors:
        words = [str(script), *map(str, writing)]
        program = Forked((), words, stderr=errors, pass_fds=writing[::-1])
        with program.stdin, program.stdout:
            found = program.stdout.read().decode()
        assert program.wait(WATCHDOG_S) == 0
    assert [os.read(fd, 10).decode() for fd in reading] == [str(fd) for fd in writing]
    assert int(found) == 3 + len(writing) + 1  # and the descriptor of the folder itself


def test_a_killed_program_keeps_its_process_id_until_its_status_is_asked_for(script: Path) -> None:
    script.write_text("import sys; sys.stdin.read()")
    with tempfile.TemporaryFile() as errors:
        program = Forked((), [str(script)], stderr=errors)
        with program.stdin, program.stdout:
            assert program.poll() is None
            os.kill(program.pid, signal.SIGKILL)
            assert program.stdout.read() == b""
            os.kill(program.pid, 0)
            assert program.wait(WATCHDOG_S) == -signal.SIGKILL
            with pytest.raises(ProcessLookupError):
                os.kill(program.pid, 0)


class _Interrupted(Exception):
    pass


def test_an_interrupted_wait_for_an_answer_leaves_none_for_the_next_request(script: Path) -> None:
    def interrupt(*_: object) -> None:
        raise _Interrupted

    script.write_text("import sys; sys.stdin.read()")
    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with tempfile.TemporaryFile() as errors:
            program = Forked((), [str(script)], stderr=errors)
            with program.stdin, program.stdout:
                threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGUSR1)).start()
                with pytest.raises(_Interrupted):
                    program.wait_until_stopped()  # it runs, so there is no answer yet
                os.kill(program.pid, signal.SIGSTOP)
                os.kill(program.pid, signal.SIGKILL)
                assert program.wait(WATCHDOG_S) == -signal.SIGKILL
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_the_fork_server_ends_with_the_test_even_by_kill(script: Path, tmp_path: Path) -> None:
    (tmp_path / "idle.py").write_text("import os; print(os.getppid(), flush=True); input()")
    test = (
        "import os, signal, sys, tempfile\nfrom framebus.testing.forked import Forked\n"
        "program = Forked((), [sys.argv[1]], stderr=tempfile.TemporaryFile())\n"
        "print(program.stdout.readline().decode(), end='', flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    status, output, _ = ended_alone(script, test, str(tmp_path / "idle.py"))
    assert status == -signal.SIGKILL
    server = Path(f"/proc/{int(output)}")
    deadline = time.monotonic() + WATCHDOG_S
    while server.exists():
        assert time.monotonic() < deadline, "the fork server goes on without its test"
        os.sched_yield()
