# SPDX-License-Identifier: Apache-2.0
"""URLs of sources and sinks: taken apart once, options typed by the function that opens the end."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Optional

import pytest

from framebus import InvalidUrl
from framebus.endpoint import url as urls

Url = urls.Url


def opener(
    rest: str,
    *,
    mode: Annotated[Literal["message", "byte"], "what is sent"] = "message",
    count: Annotated[int, "how many"] = 3,
    rate: Annotated[float | None, "per second"] = None,
    old: Annotated[Optional[int], "written the old way"] = None,  # noqa: UP045
    loop: Annotated[bool, "again and again"] = False,
    name: str = "",
    key: Annotated[str, "what opens it"],
) -> tuple[object, ...]:
    return rest, mode, count, rate, old, loop, name, key


def typed(text: str) -> dict[str, Any]:
    return urls.typed_options(urls.parse(text), urls.options_of(opener))


@pytest.mark.parametrize(
    ("text", "scheme", "rest", "options"),
    [
        ("camera0", "shm", "camera0", {}),
        ("camera0?every", "shm", "camera0", {"every": ""}),
        ("shm:camera0?hold=4&every=false", "shm", "camera0", {"hold": "4", "every": "false"}),
        ("tcp://127.0.0.1:7000?mode=every", "tcp", "//127.0.0.1:7000", {"mode": "every"}),
        ("ipc:///a/b.sock", "ipc", "///a/b.sock", {}),
        ("pipe:", "pipe", "", {}),
        ("images:/a/*%3F.png?loop", "images", "/a/*?.png", {"loop": ""}),
        ("images:100%25.png", "images", "100%.png", {}),
        ("video:gr%C3%B6%C3%9Fe.mp4", "video", "größe.mp4", {}),
        ("video:größe.mp4", "video", "größe.mp4", {}),
        ("dde:camera?bus=unix:path=/a%26b,guid=1", "dde", "camera", {"bus": "unix:path=/a&b,guid=1"}),
        ("x:a?b=c?d", "x", "a", {"b": "c?d"}),
        ("x:a?&b=1&&c&", "x", "a", {"b": "1", "c": ""}),
        ("x:a?b=", "x", "a", {"b": ""}),
        ("x+y-2.0:a\nb", "x+y-2.0", "a\nb", {}),
        ("SHM:Camera0", "shm", "Camera0", {}),
        ("", "shm", "", {}),
    ],
)
def test_a_url_is_taken_apart(text: str, scheme: str, rest: str, options: dict[str, str]) -> None:
    assert urls.parse(text) == Url(text, scheme, rest, options)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1:2", "neither a channel name nor a URL"),
        (":x", "neither a channel name nor a URL"),
        ("a b:c", "neither a channel name nor a URL"),
        ("x:a?b=1&b=2", "'b' twice"),
        ("x:a?b&b", "'b' twice"),
        ("x:%FF", "not UTF-8"),
        ("x:a?b=%C3", "not UTF-8"),
    ],
)
def test_what_is_no_url_is_refused(text: str, says: str) -> None:
    with pytest.raises(InvalidUrl, match=says):
        urls.parse(text)


@pytest.mark.parametrize("value", [None, 5, b"camera0", ["camera0"]])
def test_what_is_no_text_is_a_type_error(value: Any) -> None:
    with pytest.raises(TypeError, match="expected a URL"):
        urls.parse(value)


def test_options_are_the_keyword_only_parameters_with_their_meanings() -> None:
    options = urls.options_of(opener)
    assert [(option.name, option.kind, option.default, option.meaning) for option in options.values()][:-1] == [
        ("mode", "message or byte", "message", "what is sent"),
        ("count", "int", 3, "how many"),
        ("rate", "float", None, "per second"),
        ("old", "int", None, "written the old way"),
        ("loop", "true or false", False, "again and again"),
        ("name", "str", "", ""),
    ]
    assert [option.name for option in options.values() if option.required] == ["key"]


def test_a_class_is_asked_for_what_it_is_made_of() -> None:
    class Source:
        def __init__(self, rest: str, *, count: Annotated[int, "how many"] = 3) -> None:
            self.rest, self.count = rest, count

    assert urls.options_of(Source) == {"count": urls.Option("count", "int", 3, "how many", int)}


def test_an_annotation_inside_an_optional_says_the_same_as_one_around_it() -> None:
    def opener(rest: str, *, count: Optional[Annotated[int | None, "how many"]] = None) -> None:  # noqa: UP045
        del rest, count

    options = urls.options_of(opener)
    assert options == {"count": urls.Option("count", "int", None, "how many", int | None)}
    assert urls.typed_options(urls.parse("x:?count=7"), options) == {"count": 7}


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("mode=byte", "byte"),
        ("count=-5", -5),
        ("rate=2.5", 2.5),
        ("rate=3", 3.0),
        ("rate=none", None),
        ("old=7", 7),
        ("old=none", None),
        ("loop", True),
        ("loop=TRUE", True),
        ("loop=1", True),
        ("loop=on", True),
        ("loop=yes", True),
        ("loop=false", False),
        ("loop=0", False),
        ("loop=off", False),
        ("loop=no", False),
        ("name", ""),
        ("name=5", "5"),
        ("name=a%20b", "a b"),
    ],
)
def test_an_option_has_its_type(option: str, value: object) -> None:
    found = typed(f"x:?{option}")
    assert found == {option.partition("=")[0]: value}
    assert type(found[option.partition("=")[0]]) is type(value)


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("mode=bytes", "mode must be message or byte, got 'bytes'"),
        ("mode", "mode must be message or byte, got ''"),
        ("count=2.5", "count must be int, got '2.5'"),
        ("count=none", "count must be int, got 'none'"),
        ("count", "count must be int, got ''"),
        ("rate=fast", "rate must be float, got 'fast'"),
        ("loop=maybe", "loop must be true or false, got 'maybe'"),
        ("speed=3", "x: has no option 'speed' here; it knows mode, count, rate, old, loop, name, key"),
        ("=3", "has no option ''"),
    ],
)
def test_an_option_of_another_type_or_name_is_refused_with_what_there_is(option: str, says: str) -> None:
    with pytest.raises(InvalidUrl) as error:
        typed(f"x:?{option}")
    assert says in str(error.value)
    assert f"x:?{option}" in str(error.value)


def test_where_there_are_no_options_the_message_says_so() -> None:
    with pytest.raises(InvalidUrl, match="it knows none"):
        urls.typed_options(urls.parse("x:?y"), {})
