# SPDX-License-Identifier: Apache-2.0
"""Where the C++ side of framebus is installed: for compilers, CMake and pkg-config.

    c++ -std=c++20 -pthread -I"$(python -c 'import framebus; print(framebus.get_include())')" program.cpp
    cmake -Dframebus_DIR="$(python -c 'import framebus; print(framebus.cmake_dir())')" ...
    PKG_CONFIG_PATH="$(python -c 'import framebus; print(framebus.pkgconfig_dir())')" pkg-config --cflags framebus

Promise: what is returned is there, and belongs to the version of framebus that was asked.
"""

from __future__ import annotations

import sys
from pathlib import Path

from framebus.errors import NotInstalled


def get_include() -> str:
    """The folder for -I: it has framebus/framebus.hpp."""
    return _folder("include", "framebus/framebus.hpp")


def cmake_dir() -> str:
    """The folder for -Dframebus_DIR, so that find_package(framebus) finds framebus::framebus."""
    return _folder("share/cmake/framebus", "framebusConfig.cmake")


def pkgconfig_dir() -> str:
    """The folder for PKG_CONFIG_PATH: it has framebus.pc."""
    return _folder("share/pkgconfig", "framebus.pc")


def _folder(below: str, file: str) -> str:
    places = list(sys.modules["framebus"].__path__)
    for place in places:  # an editable installation has two
        folder = Path(place) / below
        if (folder / file).is_file():
            return str(folder)
    raise NotInstalled(
        f"expected {below}/{file} beside the Python files of framebus, found none in {', '.join(places)}; "
        "install framebus (pip install .) instead of importing it out of its source"
    )
