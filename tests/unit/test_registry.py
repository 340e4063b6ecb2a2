# SPDX-License-Identifier: Apache-2.0
"""Endpoints are found by their scheme: those of framebus, and those that other distributions bring as entry points."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import framebus

CODE = """
from typing import Annotated
import framebus


class Source(framebus.BaseSource):
    def __init__(self, rest, *, size: Annotated[int, "how large"] = 3, key: Annotated[str, "what opens it"] = ""):
        super().__init__(rest)
        self.given = (rest, size, key)

    def _receive(self, deadline):
        raise framebus.ChannelClosed("over")


def needs_key(rest, *, key: Annotated[str, "what opens it"]):
    return Source(rest, key=key)


def needs_module(rest):
    import no_such_module.part


def needs_another_module(rest):
    import another_module


def with_strange_options(rest, *, what: "Nonsense"):
    pass


GOOD = framebus.Endpoint("good", "a test", "good:ANYTHING", Source)
LOCKED = framebus.Endpoint("locked", "a test", "locked:", needs_key)
WANTING = framebus.Endpoint("wanting", "a test", "wanting:", needs_module, needs=("no_such_module.part",), extra="more")
ALONE = framebus.Endpoint("alone", "a test", "alone:", needs_module, needs=("no_such_module",))
SURPRISED = framebus.Endpoint("surprised", "a test", "surprised:", needs_another_module, needs=("no_such_module",))
STRANGE = framebus.Endpoint("strange", "a test", "strange:", with_strange_options)
NO_ENDPOINT = "what is this"
"""

Install = Callable[[str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Lays out a distribution with these entry points; its module is `otherbus`."""

    def lay_out(entry_points: str) -> None:
        (tmp_path / "otherbus.py").write_text(CODE)
        about = tmp_path / "otherbus-1.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text("Metadata-Version: 2.1\nName: otherbus\nVersion: 1.0\n")
        (about / "entry_points.txt").write_text(f"[framebus.endpoints]\n{entry_points}\n")
        monkeypatch.syspath_prepend(tmp_path)

    yield lay_out
    sys.modules.pop("otherbus", None)


def info(scheme: str) -> framebus.EndpointInfo:
    (found,) = (info for info in framebus.endpoints() if info.scheme == scheme)
    return found


def test_somebody_elses_endpoint_is_found_by_its_entry_point(install: Install) -> None:
    install("good = otherbus:GOOD")
    with framebus.source("good:here?size=5") as source:
        assert source.given == ("here", 5, "")
    found = info("good")
    assert (found.summary, found.url_syntax, found.installed, found.problem) == ("a test", "good:ANYTHING", True, None)
    assert found.source is not None
    assert found.source["size"].meaning == "how large"
    assert found.sink is None


def test_nothing_of_somebody_else_is_imported_before_it_is_needed(install: Install, channel_name: str) -> None:
    install("good = otherbus:GOOD")
    framebus.sink(channel_name).close()
    assert "otherbus" not in sys.modules


def test_options_may_be_given_as_values_and_come_before_those_in_the_url(install: Install) -> None:
    install("good = otherbus:GOOD")
    source: Any = framebus.source("good:here?size=5&key=a", size=7)
    assert source.given == ("here", 7, "a")
    with pytest.raises(framebus.InvalidUrl, match="good: has no option 'colour' here; it knows size, key"):
        framebus.source("good:here", colour=3)


def test_an_end_that_an_endpoint_does_not_have_says_what_it_is_for(install: Install) -> None:
    install("good = otherbus:GOOD")
    with pytest.raises(framebus.EndpointError, match="'good:here' can only be read from: good: is a test"):
        framebus.sink("good:here")


def test_an_option_without_a_default_is_asked_for(install: Install) -> None:
    install("locked = otherbus:LOCKED")
    with pytest.raises(framebus.InvalidUrl, match="'locked:': locked: needs key=, what opens it"):
        framebus.source("locked:")
    with framebus.source("locked:?key=a") as source:
        assert source.given[2] == "a"


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("no_such_distribution:THING", "no_such_distribution:THING can't be loaded: ModuleNotFoundError"),
        ("otherbus:MISSING", "otherbus:MISSING can't be loaded: AttributeError"),
        ("otherbus:NO_ENDPOINT", "is not a framebus.Endpoint, but 'what is this'"),
        ("otherbus:STRANGE", "can't be read: name 'Nonsense' is not defined"),
    ],
)
def test_a_broken_endpoint_of_somebody_else_spoils_nothing_but_itself(install: Install, value: str, says: str) -> None:
    install(f"broken = {value}\ngood = otherbus:GOOD")
    with pytest.raises(framebus.EndpointError) as error:
        framebus.source("broken:x")
    assert says in str(error.value)
    found = info("broken")
    assert not found.installed
    assert says in (found.problem or "")
    assert info("good").problem is None
    assert info("shm").problem is None


@pytest.mark.parametrize(
    ("scheme", "how"),
    [("wanting", 'run: pip install "framebus[more]"'), ("alone", "run: pip install no_such_module")],
)
def test_a_missing_dependency_is_an_error_with_the_command_that_installs_it(
    install: Install, scheme: str, how: str
) -> None:
    install(f"{scheme} = otherbus:{scheme.upper()}")
    with pytest.raises(framebus.EndpointError) as error:
        framebus.source(f"{scheme}:")
    assert str(error.value) == f"{scheme}: needs no_such_module, which is not installed; {how}"
    assert not info(scheme).installed
    assert info(scheme).problem is None


def test_another_module_that_is_missing_is_no_missing_dependency(install: Install) -> None:
    install("surprised = otherbus:SURPRISED")
    with pytest.raises(ModuleNotFoundError, match="another_module"):
        framebus.source("surprised:")


def test_a_scheme_of_framebus_cannot_be_taken_over(install: Install, channel_name: str) -> None:
    install("shm = otherbus:GOOD")
    with framebus.sink(channel_name) as sink:
        assert isinstance(sink, framebus.Publisher)
    assert info("shm").summary != "a test"


def test_an_unknown_scheme_lists_those_that_there_are(install: Install) -> None:
    install("good = otherbus:GOOD")
    with pytest.raises(framebus.InvalidUrl) as error:
        framebus.source("carrier-pigeon:5")
    assert "no endpoint for carrier-pigeon:" in str(error.value)
    known = str(error.value).partition("there are ")[2].split(", ")
    assert known == [info.scheme for info in framebus.endpoints()]
    assert {"good", "shm"} <= {*known}


def test_an_unknown_option_lists_those_that_there_are(channel_name: str) -> None:
    with pytest.raises(framebus.InvalidUrl, match="'colour' here; it knows slots, max_bytes, on_full"):
        framebus.sink(f"{channel_name}?colour=blue")


def test_a_channel_is_a_source_and_a_sink(channel_name: str) -> None:
    with framebus.sink(f"shm:{channel_name}?slots=4") as sink:
        assert isinstance(sink, framebus.Publisher)
        with framebus.source(f"{channel_name}?every") as source:
            assert isinstance(source, framebus.Subscriber)
            sink.send(b"12345678")
            assert source.recv(0).array.tobytes() == b"12345678"
        assert sink.statistics().slots == 4
        assert sink.send(b"12345678", seq=90) == 2, "a channel counts its frames itself"


def test_every_endpoint_of_framebus_is_listed_with_meanings_of_its_options() -> None:
    ours = framebus.endpoints()
    assert [info.scheme for info in ours] == sorted(info.scheme for info in ours)
    for found in ours:
        assert found.problem is None
        assert found.summary
        assert found.source is not None or found.sink is not None
        for options in (found.source, found.sink):
            assert [option.name for option in (options or {}).values() if not option.meaning] == []
