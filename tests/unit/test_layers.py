# SPDX-License-Identifier: Apache-2.0
"""Lower layers never know higher ones: the imports of src/framebus and the includes of include/framebus and bindings.

A module may use those of its own layer and of the layers below, and no chain of uses leads back to its beginning.
Imports count wherever they stand, also inside a function or under TYPE_CHECKING. A new module needs a place in the
tables here.
"""

from __future__ import annotations

import ast
import graphlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# From the bottom. A folder is one module, named as the folder; `__init__` and `__main__` are the package's own.
PYTHON_LAYERS = (
    {"errors"},
    {"_core"},
    {"fds"},
    {
        "statistics",
        "pixel_format",
        "metadata",
        "url",
        "names",
        "deadline",
        "cpp",
        "lifetime",
        "owners",
        "exhausted",
        "pillow",
    },
    {"convert", "frame", "end", "loan", "bgr", "launch", "outgoing", "partial_file"},
    {"aio"},
    {"publisher", "subscriber", "listing", "doctor", "endpoint", "baseimage"},
    {"wire", "sealed", "registry", "paced", "several"},
    {"relay", "lookahead"},
    {"video_capture"},
    {"endpoints"},
    {"__init__"},
    {"demo", "bench"},
    {"testing", "cli", "viewer"},
    {"__main__"},
)

# From the bottom. `os` is a folder; X_steps, X_files and X_counts are parts of X_core. `bindings` is all of bindings/,
# the only place that may know Python.
CPP_LAYERS = (
    {"copy_vector"},
    {"crash", "atomic", "copy", "elbow_room", "layout", "error", "error_code", "os", "predictor", "timeout"},
    {"bell", "descriptor", "leaving", "name"},
    {"control", "store", "element"},
    {"image"},
    {"array"},
    {"membership", "slots"},
    {"cleanup", "doctor", "growth", "listing", "meter", "statistics", "succession", "takeover", "wait"},
    {"reader_session", "publisher_core"},
    {"frame", "loan"},
    {"fetcher", "watcher"},
    {"listener", "notifier"},
    {"subscriber_core"},
    {"publisher", "subscriber", "inspect"},
    {"wait_any"},
    {"framebus"},
    {"bindings"},
)

INCLUDE = re.compile(r'^\s*#\s*include\s*["<]([^">]+)[">]', re.MULTILINE)
PYTHON_HEADERS = re.compile(r"(Python\.h|nanobind/|numpy/|pybind11/)")

Use = tuple[str, str]  # (who, whom)


def python_uses(package: Path) -> Iterator[Use]:
    """Yields every import of one module of `package` by another."""
    for path in sorted([*package.rglob("*.py"), *package.glob("_core.pyi")]):
        inside = path.relative_to(package).with_suffix("").parts
        for name in imported_names(path, (package.name, *inside[:-1])):
            parts = name.split(".")
            if parts[0] == package.name:
                whom = parts[1] if len(parts) > 1 and is_module(package, parts[1]) else "__init__"
                yield inside[0], whom


def is_module(package: Path, name: str) -> bool:
    return name == "_core" or (package / name).is_dir() or (package / f"{name}.py").is_file()


def imported_names(path: Path, inside: tuple[str, ...]) -> Iterator[str]:
    """Yields the full dotted name of everything that the module at `path`, in the package `inside`, imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = inside[: len(inside) - node.level + 1] if node.level else ()
            module = [*base, *(node.module or "").split(".")]
            yield from (".".join([*filter(None, module), alias.name]) for alias in node.names)


def cpp_uses(headers: Path, bindings: Path) -> Iterator[Use]:
    """Yields every include of one of our headers by another header or by a source of the bindings."""
    for top, folder in (("", headers), ("bindings", bindings)):
        for path in sorted([*folder.rglob("*.hpp"), *folder.rglob("*.cpp")]):
            who = top or cpp_module(path, headers)
            for include in INCLUDE.findall(path.read_text(encoding="utf-8")):
                beside, named = (path.parent / include).resolve(), headers.parent / include
                if beside.is_file() and beside.is_relative_to(bindings):
                    yield who, "bindings"
                elif beside.is_file():
                    yield who, cpp_module(beside, headers)
                elif named.is_file():
                    yield who, cpp_module(named, headers)
                elif who != "bindings" and PYTHON_HEADERS.match(include):
                    yield who, "bindings"


def cpp_module(path: Path, headers: Path) -> str:
    return re.sub("_(steps|files|counts)$", "_core", path.relative_to(headers).with_suffix("").parts[0])


def faults(uses: list[Use], layers: tuple[set[str], ...]) -> list[str]:
    """Returns a sentence for everything in `uses` that `layers` does not allow."""
    height = {module: level for level, layer in enumerate(layers) for module in layer}
    modules = {module for use in uses for module in use}
    found = [f"{module} has no place in the table of layers" for module in sorted(modules - height.keys())]
    for who, whom in sorted(set(uses)):
        if who in height and whom in height and height[whom] > height[who]:
            found.append(f"{who} uses {whom}, which is in a higher layer")
    uses_of: dict[str, set[str]] = {who: {whom for a, whom in uses if a == who} - {who} for who in modules}
    try:
        graphlib.TopologicalSorter(uses_of).prepare()
    except graphlib.CycleError as error:
        circle = error.args[1][1:]
        first = circle.index(min(circle))
        found.append(f"these use each other in a circle: {', '.join(circle[first:] + circle[:first])}")
    return found


def test_no_python_module_imports_a_higher_one() -> None:
    uses = list(python_uses(ROOT / "src/framebus"))
    assert uses, "no import was found: the test looked at nothing"
    assert not faults(uses, PYTHON_LAYERS)


def test_every_python_module_has_a_place_in_the_layers() -> None:
    package = ROOT / "src/framebus"
    there = {path.relative_to(package).with_suffix("").parts[0] for path in package.rglob("*.py")}
    assert there
    assert there - set().union(*PYTHON_LAYERS) == set()


def test_no_header_includes_a_higher_one() -> None:
    uses = list(cpp_uses(ROOT / "include/framebus", ROOT / "bindings"))
    assert any(who != "bindings" for who, _ in uses), "no include between headers was found: the test looked at nothing"
    assert any(who == "bindings" != whom for who, whom in uses), "the bindings were not looked at"
    assert not faults(uses, CPP_LAYERS)


def test_every_header_has_a_place_in_the_layers() -> None:
    headers = ROOT / "include/framebus"
    there = {cpp_module(path, headers) for path in headers.rglob("*.hpp")}
    assert there
    assert there - set().union(*CPP_LAYERS) == set()


def test_the_package_itself_only_re_exports() -> None:
    statements = ast.parse((ROOT / "src/framebus/__init__.py").read_text(encoding="utf-8")).body
    assert any(isinstance(node, ast.ImportFrom) for node in statements)
    assert [ast.unparse(node) for node in statements if not only_re_exports(node)] == []


def only_re_exports(node: ast.stmt) -> bool:
    if isinstance(node, ast.Assign):
        return [ast.unparse(target) for target in node.targets] in (["__all__"], ["__version__"])
    is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    is_subpackage = isinstance(node, ast.Import) and [name.name for name in node.names] == ["framebus.endpoints"]
    return isinstance(node, ast.ImportFrom) or is_docstring or is_subpackage


@pytest.mark.parametrize(
    ("module", "text", "fault"),
    [
        ("errors", "import framebus.frame", "errors uses frame, which is in a higher layer"),
        ("errors", "from framebus import frame", "errors uses frame, which is in a higher layer"),
        ("errors", "from . import frame", "errors uses frame, which is in a higher layer"),
        ("errors", "from .frame import Frame", "errors uses frame, which is in a higher layer"),
        ("errors", "from framebus import Publisher", "errors uses __init__, which is in a higher layer"),
        ("errors", "def late():\n    from . import cli", "errors uses cli, which is in a higher layer"),
        ("cli/list", "from ..newcomer import what", "newcomer has no place in the table of layers"),
        ("frame", "from . import convert", "these use each other in a circle: convert, frame"),
    ],
)
def test_a_wrong_import_is_found(tmp_path: Path, module: str, text: str, fault: str) -> None:
    package = tmp_path / "framebus"
    (package / "cli").mkdir(parents=True)
    for name in ("__init__", "errors", "frame", "newcomer", "cli/__init__"):
        (package / f"{name}.py").touch()
    (package / "convert.py").write_text("from framebus.frame import Frame")
    (package / f"{module}.py").write_text(text)
    assert faults(list(python_uses(package)), PYTHON_LAYERS) == [fault]


@pytest.mark.parametrize(
    ("header", "include", "fault"),
    [
        ("framebus/layout", '"slots.hpp"', "layout uses slots, which is in a higher layer"),
        ("framebus/os/linux/file", '"../../slots.hpp"', "os uses slots, which is in a higher layer"),
        ("framebus/layout", "<framebus/slots.hpp>", "layout uses slots, which is in a higher layer"),
        ("framebus/layout", "<Python.h>", "layout uses bindings, which is in a higher layer"),
        ("framebus/slots", '"newcomer.hpp"', "newcomer has no place in the table of layers"),
    ],
)
def test_a_wrong_include_is_found(tmp_path: Path, header: str, include: str, fault: str) -> None:
    (tmp_path / "bindings").mkdir()
    (tmp_path / "framebus/os/linux").mkdir(parents=True)
    for name in ("layout", "slots", "newcomer"):
        (tmp_path / f"framebus/{name}.hpp").write_text("#include <atomic>\n")
    (tmp_path / f"{header}.hpp").write_text(f"#pragma once\n#include {include}\n")
    assert faults(list(cpp_uses(tmp_path / "framebus", tmp_path / "bindings")), CPP_LAYERS) == [fault]
