# SPDX-License-Identifier: Apache-2.0
"""Folders are layers, and lower layers never import higher ones: src/framebus, include/framebus and bindings.

A folder (or a file that stands beside the folders) may use those of its own layer and of the layers below, and no chain
of uses leads back to its beginning. Imports count wherever they stand, also inside a function or under TYPE_CHECKING.
A new folder needs a place in the tables here, and a place in the tables needs a folder. One kind of endpoint never
imports another, and no module has the name of a public function.
"""

from __future__ import annotations

import ast
import graphlib
import importlib
import pkgutil
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import GenericAlias

import pytest

import framebus

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.repository

# From the bottom. `__init__` and `__main__` are the package's own.
PYTHON_LAYERS = (
    {"errors"},
    {"_core"},
    {"_util"},
    {"frames"},
    {"launch"},
    {"channel", "baseimage"},
    {"endpoint", "opencv"},
    {"__init__"},
    {"bench", "demo", "testing"},
    {"cli"},
    {"__main__"},
)

# From the bottom. What is not a folder is a header of the API. `bindings` is all of bindings/, the only place that may
# know Python.
CPP_LAYERS = (
    {"base"},
    {"error", "timeout"},
    {"error_code", "statistics", "options"},
    {"os"},
    {"layout", "copy"},
    {"segment"},
    {"wait"},
    {"session"},
    {"notify", "element", "doctor"},
    {"image"},
    {"array"},
    {"frame"},
    {"core"},
    {"loan"},
    {"publisher", "subscriber"},
    {"inspect", "wait_any", "sigbus"},
    {"framebus"},
    {"bindings"},
)

# The modules that other distributions import; README.md and docs/ name them.
PUBLIC_MODULES = ("framebus", "framebus.baseimage", "framebus.endpoint", "framebus.errors", "framebus.testing")

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


@cache
def imports(text: str) -> tuple[ast.Import | ast.ImportFrom, ...]:
    """Returns the statements of a module that import something."""
    return tuple(node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import | ast.ImportFrom))


def imported_names(path: Path, inside: tuple[str, ...]) -> Iterator[str]:
    """Yields the full dotted name of everything that the module at `path`, in the package `inside`, imports."""
    for node in imports(path.read_text(encoding="utf-8")):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        else:
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
    return path.relative_to(headers).with_suffix("").parts[0]


def faults(uses: list[Use], layers: tuple[set[str], ...]) -> list[str]:
    """Returns a sentence for everything in `uses` that `layers` does not allow."""
    height = {module: level for level, layer in enumerate(layers) for module in layer}
    modules = {module for use in uses for module in use}
    found = [f"{module} has no place in the table of layers" for module in sorted(modules - height.keys())]
    for who, whom in sorted(set(uses)):
        if who in height and whom in height and height[whom] > height[who]:
            found.append(f"{who} uses {whom}, which is in a higher layer")
    return found + circles(uses)


def circles(uses: list[Use]) -> list[str]:
    """Returns a sentence for a chain of uses that leads back to its beginning, if there is one."""
    modules = {module for use in uses for module in use}
    uses_of: dict[str, set[str]] = {who: {whom for a, whom in uses if a == who} - {who} for who in modules}
    try:
        graphlib.TopologicalSorter(uses_of).prepare()
    except graphlib.CycleError as error:
        circle = error.args[1][1:]
        first = circle.index(min(circle))
        return [f"these use each other in a circle: {', '.join(circle[first:] + circle[:first])}"]
    return []


def file_uses(package: Path) -> Iterator[Use]:
    """Yields every import of one file of `package` by another; a package's own file counts for the package's name."""
    for path in sorted(package.rglob("*.py")):
        inside = path.relative_to(package).with_suffix("").parts
        for name in imported_names(path, (package.name, *inside[:-1])):
            parts = tuple(name.split("."))[1:] if name.split(".")[0] == package.name else ()
            while parts and not (
                package.joinpath(*parts).is_dir() or package.joinpath(*parts).with_suffix(".py").is_file()
            ):
                parts = parts[:-1]
            if parts and package.joinpath(*parts).with_suffix(".py").is_file():
                yield ".".join(inside), ".".join(parts)


def is_file(package: Path, parts: tuple[str, ...]) -> bool:
    return bool(parts) and package.joinpath(*parts).with_suffix(".py").is_file()


def header_uses(headers: Path) -> Iterator[Use]:
    """Yields every include of one of our headers by another."""
    for path in sorted(headers.rglob("*.hpp")):
        for include in INCLUDE.findall(path.read_text(encoding="utf-8")):
            if (headers.parent / include).is_file():
                yield path.relative_to(headers.parent).as_posix(), include


def kinds_that_know_each_other(package: Path) -> list[str]:
    """Returns a sentence for every kind of endpoint that imports another one."""
    found = []
    for who, whom in sorted(set(file_uses(package))):
        a, b = who.split("."), whom.split(".")
        if a[:2] == b[:2] == ["endpoint", "kinds"] and len(a) > 2 and len(b) > 2 and a[2] != b[2]:
            found.append(f"endpoint kind {a[2]} imports {b[2]}")
    return found


def test_no_python_module_imports_a_higher_one() -> None:
    uses = list(python_uses(ROOT / "src/framebus"))
    assert uses, "no import was found: the test looked at nothing"
    assert not faults(uses, PYTHON_LAYERS)


def test_no_chain_of_imports_leads_back_to_its_beginning() -> None:
    uses = list(file_uses(ROOT / "src/framebus"))
    assert len(uses) > 100, "hardly an import was found: the test looked at nothing"
    assert not circles(uses)


def test_no_chain_of_includes_leads_back_to_its_beginning() -> None:
    uses = list(header_uses(ROOT / "include/framebus"))
    assert len(uses) > 40, "hardly an include was found: the test looked at nothing"
    assert not circles(uses)


def test_no_kind_of_endpoint_imports_another() -> None:
    assert any(who.startswith("endpoint.kinds.") for who, _ in file_uses(ROOT / "src/framebus"))
    assert not kinds_that_know_each_other(ROOT / "src/framebus")


def test_every_folder_has_a_place_in_the_layers_and_every_place_a_folder() -> None:
    package = ROOT / "src/framebus"
    there = {path.relative_to(package).with_suffix("").parts[0] for path in package.rglob("*.py")} | {"_core"}
    assert there == set().union(*PYTHON_LAYERS)
    headers = ROOT / "include/framebus"
    there = {cpp_module(path, headers) for path in headers.rglob("*.hpp")} | {"bindings"}
    assert there == set().union(*CPP_LAYERS)


def test_no_header_includes_a_higher_one() -> None:
    uses = list(cpp_uses(ROOT / "include/framebus", ROOT / "bindings"))
    assert any(who != "bindings" for who, _ in uses), "no include between headers was found: the test looked at nothing"
    assert any(who == "bindings" != whom for who, whom in uses), "the bindings were not looked at"
    assert not faults(uses, CPP_LAYERS)


def test_headers_are_included_by_their_full_path() -> None:
    headers = ROOT / "include/framebus"
    found = [
        f"{path.relative_to(ROOT).as_posix()}: {include}"
        for path in sorted(headers.rglob("*.hpp"))
        for include in re.findall(r'^\s*#\s*include\s*"([^"]+)"', path.read_text(encoding="utf-8"), re.MULTILINE)
        if not (headers.parent / include).is_file()
    ]
    assert not found


def test_what_is_not_api_is_in_the_namespace_detail() -> None:
    headers = ROOT / "include/framebus"
    internal = [path for path in headers.rglob("*.hpp") if path.parent != headers]
    assert internal
    version = "framebus::inline FRAMEBUS_VERSION"
    for path in headers.rglob("*.hpp"):
        opened = re.findall(
            r"^namespace (framebus\S*(?: FRAMEBUS_VERSION\S*)?) \{", path.read_text(encoding="utf-8"), re.MULTILINE
        )
        wrong = [name for name in opened if not name.startswith(f"{version}::detail" if path in internal else version)]
        assert not wrong, path


@pytest.mark.parametrize("name", PUBLIC_MODULES)
def test_a_public_module_lists_its_names_and_says_that_they_are_its_own(name: str) -> None:
    module = importlib.import_module(name)
    assert dir(module) == sorted(module.__all__)
    things = {each: getattr(module, each) for each in module.__all__}
    # An alias such as Callable[[int], int] passes for a type in Python 3.10.
    classes = {
        each for each, thing in things.items() if isinstance(thing, type) and not isinstance(thing, GenericAlias)
    }
    assert classes, "no class was found: the test looked at nothing"
    assert {things[each].__module__ for each in classes} <= set(PUBLIC_MODULES)


def test_no_module_has_the_name_of_a_public_function() -> None:
    modules = {info.name for info in pkgutil.walk_packages(framebus.__path__, "framebus.")}
    assert "framebus.channel.publisher" in modules
    clashes = [
        name
        for name in modules
        if (parent := importlib.import_module(name.rpartition(".")[0])) is not None
        and name.rpartition(".")[2] in getattr(parent, "__all__", ())
    ]
    assert not clashes


def test_the_package_itself_only_re_exports() -> None:
    statements = ast.parse((ROOT / "src/framebus/__init__.py").read_text(encoding="utf-8")).body
    assert any(isinstance(node, ast.ImportFrom) for node in statements)
    assert [ast.unparse(node) for node in statements if not only_re_exports(node)] == []


def only_re_exports(node: ast.stmt) -> bool:
    if isinstance(node, ast.Assign):
        return [ast.unparse(target) for target in node.targets] in (["__all__"], ["__dir__"], ["__version__"])
    is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return isinstance(node, ast.ImportFrom) or is_docstring


@pytest.mark.parametrize(
    ("module", "text", "fault"),
    [
        ("errors", "import framebus.frames", "errors uses frames, which is in a higher layer"),
        ("errors", "from framebus import frames", "errors uses frames, which is in a higher layer"),
        ("errors", "from . import frames", "errors uses frames, which is in a higher layer"),
        ("errors", "from .frames.frame import Frame", "errors uses frames, which is in a higher layer"),
        ("errors", "from framebus import Publisher", "errors uses __init__, which is in a higher layer"),
        ("errors", "def late():\n    from . import cli", "errors uses cli, which is in a higher layer"),
        ("channel/end", "import framebus.endpoint.url", "channel uses endpoint, which is in a higher layer"),
        ("cli/list", "from ..newcomer import what", "newcomer has no place in the table of layers"),
        ("channel/end", "from framebus.baseimage import x", "these use each other in a circle: baseimage, channel"),
    ],
)
def test_a_wrong_import_is_found(tmp_path: Path, module: str, text: str, fault: str) -> None:
    package = python_package(tmp_path)
    (package / f"{module}.py").write_text(text)
    assert faults(list(python_uses(package)), PYTHON_LAYERS) == [fault]


def test_a_circle_of_files_and_a_kind_that_imports_another_are_found(tmp_path: Path) -> None:
    package = python_package(tmp_path)
    (package / "frames/arrays.py").write_text("from framebus.frames import frame")
    (package / "frames/frame.py").write_text("from framebus.frames.arrays import as_arrays")
    (package / "endpoint/kinds/pipe/source.py").write_text("from framebus.endpoint.kinds.video import reader")
    assert circles(list(file_uses(package))) == ["these use each other in a circle: frames.arrays, frames.frame"]
    assert kinds_that_know_each_other(package) == ["endpoint kind pipe imports video"]


def python_package(tmp_path: Path) -> Path:
    package = tmp_path / "framebus"
    for folder in ("cli", "frames", "channel", "baseimage", "endpoint/kinds/pipe", "endpoint/kinds/video"):
        (package / folder).mkdir(parents=True)
        (package / folder / "__init__.py").touch()
    for name in ("__init__", "errors", "newcomer", "frames/frame", "endpoint/url", "endpoint/kinds/video/reader"):
        (package / f"{name}.py").touch()
    (package / "baseimage/end.py").write_text("from framebus.channel import handle")
    return package


@pytest.mark.parametrize(
    ("header", "include", "fault"),
    [
        ("framebus/layout/layout", '"framebus/segment/slots.hpp"', "layout uses segment, which is in a higher layer"),
        ("framebus/os/linux/file", '"../../segment/slots.hpp"', "os uses segment, which is in a higher layer"),
        ("framebus/layout/layout", "<framebus/segment/slots.hpp>", "layout uses segment, which is in a higher layer"),
        ("framebus/layout/layout", "<Python.h>", "layout uses bindings, which is in a higher layer"),
        ("framebus/segment/slots", '"framebus/newcomer.hpp"', "newcomer has no place in the table of layers"),
    ],
)
def test_a_wrong_include_is_found(tmp_path: Path, header: str, include: str, fault: str) -> None:
    for folder in ("bindings", "framebus/os/linux", "framebus/layout", "framebus/segment"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("layout/layout", "segment/slots", "newcomer"):
        (tmp_path / f"framebus/{name}.hpp").write_text("#include <atomic>\n")
    (tmp_path / f"{header}.hpp").write_text(f"#pragma once\n#include {include}\n")
    assert faults(list(cpp_uses(tmp_path / "framebus", tmp_path / "bindings")), CPP_LAYERS) == [fault]
