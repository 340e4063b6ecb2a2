# SPDX-License-Identifier: Apache-2.0
"""What a public module shows: dir() of it lists its public names, and they say that they are of that module.

A class or function that a public module re-exports has that module as its __module__, so that error messages, pickles
and help() name a place that users may import from. The first public module that presents it counts.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FunctionType, GenericAlias

from framebus._util import deprecated

_public = {"framebus.errors"}  # its classes are defined in it


def present(module: str, names: list[str], renamed: dict[str, str] | None = None) -> Callable[[], list[str]]:
    """Makes `names` those of a public module; `renamed` has new names by former ones. Returns its __dir__."""
    _public.add(module)
    things = vars(sys.modules[module])
    for thing in map(things.__getitem__, names):
        if isinstance(thing, GenericAlias):  # in Python 3.10 it passes for a type
            continue
        if isinstance(thing, (type, FunctionType)) and thing.__module__ not in _public:
            thing.__module__ = module

    if renamed:
        things["__getattr__"] = deprecated.lookup(module, renamed)

    def public_names() -> list[str]:
        return sorted(names)

    return public_names
