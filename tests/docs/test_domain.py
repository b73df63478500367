"""The page about the domain: every statement has what shows it and a test that proves it, and the tests exist."""

import ast
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from doc_pages import ROOT

from headgate.cli.dispatch import build

PAGE = ROOT / "docs" / "reference" / "domain.md"
TEST = re.compile(r"`(?P<file>tests/[\w/]+\.py)::(?P<name>test_\w+)`")


def rows() -> Iterator[tuple[str, list[str]]]:
    """Each row of each table below its head, with the heading over it."""
    heading = ""
    for line in PAGE.read_text("utf-8").splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        elif line.startswith("|") and not line.startswith(("| statement ", "| ---")):
            yield heading, [cell.strip() for cell in line.strip("|").split("|")]


ROWS = list(rows())


@cache
def names_in(file: Path) -> frozenset[str]:
    """The functions of a file of tests; of a parametrised test there is one."""
    defined = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(node, defined))


def test_the_page_has_rows_under_every_heading_of_the_documents() -> None:
    headings = re.findall(r"^##+ (.+)$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert headings == list(dict.fromkeys(heading for heading, _ in ROWS))


@pytest.mark.parametrize(("heading", "cells"), ROWS, ids=[f"{heading} - {cells[0][:50]}" for heading, cells in ROWS])
def test_a_row_is_complete_and_its_tests_exist(heading: str, cells: list[str]) -> None:
    assert len(cells) == 3
    assert all(cells)
    found = list(TEST.finditer(cells[2]))
    assert ", ".join(match[0] for match in found) == cells[2], "the last cell names tests and nothing else"
    for match in found:
        file = ROOT / match["file"]
        assert file.exists()
        assert match["name"] in names_in(file)


COMMANDS = sorted({code for _, cells in ROWS for code in re.findall(r"`(headgate [^`]+)`", cells[1])})


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_a_row_names_exists(command: str) -> None:
    """And so do its options; what has to be given beside them may be left out."""
    _, (*_, app), rest = build().parse_commands(shlex.split(command)[1:])
    assert app.default_command is not None, "a command that does something"
    known = {name for argument in app.assemble_argument_collection() for name in argument.names}
    assert {word for word in rest if word.startswith("-")} <= known
