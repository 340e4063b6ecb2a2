# SPDX-License-Identifier: Apache-2.0
"""What the distribution says about itself agrees with what is there, and each fact stands in one place.

Classifiers, extras and dependency groups, build requirements, wheels, change notes, hooks, and the fuzz corpus.
"""

from __future__ import annotations

import io
import re
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import framebus
from framebus import cli

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

pytestmark = pytest.mark.repository

ROOT = Path(__file__).parents[2]
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT: dict[str, Any] = PYPROJECT["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
GROUPS: dict[str, list[Any]] = PYPROJECT["dependency-groups"]
VERSIONS = ["3.10", "3.11", "3.12", "3.13", "3.14"]

EXTRAS_NAMED = re.compile(r"(?:framebus|\.)\[([a-z, ]+)\]")


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def own_requirements() -> Iterator[str]:
    """The requirements of all extras and groups."""
    for requirements in (*EXTRAS.values(), *GROUPS.values()):
        yield from (one for one in requirements if isinstance(one, str))


def name_of(requirement: str) -> str:
    match = re.match(r"[\w-]+", requirement)
    assert match, requirement
    return match[0].lower()


# What the index shows


def test_the_classifiers_name_each_version_that_wheels_are_built_for() -> None:
    of_versions = [line.rpartition(" ")[2] for line in PROJECT["classifiers"] if re.search(r"Python :: 3\.\d+$", line)]
    built = [pattern.partition("-")[0] for pattern in PYPROJECT["tool"]["cibuildwheel"]["build"]]
    assert of_versions == VERSIONS
    assert built == [f"cp{version.replace('.', '')}" for version in VERSIONS]
    assert PROJECT["requires-python"] == f">={VERSIONS[0]}"


def test_authors_status_and_addresses_are_said() -> None:
    assert PROJECT["authors"] == [{"name": "The framebus developers"}]
    assert len([line for line in PROJECT["classifiers"] if line.startswith("Development Status :: ")]) == 1
    assert {"Homepage", "Documentation", "Source", "Issues", "Changelog"} <= PROJECT["urls"].keys()
    assert all(url.startswith("https://") for url in PROJECT["urls"].values())


# Requirements


def test_build_requirements_have_no_upper_limit() -> None:
    requires = PYPROJECT["build-system"]["requires"]
    assert {name_of(one) for one in requires} == {"scikit-build-core", "nanobind", "numpy"}
    assert [one for one in requires if not re.fullmatch(r"[\w-]+>=[\d.]+", one)] == []
    pinned = [one for one in own_requirements() if name_of(one) == "nanobind"]
    assert pinned == GROUPS["stub"], "the stub comparison is what pins nanobind, and nothing else names it"


def test_no_group_lists_again_what_another_list_has() -> None:
    # dev is made of the others; bench and demo are installed without test.
    groups = ("test", "lint", "stub", "wheel", "release", "dev")
    names = [name_of(one) for group in groups for one in GROUPS[group] if isinstance(one, str)]
    names += [name_of(one) for extra in EXTRAS.values() for one in extra]
    twice = {name for name in names if names.count(name) > 1} - {"framebus"}
    assert not twice
    included = {one["include-group"] for one in GROUPS["dev"] if isinstance(one, dict)}
    assert included == set(groups) - {"dev"}


def test_every_extra_that_is_named_somewhere_exists() -> None:
    named = set(cli.EXTRAS.values()) | {info.extra for info in framebus.endpoints() if info.extra}
    for requirement in own_requirements():
        named |= {name for names in re.findall(r"^framebus\[([\w,]+)\]", requirement) for name in names.split(",")}
    documents = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    for path in [*documents, *(ROOT / "src").rglob("*.py")]:
        for names in EXTRAS_NAMED.findall(path.read_text(encoding="utf-8")):
            named |= {name.strip() for name in names.split(",")}
    assert {"all", "chart", "cli", "opencv", "testing"} <= named, (
        "hardly an extra was found: the test looked at nothing"
    )
    assert named - EXTRAS.keys() == set()


def test_the_scripts_install_groups_that_exist() -> None:
    named = {
        name
        for path in (ROOT / "scripts").iterdir()
        for names in re.findall(r"^ *install_once ([a-z,]+)", path.read_text(encoding="utf-8"), re.MULTILINE)
        for name in names.split(",")
    }
    assert {"demo", "test", "lint", "bench", "wheel"} <= named
    assert named - GROUPS.keys() == set()
    assert set(PYPROJECT["tool"]["cibuildwheel"]["test-groups"]) <= GROUPS.keys()


# Hooks


def test_the_hooks_are_the_steps_of_the_check() -> None:
    steps = re.findall(r'^step "([^"]+)"', text_of("scripts/check"), re.MULTILINE)
    hooks = re.findall(
        r'^ +entry: scripts/check (?:"([^"]+)"|(\S+))$', text_of(".pre-commit-config.yaml"), re.MULTILINE
    )
    assert len(steps) >= 8
    assert [quoted or bare for quoted, bare in hooks] == steps
    assert text_of(".pre-commit-config.yaml").count("entry:") == len(steps)


# Changes


def test_the_change_log_takes_every_kind_of_note() -> None:
    settings = PYPROJECT["tool"]["towncrier"]
    kinds = re.findall(r"^\| `(\w+)` \|", text_of("changes/README.md"), re.MULTILINE)
    assert kinds
    assert sorted(kind["directory"] for kind in settings["type"]) == sorted(kinds)
    assert "<!-- towncrier release notes start -->\n" in text_of(settings["filename"])
    assert (ROOT / settings["template"]).is_file()


# The fuzz corpus


def test_each_target_of_the_fuzzer_has_an_archive_of_inputs() -> None:
    targets = {path.stem.removeprefix("fuzz_") for path in (ROOT / "tests/fuzz").glob("fuzz_*.cpp")}
    assert {path.name for path in (ROOT / "tests/fuzz/corpus").iterdir()} == {f"{name}.tar.gz" for name in targets}
    for target in targets:
        content = (ROOT / f"tests/fuzz/corpus/{target}.tar.gz").read_bytes()
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
            members = archive.getmembers()
            assert members
            assert [one.name for one in members if not one.isfile() or "/" in one.name] == [], "files without a folder"
            # Without times and owners, the same inputs are the same bytes.
            assert {(one.mtime, one.uid, one.gid) for one in members} == {(0, 0, 0)}
        assert content[4:8] == bytes(4), "gzip -n leaves out the time"
