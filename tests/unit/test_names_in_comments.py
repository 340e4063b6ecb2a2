# SPDX-License-Identifier: Apache-2.0
"""Comments and docstrings name only what exists: files, modules, functions, classes and members.

A name is looked up where it can be told from an English word: `slots.hpp`, `tests/model/`, `framebus.channel.wait`,
`recv()`, make_generation, ReaderClaim. A file must be in the repository, in any folder that ends with what is named.
All else must be a name in the code of the repository, in whatever scope; comments in include/ name what is in include/.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("include", "bindings", "src", "tests", "benchmarks", "examples", "scripts")
SOURCES = (".py", ".hpp", ".cpp", ".pml")

# One worker reads the repository, once for all.
pytestmark = [pytest.mark.repository, pytest.mark.xdist_group("names in comments")]

# C++: comments and literals, of which the first that begins is it.
CPP_TEXT = re.compile(
    r"""//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|(?<!\w)'(?:\\.|[^'\\\n])+'""", re.DOTALL
)
# Python: the same. A prefix of a literal stays outside, but for that of a docstring it does not matter.
PYTHON_TEXT = re.compile(
    r"""#[^\n]*|\"""(?:\\.|[^\\])*?\"""|'''(?:\\.|[^\\])*?'''|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", re.DOTALL
)
WORD = re.compile(r"[A-Za-z_]\w*")
FILE = re.compile(r"(?<![\w{}$:/~.<*-])[\w*][\w*./-]*\.(?:py|hpp|cpp|md|sh|pml|toml|pyi)(?![\w/({}-])")
FOLDER = re.compile(rf"(?<![\w{{}}$:/~.-])(?:{'|'.join(FOLDERS)}|docs)/[\w*./-]*[\w*/]")
MODULE = re.compile(r"(?<![\w./:-])(?:framebus|benchmarks)(?:\.[A-Za-z_]\w*)+")
CALL = re.compile(r"(?<![\w$%-])([A-Za-z_]\w*)\(\)")
COMPOUND = re.compile(
    r"(?<![\w./:$%{}<=&?-])(_*[a-z0-9]+(?:_[a-z0-9]+)+|[A-Z][a-z0-9]+(?:[A-Z][a-z0-9]+)+)(?![\w./:=>-])"
)
# Names of other projects, by where they are from.
ELSEWHERE = {
    "Windows, where the original layout is from": (
        "CreateEvent CreateFileMapping MapViewOfFile OpenFileMapping ResetEvent SetEvent WaitForSingleObject"
    ),
    "the libraries of C and C++": "_exit() abort() dup() exit() fork() link() main() terminate() waitpid()",
    "Linux, called by number": "io_uring io_uring_enter io_uring_setup epoll_wait",
    "Linux, structures that are laid out here anew": "io_uring_params io_uring_sqe io_uring_cqe io_uring_probe",
    "Python": "dir_fd isfuture() TokenError framebus.launch.output",  # the last is a logger
    "OpenCV": "VideoWriter ptr()",
    "file formats": "LogLuv ExtraSamples TimestampScale",
    "an example's files, or those of an installation": "algo.py program.cpp framebus.pc",
}
EXCEPTIONS = frozenset(" ".join(ELSEWHERE.values()).split())

Comment = tuple[str, int, str]  # file, line, text


def sources() -> list[Path]:
    return sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in SOURCES)


@cache
def files() -> frozenset[str]:
    """Everything in the repository, folders with a slash at the end."""
    inside = (path for folder in (*FOLDERS, "docs", "cmake", "changes", ".ci") for path in (ROOT / folder).rglob("*"))
    found = [*inside, *(path for path in ROOT.iterdir() if not path.name.startswith("."))]
    return frozenset(path.relative_to(ROOT).as_posix() + "/" * path.is_dir() for path in found)


def docstring_lines(tree: ast.Module) -> set[int]:
    """Returns the lines in which docstrings begin. Walks statements only, since no expression has a docstring."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    lines: set[int] = set()
    nodes: list[ast.AST] = [tree]
    while nodes:
        node = nodes.pop()
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
            lines.add(node.body[0].lineno)
        for field in ("body", "orelse", "finalbody", "handlers", "cases"):
            inside = getattr(node, field, ())
            nodes += inside if isinstance(inside, list) else ()
    return lines


def python_parts(text: str) -> tuple[list[tuple[int, str]], set[str]]:
    """Returns comments and docstrings, each with its line, and the names in everything else."""
    docstrings = docstring_lines(ast.parse(text))
    comments: list[tuple[int, str]] = []
    rest: list[str] = []
    end, line, counted = 0, 1, 0
    for match in PYTHON_TEXT.finditer(text):
        begin = match.start()
        line += text.count("\n", counted, begin)
        counted = begin
        if match.group().startswith("#") or line in docstrings:
            rest.append(text[end:begin])
            comments.append((line, match.group()))
            end = match.end()
    rest.append(text[end:])
    return comments, set(WORD.findall("\n".join(rest)))


def cpp_parts(text: str) -> tuple[list[tuple[int, str]], set[str]]:
    """The same for C++; comments in lines that follow each other are one."""
    comments: list[tuple[int, str]] = []
    names: set[str] = set()
    end = 0
    for match in CPP_TEXT.finditer(text):
        names.update(WORD.findall(text[end : match.start()]))
        if match.group().startswith("/"):
            comments.append((text.count("\n", 0, match.start()) + 1, match.group()))
        else:
            names.update(WORD.findall(match.group()))
        end = match.end()
    names.update(WORD.findall(text[end:]))
    return comments, names


@cache
def repository() -> tuple[list[Comment], set[str], set[str]]:
    """Returns all comments, the names in all code, and those in include/ alone."""
    comments: list[Comment] = []
    names: set[str] = set()
    header_names: set[str] = set()
    for path in sources():
        parts = python_parts if path.suffix == ".py" else cpp_parts
        found, used = parts(path.read_text(encoding="utf-8"))
        comments += [(path.relative_to(ROOT).as_posix(), line, text) for line, text in found]
        names |= used | {path.stem}
        header_names |= used | {path.stem} if path.is_relative_to(ROOT / "include") else set()
    for path in (ROOT / "CMakeLists.txt", ROOT / "pyproject.toml", *(ROOT / "scripts").iterdir()):
        names.update(WORD.findall(path.read_text(encoding="utf-8")))
    return comments, names, header_names


@cache
def is_file(named: str) -> bool:
    return any(fnmatchcase("/" + name.rstrip("/"), f"*/{named.rstrip('/')}") for name in files())


@cache
def is_module(named: str) -> bool:
    """Whether it is a module, or something in one."""
    parts = named.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for part in parts[count:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


def missing(comment: str, names: set[str]) -> Iterator[str]:
    """Yields every name in the comment that leads nowhere."""
    yield from (found for found in FILE.findall(comment) if not is_file(found))
    yield from (found for found in FOLDER.findall(comment) if not is_file(found))
    yield from (found for found in MODULE.findall(comment) if not FILE.fullmatch(found) and not is_module(found))
    yield from (f"{found}()" for found in CALL.findall(comment) if found not in names)
    yield from (found for found in COMPOUND.findall(comment) if not {found, found.removesuffix("s")} & names)


def test_everything_that_comments_name_exists() -> None:
    comments, names, header_names = repository()
    assert len(comments) > 1000
    wrong = [
        f"{file}:{line}: {name}"
        for file, line, text in comments
        for name in missing(text, header_names if file.startswith("include/") else names)
        if name not in EXCEPTIONS
    ]
    assert not wrong, "\n".join(wrong)


def test_every_exception_is_still_in_a_comment() -> None:
    text = " ".join(text for _, _, text in repository()[0])
    assert [name for name in sorted(EXCEPTIONS) if name not in text] == []


def test_names_that_lead_nowhere_are_found_and_others_are_not() -> None:
    names = {"recv", "wait", "make_generation", "ReaderClaim"}
    there = (
        "recv() of slots.hpp, tests/model/, tests/unit/test_names_*.py, framebus.wait(), make_generation, ReaderClaims"
    )
    assert list(missing(there + ", and/or e.g. an URL https://example.org/no_such.py", names)) == []
    gone = ["gone.hpp", "tests/gone/", "framebus.gone", "leave()", "make_gone", "GoneClaim"]
    assert sorted(missing(", ".join(gone), names)) == sorted(gone)
