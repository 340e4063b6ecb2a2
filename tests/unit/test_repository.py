# SPDX-License-Identifier: Apache-2.0
"""What the repository promises about itself: short files and functions, change notes, documents that are true.

The programs in them are run by tests/docs/test_programs.py.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.documents import documents

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.repository
FOLDERS = (
    "cmake", "include", "bindings", "src", "tests", "benchmarks", "examples", "docs", "scripts", "changes", ".ci",
)  # fmt: skip

FILE_CEILINGS = {".hpp": 300, ".py": 400, ".cpp": 400}
FUNCTION_CEILING = 60
FRONT_PAGE_CEILING = 130

NOTE_NAME = re.compile(r"\d+\.(feature|change|fix|removal)(\.\d+)?\.md")

# Home folders and scratch folders of some machine. Written so that this line is not one of them.
MACHINE_PATH = re.compile(r"(?<![\w.$}-])/(?:roo[t]|wor[k]|hom[e]/\w+|User[s]/\w+|tm[p]/\w+)\b")


def repository_files() -> Iterator[Path]:
    """Yields every file that belongs to the repository."""
    yield from (path for path in ROOT.iterdir() if path.is_file() and path.name != "framebus-demo.png")
    for folder in FOLDERS:
        yield from (p for p in (ROOT / folder).rglob("*") if p.is_file() and "__pycache__" not in p.parts)


def sources(*suffixes: str) -> list[Path]:
    found = sorted(path for path in repository_files() if path.suffix in suffixes)
    assert found, f"no {' or '.join(suffixes)} file was found: the test looked at nothing"
    return found


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


# Ceilings


def python_functions(text: str) -> Iterator[tuple[str, int, int]]:
    """Yields name, first line and number of lines of every function."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name, node.lineno, (node.end_lineno or node.lineno) - node.lineno + 1


CPP_NO_CODE = re.compile(
    r"""//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|(?<!\w)'(?:\\.|[^'\\\n])+'|^[ \t]*\#(?:\\\n|[^\n])*""",
    re.DOTALL | re.MULTILINE,
)
CPP_ATTRIBUTE = re.compile(r"(alignas|__attribute__)\s*\([^)]*\)+")
CPP_CONTAINER = re.compile(r"\b(namespace|class|struct|union|enum|extern)\b[^()]*$")


def cpp_functions(text: str) -> Iterator[tuple[str, int, int]]:
    """Yields head, first line and number of lines of every outermost block that is not a namespace, class or the like.

    Approximate: it goes by the braces, after comments, literals and preprocessor lines are taken out.
    """
    code = CPP_NO_CODE.sub(lambda match: "\n" * match.group().count("\n"), text)
    open_blocks: list[tuple[str, int] | None] = []  # head and first line; None for a container
    end_of_last = 0
    for brace in re.finditer("[{};]", code):
        line = code.count("\n", 0, brace.start()) + 1
        before = code[end_of_last : brace.start()].strip()
        end_of_last = brace.end()
        if brace.group() == "{":
            container = not any(open_blocks) and CPP_CONTAINER.search(CPP_ATTRIBUTE.sub("", before))
            open_blocks.append(None if container else (" ".join(before.split()), line - before.count("\n")))
        elif brace.group() == "}" and open_blocks:
            block = open_blocks.pop()
            if block and not any(open_blocks):
                yield block[0], block[1], line - block[1] + 1


def test_no_file_is_longer_than_its_ceiling() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in sources(*FILE_CEILINGS)}
    assert {path.suffix for path in lengths} == set(FILE_CEILINGS)
    too_long = [f"{name_of(path)}: {n} lines" for path, n in lengths.items() if n > FILE_CEILINGS[path.suffix]]
    assert not too_long


@pytest.mark.parametrize(("suffixes", "functions"), [((".py",), python_functions), ((".hpp", ".cpp"), cpp_functions)])
def test_no_function_is_longer_than_the_ceiling(suffixes: tuple[str, ...], functions) -> None:  # type: ignore[no-untyped-def]
    found = [(path, *f) for path in sources(*suffixes) for f in functions(path.read_text(encoding="utf-8"))]
    assert len(found) > 10, "hardly a function was found: the test looked at nothing"
    too_long = [f"{name_of(path)}:{line}: {name}: {n} lines" for path, name, line, n in found if n > FUNCTION_CEILING]
    assert not too_long


def test_the_ceiling_counts_the_lines_of_cpp_functions() -> None:
    text = """\
namespace a::b {
struct alignas(64) Line { int word{1}; };  // {
enum class Kind : int { one, two };
/* { */
template <class T>
struct Box : public Line {
  Box(int x) : word_{x} {
    if (x) { use('{', "}{"); }
  }
  struct stat look(struct stat s) const noexcept {
#define OPEN {

    return s;
  }
};
int one() { return 1; }
inline constexpr int kTable[] = {1,
  2};
}
"""
    assert list(cpp_functions(text)) == [
        ("int word", 2, 1),
        ("Box(int x) : word_", 7, 1),
        ("", 7, 3),
        ("struct stat look(struct stat s) const noexcept", 10, 5),
        ("int one()", 16, 1),
        ("inline constexpr int kTable[] =", 17, 2),
    ]


# Files


def test_no_two_test_files_have_one_name() -> None:
    # pytest can't collect both; who runs only one folder does not notice.
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert len(names) > 50
    assert sorted(names) == sorted(set(names))


def test_every_source_file_begins_by_saying_what_it_promises() -> None:
    silent = []
    for path in sources(".py", ".hpp", ".cpp"):
        lines = path.read_text(encoding="utf-8").splitlines()
        first = next((line for line in lines if "SPDX-License-Identifier" not in line), "")
        if not first.startswith('"""' if path.suffix == ".py" else "// "):
            silent.append(name_of(path))
    assert not silent, "a file begins with a comment that says what it promises (one SPDX line may come before it)"


def test_every_change_note_has_a_valid_name_and_a_text() -> None:
    notes = [path for path in (ROOT / "changes").iterdir() if path.name not in ("README.md", "template.jinja")]
    assert notes
    assert [path.name for path in notes if not NOTE_NAME.fullmatch(path.name)] == []
    assert [path.name for path in notes if len(path.read_text(encoding="utf-8").split()) < 5] == []


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    found = []
    looked_at = 0
    for path in repository_files():
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        looked_at += 1
        found += [f"{name_of(path)}:{n}: {line}" for n, line in enumerate(lines, 1) if MACHINE_PATH.search(line)]
    assert looked_at > 20
    assert not found


# Documents


def without_blocks(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


def paths_named_in(document: Path) -> Iterator[str]:
    """Yields, relative to the top, the targets of local links and every path or file name in a code span."""
    text = without_blocks(document.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if not re.match(r"\w+:", target):
            yield (document.parent / target).resolve().relative_to(ROOT).as_posix()
    for span in re.findall(r"`([^`\n]+)`", text):
        words = re.findall(r"(?<![\w/.~-])[\w.*{},/-]+", span)
        for word in (word.rstrip(".,") for word in words):
            if word.split("/")[0] in FOLDERS and "/" in word:
                yield word
            elif re.fullmatch(r"[\w-]+\.(hpp|cpp)", word):
                yield f"**/{word}"


def expanded(pattern: str) -> list[str]:
    braces = re.search(r"\{([^{}]*)\}", pattern)
    if not braces:
        return [pattern]
    before, after = pattern[: braces.start()], pattern[braces.end() :]
    return [path for part in braces[1].split(",") for path in expanded(before + part + after)]


def exists(pattern: str) -> bool:
    if pattern.startswith("**/"):
        return any(path.name == pattern[3:] for path in repository_files())
    return (ROOT / pattern).exists() or ("*" in pattern and any(ROOT.glob(pattern)))


def test_every_path_that_a_document_names_exists() -> None:
    named = [(document, name) for document in documents() for name in paths_named_in(document)]
    assert len(named) > 10, "hardly a path was found: the test looked at nothing"
    missing = [
        f"{name_of(document)}: {path}" for document, name in named for path in expanded(name) if not exists(path)
    ]
    assert not missing


def sections_of(document: Path) -> set[str]:
    """Returns the sections of a document as links name them."""
    heads = re.findall(r"^#+ (.+)$", without_blocks(document.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


def test_every_section_that_a_document_links_exists() -> None:
    missing = []
    links = 0
    for document in documents():
        for target, section in re.findall(r"\]\(([\w./-]*)#([^)]+)\)", document.read_text(encoding="utf-8")):
            links += 1
            linked = (document.parent / target).resolve() if target else document
            if section not in sections_of(linked):
                missing.append(f"{name_of(document)}: {target}#{section}")
    assert links > 10, "hardly a link was found: the test looked at nothing"
    assert not missing


def test_the_front_page_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= FRONT_PAGE_CEILING


def test_the_index_links_every_page() -> None:
    linked = set(re.findall(r"\]\(([\w-]+\.md)", (ROOT / "docs/index.md").read_text(encoding="utf-8")))
    assert linked == {path.name for path in (ROOT / "docs").glob("*.md")} - {"index.md"}
