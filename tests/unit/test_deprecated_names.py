# SPDX-License-Identifier: Apache-2.0
"""Former names of the public API keep working, and each use says the new one."""

from __future__ import annotations

import importlib
import json
import operator
import subprocess
import sys
from typing import Any

import pytest

import framebus
from framebus import endpoint

NAMES = [
    (module, former, new)
    for module in ("framebus", "framebus.endpoint")
    for former, new in (
        ("Abilities", "Capabilities"),
        ("EndStatistics", "EndpointStatistics"),
        ("Outgoing", "OutgoingFrame"),
    )
]
LAUNCH = [
    ("finish", "shutdown_timeout", 2.5),
    ("grace", "kill_timeout", 2.5),
    ("limit", "max_restarts", 7),
    ("pause", "restart_delay", 2.5),
]
ENDPOINT = [("form", "url_syntax", "there:"), ("abilities", "capabilities", framebus.Capabilities(meta=False))]
WITHOUT = {"form": {"capabilities": framebus.Capabilities()}, "abilities": {"url_syntax": "here:"}}


@pytest.mark.parametrize(("module", "former", "new"), NAMES)
def test_former_name_in_a_module_is_the_same_class_and_warns(module: str, former: str, new: str) -> None:
    found = importlib.import_module(module)
    with pytest.warns(DeprecationWarning, match=rf"^{module}\.{former} is deprecated; write {module}\.{new}$") as said:
        assert getattr(found, former) is getattr(found, new)
    assert said[0].filename == __file__


@pytest.mark.parametrize("module", [framebus, endpoint])
def test_dir_and_all_show_new_names_only_and_a_name_that_never_was_is_missing(module: Any) -> None:
    former = {name for _, name, _ in NAMES}
    assert not former & {*dir(module), *module.__all__}
    with pytest.raises(AttributeError, match=f"module '{module.__name__}' has no attribute 'Nothing'"):
        operator.attrgetter("Nothing")(module)


@pytest.mark.parametrize(("former", "new", "value"), LAUNCH)
def test_former_option_of_launch_sets_the_new_one_and_warns(former: str, new: str, value: Any) -> None:
    with pytest.warns(DeprecationWarning, match=rf"^Launch\({former}=\) is deprecated; write {new}=$") as said:
        launch = framebus.Launch(["a"], **{former: value})
    assert said[0].filename == __file__
    assert launch == framebus.Launch(["a"], **{new: value})
    with pytest.warns(DeprecationWarning, match=rf"^Launch\.{former} is deprecated; write {new}$"):
        assert getattr(launch, former) == value


@pytest.mark.parametrize(("former", "new", "value"), LAUNCH)
def test_both_names_of_an_option_of_launch_are_refused(former: str, new: str, value: Any) -> None:
    with pytest.raises(TypeError, match=rf"Launch\(\) takes {former}= or {new}=, which replaces it, not both"):
        framebus.Launch(["a"], **{former: value, new: value})


def test_former_option_of_launch_is_checked_as_the_new_one() -> None:
    launch: Any = framebus.Launch
    with (
        pytest.warns(DeprecationWarning, match="write kill_timeout="),
        pytest.raises(ValueError, match="kill_timeout must be 0 to 86400 seconds, got -1"),
    ):
        launch(["a"], grace=-1)


@pytest.mark.parametrize(("former", "new", "value"), ENDPOINT)
def test_former_field_of_an_endpoint_sets_the_new_one_and_warns(former: str, new: str, value: Any) -> None:
    with pytest.warns(DeprecationWarning, match=rf"^Endpoint\({former}=\) is deprecated; write {new}=$"):
        found = framebus.Endpoint(scheme="x", summary="a test", **{former: value}, **WITHOUT[former])
    assert getattr(found, new) == value
    with pytest.warns(DeprecationWarning, match=rf"^Endpoint\.{former} is deprecated; write {new}$"):
        assert getattr(found, former) == value
    with pytest.raises(TypeError, match=f"takes {former}= or {new}="):
        framebus.Endpoint(scheme="x", summary="a test", **{former: value, new: value}, **WITHOUT[former])


def test_endpoint_infos_have_their_former_attributes() -> None:
    info: Any = framebus.endpoints()[0]  # a type checker knows the new names only
    with pytest.warns(DeprecationWarning, match=r"^EndpointInfo\.form is deprecated; write url_syntax$"):
        assert info.form == info.url_syntax
    with pytest.warns(DeprecationWarning, match=r"^EndpointInfo\.abilities is deprecated; write capabilities$"):
        assert info.abilities is info.capabilities


def test_sink_that_declares_abilities_has_these_capabilities() -> None:
    plain = framebus.Capabilities(arrays="one", meta=False)
    with pytest.warns(DeprecationWarning, match=r"^Plain\.abilities is deprecated; write capabilities$") as said:

        class Plain(framebus.BaseSink):
            abilities = plain

            def _send(self, frame: framebus.OutgoingFrame, deadline: framebus.Deadline) -> None:
                raise AssertionError(f"{frame} was not refused before, {deadline}")

    assert said[0].filename == __file__
    assert Plain.capabilities is plain
    with Plain("test:") as sink:
        with pytest.raises(framebus.EndpointError, match="can't carry metadata"):
            sink.send(bytes(3), meta={"a": 1})
        with pytest.warns(DeprecationWarning, match="write capabilities"):
            sink.abilities = framebus.Capabilities(max_bytes=2)
        with pytest.raises(framebus.EndpointError, match="at most 2 bytes, got 3"):
            sink.send(bytes(3))


def test_json_of_endpoints_has_its_former_keys() -> None:
    pytest.importorskip("cyclopts", reason='needs cyclopts; run: pip install "framebus[cli]"')
    command = [sys.executable, "-m", "framebus", "endpoints", "shm", "--json"]
    (found,) = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    assert found["form"] == found["url_syntax"] == "NAME or shm:NAME"
    assert found["abilities"] == found["capabilities"]
