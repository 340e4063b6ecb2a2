# SPDX-License-Identifier: Apache-2.0
"""Finds the endpoint for a URL by its scheme, and opens it.

Endpoints that come with framebus are listed here; other distributions add theirs by the entry-point group
"framebus.endpoints", whose names are schemes and whose values lead to an Endpoint ("package.module:ENDPOINT"). Nothing
is imported before it is needed. A scheme of framebus can't be replaced.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from framebus._util import deprecated, fds, lifetime
from framebus._util.exhausted import descriptors_told
from framebus.endpoint import Capabilities, Endpoint, Sink, Source, close_when_left, url as urls
from framebus.errors import EndpointError, InvalidUrl

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "framebus.endpoints"

# Scheme and module of framebus.endpoint.kinds.
_OURS = {
    "baseimage": "baseimage",
    "camera": "camera",
    "clipboard": "clipboard",
    "dde": "dde",
    "images": "images",
    "ipc": "zeromq",
    "mailslot": "mailslot",
    "msg": "msg",
    "pattern": "pattern",
    "pipe": "pipe",
    "shm": "shm",
    "tcp": "zeromq",
    "video": "video",
}


@deprecated.fields(form="url_syntax", abilities="capabilities")
@dataclass(frozen=True)
class EndpointInfo:
    """One kind of source and sink that there is.

    Attributes:
        scheme: what its URLs begin with.
        summary: what it is for.
        url_syntax: how its URLs look.
        source: options of the source by name, None where it has no source.
        sink: options of the sink by name, None where it has no sink.
        capabilities: what it carries and tells.
        installed: whether everything it needs is there.
        extra: the extra that brings what it needs: pip install "framebus[EXTRA]"; None where it needs nothing.
        problem: why it can't be used at all, None where all is well.
    """

    scheme: str
    summary: str
    url_syntax: str
    source: dict[str, urls.Option] | None
    sink: dict[str, urls.Option] | None
    capabilities: Capabilities
    installed: bool
    extra: str | None
    problem: str | None = None


def source(url: str, **options: Any) -> Source:
    """Opens what frames can be read from.

        for frame in framebus.source("tcp://127.0.0.1:7000?mode=every"):
            print(frame.array.mean())

    Args:
        url: a channel name, or "scheme:rest?option=value"; framebus.endpoints() tells which there are.
        options: options as values instead of text; they come before those in the URL.

    Raises:
        InvalidUrl: no such scheme or option, or a value that is not of its type.
        EndpointError: the mechanism failed, can't be read from, or needs a package that is not installed.
        SystemFailure: this program has no file descriptors left; nothing stays open.
        ChannelNotFound and the other errors of Subscriber, where they fit.
    """
    opened: Source = _open("source", url, options)
    return opened


def sink(url: str, **options: Any) -> Sink:
    """Opens what frames can be written to. Arguments and errors are those of source()."""
    opened: Sink = _open("sink", url, options)
    return opened


def endpoints() -> tuple[EndpointInfo, ...]:
    """Returns all kinds of sources and sinks, installed or not, sorted by scheme."""
    return tuple(_info(scheme, entry) for scheme, entry in sorted(_known().items()))


def _open(role: Literal["source", "sink"], text: str, given: dict[str, Any]) -> Any:
    url = urls.parse(text)
    with descriptors_told(f"{text!r} can't be opened"):
        endpoint = _find(url)
        opener = endpoint.source if role == "source" else endpoint.sink
        if opener is None:
            other = "written to" if role == "source" else "read from"
            raise EndpointError(f"{text!r} can only be {other}: {endpoint.scheme}: is {endpoint.summary}")
        values = _values(url, endpoint, opener, given)
        _import(endpoint.needs)
        fds.fill_standard()
        try:
            opened = opener(url.rest, **values)
        except ModuleNotFoundError as error:
            if _package(error.name or "") not in map(_package, endpoint.needs):
                raise
            raise EndpointError(_needs(endpoint, error.name or "")) from error
    close_when_left(opened)
    return opened


def _values(url: urls.Url, endpoint: Endpoint, opener: Callable[..., object], given: dict[str, Any]) -> dict[str, Any]:
    """Returns what to call `opener` with: the options of the URL and those given, which come first."""
    options = _options(url.scheme, opener)
    unknown = given.keys() - options.keys()
    if unknown:
        raise InvalidUrl(
            f"{endpoint.scheme}: has no option {min(unknown)!r} here; it knows {', '.join(options) or 'none'}"
        )
    values = {**urls.typed_options(url, options), **given}
    missing = [option.name for option in options.values() if option.required and option.name not in values]
    if missing:
        raise InvalidUrl(f"{url.text!r}: {endpoint.scheme}: needs {missing[0]}=, {options[missing[0]].meaning}")
    return values


def _import(modules: tuple[str, ...]) -> None:
    """Imports what an endpoint imports late, so that no fork finds it half imported; see lifetime.py.

    One that is missing, or fails, does so again where it is used, which may not be now.
    """
    with lifetime.importing:
        for module in modules:
            with contextlib.suppress(ImportError):
                importlib.import_module(module)


def _needs(endpoint: Endpoint, module: str) -> str:
    how = f'pip install "framebus[{endpoint.extra}]"' if endpoint.extra else f"pip install {module}"
    return f"{endpoint.scheme}: needs {module}, which is not installed; run: {how}"


def _find(url: urls.Url) -> Endpoint:
    if url.scheme in _OURS:
        return _load(url.scheme, None)
    known = _known()
    if url.scheme not in known:
        raise InvalidUrl(f"{url.text!r}: no endpoint for {url.scheme}:; there are {', '.join(sorted(known))}")
    return _load(url.scheme, known[url.scheme])


def _known() -> dict[str, EntryPoint | None]:
    """Every scheme, with its entry point where it is not ours."""
    with lifetime.importing:
        from importlib.metadata import entry_points  # costs some milliseconds, and most programs use channels only

    others = {entry.name: entry for entry in entry_points(group=GROUP)}
    return {**others, **dict.fromkeys(_OURS)}


def _load(scheme: str, entry: EntryPoint | None) -> Endpoint:
    if entry is None:
        with lifetime.importing:
            found = importlib.import_module(f"framebus.endpoint.kinds.{_OURS[scheme]}").ENDPOINTS[scheme]
    else:
        try:
            with lifetime.importing:
                found = entry.load()
        except Exception as error:  # a third party's module may fail in any way
            raise EndpointError(f"{scheme}: {entry.value} can't be loaded: {type(error).__name__}: {error}") from error
    if not isinstance(found, Endpoint):
        raise EndpointError(f"{scheme}: {entry.value if entry else scheme} is not a framebus.Endpoint, but {found!r}")
    return found


def _info(scheme: str, entry: EntryPoint | None) -> EndpointInfo:
    try:
        endpoint = _load(scheme, entry)
        source_options = None if endpoint.source is None else _options(scheme, endpoint.source)
        sink_options = None if endpoint.sink is None else _options(scheme, endpoint.sink)
    except EndpointError as error:
        return EndpointInfo(scheme, "", f"{scheme}:", None, None, Capabilities(), False, None, str(error))
    return EndpointInfo(
        scheme,
        endpoint.summary,
        endpoint.url_syntax,
        source_options,
        sink_options,
        endpoint.capabilities,
        all(importlib.util.find_spec(_package(module)) is not None for module in endpoint.needs),
        endpoint.extra,
    )


def _options(scheme: str, opener: Callable[..., object]) -> dict[str, urls.Option]:
    try:
        return urls.options_of(opener)
    except Exception as error:  # a third party's function may have any signature
        raise EndpointError(f"{scheme}: the options of {opener!r} can't be read: {error}") from error


def _package(module: str) -> str:
    return module.partition(".")[0]
