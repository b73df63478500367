"""The shape of the source: small files and functions, honest names, a sentence on top of each module."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "headgate"
BESIDE = ("examples", "bench")
MODULES = sorted(
    [*SOURCE.rglob("*.py"), *(file for each in BESIDE for file in (ROOT / each).rglob("*.py")), ROOT / "dev.py"]
)

LONGEST_FILE = 500
LONGEST_FUNCTION = 60
BUCKETS = {"utils", "util", "common", "helpers", "models", "base", "misc", "tools"}
EMPTY_VERBS = re.compile(r"_*(handle|process|manage|do)_")

LAZY = {
    "cli/": "a command starts without what other commands need",
    "client/connect.py": "a thread's client starts without the event loop's, and the other way round",
}
"""Where imports may stand in functions without a word of their own, and why."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def tree(module: Path) -> ast.Module:
    return ast.parse(module.read_text("utf-8"))


def functions(module: Path) -> Iterator[Function]:
    yield from (node for node in ast.walk(tree(module)) if isinstance(node, Function))


def place(module: Path, line: int = 1) -> str:
    return f"{module.relative_to(ROOT)}:{line}"


@pytest.fixture(params=MODULES, ids=lambda module: str(module.relative_to(ROOT)))
def module(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


def test_a_module_says_what_it_owns(module: Path) -> None:
    assert ast.get_docstring(tree(module)), f"{place(module)} has no docstring"


def test_a_module_is_no_bucket(module: Path) -> None:
    assert module.stem not in BUCKETS, f"{place(module)}: name it after what it owns"


def test_a_file_fits_a_reader(module: Path) -> None:
    lines = len(module.read_text("utf-8").splitlines())
    assert lines <= LONGEST_FILE, f"{place(module)} has {lines} lines; {LONGEST_FILE} at most"


def test_a_function_fits_a_screen(module: Path) -> None:
    long = [
        f"{place(module, each.lineno)} {each.name}: {length} lines"
        for each in functions(module)
        if (length := (each.end_lineno or each.lineno) - each.lineno + 1) > LONGEST_FUNCTION
    ]
    assert not long


def test_a_function_is_named_for_what_it_does(module: Path) -> None:
    empty = [f"{place(module, each.lineno)} {each.name}" for each in functions(module) if EMPTY_VERBS.match(each.name)]
    assert not empty


def test_a_public_function_says_what_it_promises(module: Path) -> None:
    """Module-level functions only; a method's class, protocol or overridden method may say it for it."""
    public = [node for node in tree(module).body if isinstance(node, Function) and not node.name.startswith("_")]
    silent = [
        f"{place(module, node.lineno)} {node.name}"
        for node in public
        if not ast.get_docstring(node) and "overload" not in map(ast.unparse, node.decorator_list)
    ]
    assert not silent


def test_an_import_inside_a_function_says_why(module: Path) -> None:
    """Outside `LAZY` the reason is a comment on the import's line or above its block."""
    if any(place(module).startswith(f"src/headgate/{lazy}") for lazy in LAZY):
        return
    lines = ["", *module.read_text("utf-8").splitlines()]
    bare = [place(module, line) for line in sorted(hidden_imports(module)) if not has_reason(lines, line)]
    assert not bare


def hidden_imports(module: Path) -> set[int]:
    """The lines of imports inside functions."""
    return {
        node.lineno
        for function in functions(module)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }


def has_reason(lines: list[str], line: int) -> bool:
    """Whether a comment stands on this line, or above the imports that it goes on from."""
    if "#" in lines[line]:
        return True
    above = lines[line - 1].strip()
    return above.startswith("#") or (above.startswith(("import ", "from ")) and has_reason(lines, line - 1))
