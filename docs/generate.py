"""Writes `openapi.json`, and the parts of the reference pages that the program knows better than a writer.

`--check` only compares. A part stands between `<!-- generated: NAME -->` and `<!-- end -->`; the prose around it is
written by hand.
"""

import io
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import get_args

import msgspec
from cyclopts import App
from msgspec import Meta
from rich.console import Console

from headgate import settings
from headgate.api.openapi import as_text
from headgate.cli.dispatch import build
from headgate.core.states import NEXT
from headgate.schema.states import StateType
from headgate.server import openapi_document

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "docs" / "reference"
OPENAPI = ROOT / "openapi.json"
PART = re.compile(r"(<!-- generated: (?P<name>[\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def main(arguments: Sequence[str]) -> int:
    """Bring every file up to date; with `--check` answers how many are not."""
    texts = {OPENAPI: as_text(openapi_document())} | {page: render(page) for page in sorted(PAGES.glob("*.md"))}
    stale = {file: text for file, text in texts.items() if not file.exists() or file.read_text("utf-8") != text}
    for file, text in stale.items():
        print(f"{file.relative_to(ROOT)} is out of date" if "--check" in arguments else f"wrote {file.relative_to(ROOT)}")
        if "--check" not in arguments:
            file.write_text(text, "utf-8")
    return len(stale) if "--check" in arguments else 0


def render(page: Path) -> str:
    """The page with all of its generated parts made anew."""
    return PART.sub(lambda part: part[1] + PARTS[part["name"]]() + part[3], page.read_text("utf-8"))


def settings_table() -> str:
    """A row for each setting."""
    rows = ((f"`{settings.env_name(name)}`", kind(name), default(name), settings.help_of(name)) for name in settings.NAMES)
    return table(("Name", "Type", "Default", "What it is"), rows)


def kind(name: str) -> str:
    """The type of a setting and its bounds, in words."""
    annotated, *notes = get_args(settings.TYPES[name])
    words = {str: "text", float: "number", int: "whole number", bool: "true or false"}
    kinds = [words[part] for part in get_args(annotated) or (annotated,) if part in words]
    return ", ".join([" or ".join(kinds), *(bound for note in notes if isinstance(note, Meta) for bound in bounds(note))])


def bounds(note: Meta) -> list[str]:
    """`at least 1`, for each bound that is set."""
    signs = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    return [f"{word} {value:,g}" for sign, word in signs.items() if (value := getattr(note, sign)) is not None]


def default(name: str) -> str:
    """A setting's default, as one would write it."""
    value = getattr(settings.DEFAULTS, name)
    return "unset" if value is None else f"`{value if isinstance(value, str) else msgspec.json.encode(value).decode()}`"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows)) + "\n"


def moves_table() -> str:
    """A row for each state that a run can be in."""
    rows = []
    for kind in StateType:
        allowed = [f"`{to}`" for to in StateType if to in NEXT[kind]]
        rows.append((f"`{kind}`", ", ".join(allowed) if len(allowed) > 1 else f"{allowed[0]} only"))
    return table(("from", "to"), rows)


def endpoints_table() -> str:
    """A row for each operation of the API."""
    document = openapi_document()
    rows = (
        (f"`{method.upper()} {path}`", operation.get("summary", "").replace("|", "\\|"))
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    )
    return table(("call", "what it does"), rows)


def commands_text() -> str:
    """The help of every command, each under its own heading."""
    return "\n".join(f"### {' '.join(['headgate', *words])}\n\n```text\n{help_text(words)}\n```\n" for words in commands())


def commands() -> list[list[str]]:
    """The words of every command that does something, in the order in which they are listed."""

    def below(app: App, words: list[str]) -> Iterator[list[str]]:
        nouns = [name for name in app if not name.startswith("-")]
        for name in nouns:
            yield from below(app[name], [*words, name])
        if not nouns:
            yield words

    return list(below(build(), []))


def help_text(words: Sequence[str]) -> str:
    """What `--help` of a command prints on a terminal of 100 columns."""
    out = io.StringIO()
    build().help_print(words, console=Console(file=out, width=100, color_system=None))
    return "\n".join(line.rstrip() for line in out.getvalue().strip().splitlines())


PARTS: Mapping[str, Callable[[], str]] = {
    "settings": settings_table,
    "moves": moves_table,
    "endpoints": endpoints_table,
    "commands": commands_text,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
