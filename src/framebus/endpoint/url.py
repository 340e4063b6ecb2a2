# SPDX-License-Identifier: Apache-2.0
"""URLs that name sources and sinks, and their options, read once and typed.

    NAME                        a channel, the same as shm:NAME
    scheme:rest                 rest means what the endpoint says: a name, a file, a host and port
    scheme:rest?key=value&...   options, in any order; one without "=" is a switch that is turned on

In the rest and in the values, %XX is the byte XX in UTF-8, so %3F is a question mark that begins no options. Which
options there are, their types, defaults and meanings are the keyword-only parameters of the function that opens the
endpoint:

    def open_source(rest: str, *, mode: Annotated[Literal["message", "byte"], "whole frames or raw pixels"] = "message")

Known types are str, int, float, bool, Literal of strings, and any of these or None. An option of another type, such as
a list, has no form in text: it can only be given as a keyword argument.
"""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints
from urllib.parse import unquote

from framebus.errors import InvalidUrl

CHANNEL_SCHEME = "shm"
_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*):(.*)", re.DOTALL)
_SWITCHES = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


@dataclass(frozen=True)
class Url:
    """A URL taken apart; what its options mean is not known yet.

    Attributes:
        text: as it was written.
        scheme: what comes before the colon, in lower case; "shm" for a bare channel name.
        rest: what follows, without the options, decoded.
        options: the options, decoded; "" for a switch.
    """

    text: str
    scheme: str
    rest: str
    options: Mapping[str, str]


@dataclass(frozen=True)
class Option:
    """One option that an endpoint knows.

    Attributes:
        name: as it stands in a URL, and as a keyword argument.
        kind: its type, for people: "int", "message or byte" ...
        default: its value where nothing is said.
        meaning: what it does.
        annotation: its type, for programs.
        required: whether it has no default.
    """

    name: str
    kind: str
    default: object
    meaning: str
    annotation: Any
    required: bool = False


def parse(text: str) -> Url:
    """Takes a URL apart.

    Raises:
        TypeError: not a str.
        InvalidUrl: no scheme and no channel name, an option given twice, or % with bytes that are not UTF-8.
    """
    if not isinstance(text, str):
        raise TypeError(f"expected a URL such as 'tcp://127.0.0.1:7000' or a channel name, got {text!r}")
    found = _SCHEME.fullmatch(text)
    if found is None:
        if ":" in text:
            raise InvalidUrl(f"{text!r} is neither a channel name nor a URL: what comes before ':' is not a scheme")
        found = _SCHEME.fullmatch(f"{CHANNEL_SCHEME}:{text}")
        assert found is not None  # the pattern takes any rest
    rest, _, query = found[2].partition("?")
    options: dict[str, str] = {}
    for part in filter(None, query.split("&")):
        name, _, value = part.partition("=")
        if name in options:
            raise InvalidUrl(f"{text!r} says {name!r} twice; say it once")
        options[name] = _decoded(value, text)
    return Url(text, found[1].lower(), _decoded(rest, text), options)


def _decoded(part: str, text: str) -> str:
    try:
        return unquote(part, errors="strict")
    except UnicodeDecodeError:
        raise InvalidUrl(f"{text!r}: what its % stand for is not UTF-8") from None


def options_of(opener: Callable[..., object]) -> dict[str, Option]:
    """Returns the options that a function or a class which opens an endpoint takes, by name."""
    called = opener.__init__ if isinstance(opener, type) else opener  # type: ignore[misc]  # of this very class
    hints = get_type_hints(called, include_extras=True)
    options = {}
    for name, parameter in inspect.signature(opener).parameters.items():
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
            continue
        annotation, meaning = _taken_apart(hints[name])
        required = parameter.default is inspect.Parameter.empty
        options[name] = Option(name, _kind(annotation), parameter.default, meaning, annotation, required)
    return options


def _taken_apart(annotation: Any) -> tuple[Any, str]:
    """Type and meaning. Where None is the default, Python 3.10 makes Annotated[...] an Optional[Annotated[...]]."""
    for choice in _choices(annotation):
        if get_origin(choice) is Annotated:
            kind, meaning = get_args(choice)[:2]
            return (kind if choice is annotation else kind | None), meaning
    return annotation, ""


def typed_options(url: Url, options: Mapping[str, Option]) -> dict[str, Any]:
    """Returns the options of `url` as values of their types.

    Raises InvalidUrl for an unknown option, with the known ones, for a value that is not of its type, and for an option
    that has no form in text.
    """
    values = {}
    for name, text in url.options.items():
        option = options.get(name)
        if option is None:
            known = ", ".join(options) or "none"
            raise InvalidUrl(
                f"{url.text!r}: {url.scheme}: has no option {name!r} here; it knows {known}"
                " (a question mark that belongs to the name is written %3F)"
            )
        if not _has_text_form(option.annotation):
            raise InvalidUrl(
                f"{url.text!r}: {name} is {option.meaning or 'no text'}, which has no form in a URL; pass it as a "
                f"keyword argument, {name}=..."
            )
        try:
            values[name] = _value(text, option.annotation)
        except ValueError:
            raise InvalidUrl(f"{url.text!r}: {name} must be {option.kind}, got {text!r}") from None
    return values


def _choices(annotation: Any) -> tuple[Any, ...]:
    """The alternatives of a union, or the type itself."""
    if get_origin(annotation) in (Union, types.UnionType):
        return get_args(annotation)
    return (annotation,)


def _has_text_form(annotation: Any) -> bool:
    return all(
        choice in (str, int, float, bool, type(None)) or get_origin(choice) is Literal
        for choice in _choices(annotation)
    )


def _kind(annotation: Any) -> str:
    names: list[str] = []
    for choice in _choices(annotation):
        if get_origin(choice) is Literal:
            names.extend(get_args(choice))
        elif choice is bool:
            names.append("true or false")
        elif choice is not type(None):
            names.append(choice.__name__)
    return " or ".join(names)


def _value(text: str, annotation: Any) -> object:
    for choice in _choices(annotation):
        if get_origin(choice) is Literal:
            if text in get_args(choice):
                return text
        elif choice is type(None):
            if text == "none":
                return None
        elif choice is bool:
            if (text.lower() or "true") in _SWITCHES:
                return _SWITCHES[text.lower() or "true"]
        else:
            try:
                return choice(text)
            except ValueError:
                continue
    raise ValueError(text)
