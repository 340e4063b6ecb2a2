# SPDX-License-Identifier: Apache-2.0
"""A C++ project outside this one finds framebus in every way the documents name, builds without a warning and runs.

What must not compile does not: programs without exceptions, and views of a frame that is gone at the end of the line.
Against a wheel only those tests run that use the headers in it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import framebus

ROOT = Path(__file__).parents[2]
PROJECT = ROOT / "tests/project"
COMPILER = shutil.which(os.environ.get("CXX", "c++"))
STRICT = ["-std=c++20", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"]
WATCHDOG_S = 110

pytestmark = pytest.mark.skipif(COMPILER is None, reason="needs a C++ compiler; run: scripts/system-packages")
needs_pkg_config = pytest.mark.skipif(
    shutil.which("pkg-config") is None, reason="needs pkg-config; run: scripts/system-packages"
)


def run(*command: object, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [str(word) for word in command],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=WATCHDOG_S,
        check=False,
    )
    assert done.returncode == 0 or not check, f"{command}:\n{done.stdout}{done.stderr}"
    return done


def build_outside(build: Path, *options: str) -> Path:
    run("cmake", "-S", PROJECT, "-B", build, "-G", "Ninja", *options)
    run("cmake", "--build", build)
    return build / "outside"


def check_outside(program: Path, channel_name: str) -> None:
    assert run(program, channel_name).stdout == "48x64 of 7\n"


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `cmake --install` has put framebus; moved after that, as packages are."""
    folder = tmp_path_factory.mktemp("plain")
    run("cmake", "-S", ROOT, "-B", folder / "build", "-G", "Ninja", "-DFRAMEBUS_TESTS=OFF", "-DFRAMEBUS_EXAMPLES=OFF")
    run("cmake", "--build", folder / "build")
    run("cmake", "--install", folder / "build", "--prefix", folder / "first")
    return (folder / "first").rename(folder / "moved")


def test_find_package_finds_what_came_with_the_wheel(tmp_path: Path, channel_name: str) -> None:
    program = build_outside(tmp_path, f"-Dframebus_DIR={framebus.cmake_dir()}", "-DVERSION=0.1")
    check_outside(program, channel_name)
    assert framebus.get_include() in (tmp_path / "build.ninja").read_text(encoding="utf-8")


@pytest.mark.repository
def test_find_package_finds_what_cmake_has_installed(tmp_path: Path, channel_name: str, prefix: Path) -> None:
    check_outside(build_outside(tmp_path, f"-DCMAKE_PREFIX_PATH={prefix}"), channel_name)
    assert str(prefix / "include") in (tmp_path / "build.ninja").read_text(encoding="utf-8")


@pytest.mark.repository
def test_find_package_refuses_a_version_that_is_not_there(tmp_path: Path) -> None:
    options = [f"-Dframebus_DIR={framebus.cmake_dir()}", "-DVERSION=97.1"]
    done = run("cmake", "-S", PROJECT, "-B", tmp_path, "-G", "Ninja", *options, check=False)
    assert done.returncode != 0
    assert f"version: {framebus.__version__}" in done.stderr


@pytest.mark.repository
@pytest.mark.parametrize("how", ["add_subdirectory", "FetchContent"])
def test_the_sources_can_be_a_part_of_another_project(tmp_path: Path, channel_name: str, how: str) -> None:
    program = build_outside(tmp_path, f"-DHOW={how}", f"-DFRAMEBUS_SOURCE={ROOT}")
    check_outside(program, channel_name)
    assert not list(tmp_path.rglob("test_*")), "its tests were built too"
    run("cmake", "--install", tmp_path, "--prefix", tmp_path / "prefix")
    assert not list((tmp_path / "prefix").rglob("framebus*")), "it installed itself with the other project"


@needs_pkg_config
@pytest.mark.parametrize("where", ["wheel", pytest.param("prefix", marks=pytest.mark.repository)])
def test_pkg_config_leads_to_the_headers_beside_it(
    tmp_path: Path, channel_name: str, where: str, request: pytest.FixtureRequest
) -> None:
    folder = framebus.pkgconfig_dir()
    if where == "prefix":
        folder = str(request.getfixturevalue("prefix") / "share/pkgconfig")
    flags = run("pkg-config", "--cflags", "--libs", "framebus", PKG_CONFIG_PATH=folder).stdout.split()
    version = run("pkg-config", "--modversion", "framebus", PKG_CONFIG_PATH=folder).stdout.strip()
    assert version == framebus.__version__
    # Not as system headers: every warning counts.
    run(COMPILER, *STRICT, PROJECT / "outside.cpp", "-o", tmp_path / "outside", *flags)
    check_outside(tmp_path / "outside", channel_name)


def test_the_folders_are_those_of_the_installed_package() -> None:
    package = Path(framebus.__file__).parent
    assert {Path(f).relative_to(package).parts[0] for f in (framebus.cmake_dir(), framebus.pkgconfig_dir())} == {
        "share"
    }
    assert Path(framebus.get_include()) == package / "include"
    installed = {path.name for path in (package / "include/framebus").glob("*.hpp")}
    assert installed == {path.name for path in (ROOT / "include/framebus").glob("*.hpp")}


def test_headers_that_are_missing_are_an_error_that_says_where_they_should_be() -> None:
    code = "import framebus, sys; framebus.__path__[:] = ['nowhere']; framebus.get_include()"
    done = run(shutil.which("python"), "-c", code, check=False)
    last = done.stderr.splitlines()[-1]
    assert "NotInstalled: expected include/framebus/framebus.hpp beside the Python files of framebus" in last
    assert "nowhere" in last


def compile_lines(tmp_path: Path, *lines: str, flags: tuple[str, ...] = ()) -> dict[int, str]:
    """Compile a program of these lines; gives the first error of each line that has any, by its index."""
    begin = "#include <framebus/framebus.hpp>\nint main() {\n"
    (tmp_path / "program.cpp").write_text(begin + "\n".join(lines) + "\n}\n")
    include = framebus.get_include()
    done = run(COMPILER, *STRICT, *flags, "-fsyntax-only", f"-I{include}", tmp_path / "program.cpp", check=False)
    errors = re.findall(r"program\.cpp:(\d+):\d+: error: (.*)", done.stderr)
    assert bool(errors) == (done.returncode != 0) or "#error" in done.stderr, done.stderr
    if "#error" in done.stderr:
        errors = [("1", done.stderr)]
    return {int(line) - 3: error for line, error in reversed(errors)}


@pytest.mark.repository
def test_a_program_without_exceptions_is_refused_with_a_sentence(tmp_path: Path) -> None:
    errors = compile_lines(tmp_path, "", flags=("-fno-exceptions", "-Wfatal-errors"))
    assert "framebus needs exceptions" in "".join(errors.values())


@pytest.mark.repository
def test_a_view_of_a_frame_that_is_gone_does_not_compile(tmp_path: Path) -> None:
    views = ["span<float>()", "image<float>()", "data()", "data<float>()", "meta_json()", "pixel_format()"]
    begin = ['framebus::Subscriber sub("camera0");', "const auto frame = sub.recv();"]
    good = [f"{{ auto view = frame.{view}; (void)view; }}" for view in views]
    bad = [f"{{ auto view = sub.recv().{view}; (void)view; }}" for view in views]
    first = len(begin) + len(good)
    errors = compile_lines(tmp_path, *begin, *good, *bad, flags=("-fno-rtti",))  # which framebus does without
    assert sorted(errors) == list(range(first, first + len(bad)))
    assert all("deleted function" in error for error in errors.values())


@pytest.mark.repository
def test_what_is_no_array_of_numbers_does_not_compile(tmp_path: Path) -> None:
    begin = 'framebus::Publisher publisher("camera0"); const std::string text = "text"; const std::vector<bool> bits;'
    good = "publisher.send(std::vector<float>(4), {4});"
    bad = [
        "publisher.send(text, {4});",
        "publisher.send(4, {4});",
        "publisher.loan<char>({4});",
        "publisher.send(bits, {0});",
    ]
    assert sorted(compile_lines(tmp_path, begin, good, *bad)) == [2, 3, 4, 5]
