# SPDX-License-Identifier: Apache-2.0
"""Former names of the public API. They keep working, and each use warns and says the new name.

Neither dir() nor a type checker knows them.
"""

from __future__ import annotations

import functools
import sys
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

Class = TypeVar("Class", bound=type)


def warn(former: str, new: str, above: int = 1) -> None:
    """Warns at the line that called the function which calls this one, or `above` calls up."""
    warnings.warn(f"{former} is deprecated; write {new}", DeprecationWarning, stacklevel=2 + above)


def lookup(module: str, renamed: dict[str, str]) -> Callable[[str], object]:
    """Returns the __getattr__ of a module; `renamed` has the new names by the former ones."""

    def find(name: str) -> object:
        if name not in renamed:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        warn(f"{module}.{name}", f"{module}.{renamed[name]}")
        return getattr(sys.modules[module], renamed[name])

    return find


def attribute(former: str, new: str) -> Any:
    """Returns a property that is the attribute `new`."""

    def read(owner: object) -> object:
        warn(f"{type(owner).__name__}.{former}", new)
        return getattr(owner, new)

    def write(owner: object, value: object) -> None:
        warn(f"{type(owner).__name__}.{former}", new)
        setattr(owner, new, value)

    return property(read, write)


def fields(**renamed: str) -> Callable[[Class], Class]:
    """Decorates a dataclass, which then takes and has its fields by their former names too.

    A call with both names of a field raises TypeError.
    """

    def decorate(cls: Class) -> Class:
        construct = vars(cls)["__init__"]

        @functools.wraps(construct)
        def init(self: object, *values: object, **named: object) -> None:
            for former in renamed.keys() & named.keys():
                new = renamed[former]
                if new in named:
                    raise TypeError(f"{cls.__name__}() takes {former}= or {new}=, which replaces it, not both")
                warn(f"{cls.__name__}({former}=)", f"{new}=")
                named[new] = named.pop(former)
            construct(self, *values, **named)

        properties = {former: attribute(former, new) for former, new in renamed.items()}
        for name, value in {"__init__": init, **properties}.items():
            setattr(cls, name, value)
        return cls

    return decorate
