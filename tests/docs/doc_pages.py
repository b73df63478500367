"""The pages and the pieces of code in them."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
_FENCE = re.compile(r"^```(?P<language>\w*)(?P<marks>[^\n]*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)


CONTINUED = "continued"
"""Marks a piece of code that goes on where the one before it on its page ended."""


@dataclass(frozen=True, slots=True)
class Snippet:
    """A fenced block: `marks` is what stands behind its language."""

    page: Path
    line: int
    language: str
    marks: str
    code: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def snippets(language: str) -> list[Snippet]:
    """All blocks of a language, in all pages."""
    return [
        Snippet(page, text.count("\n", 0, fence.start()) + 1, fence["language"], fence["marks"].strip(), fence["code"])
        for page in PAGES
        for text in [page.read_text("utf-8")]
        for fence in _FENCE.finditer(text)
        if fence["language"] == language
    ]


def with_what_it_continues(snippet: Snippet) -> str:
    """The code of a block, after that of the blocks that it goes on from."""
    code = ""
    for each in snippets(snippet.language):
        if each.page == snippet.page and each.line <= snippet.line:
            code = f"{code}\n{each.code}" if each.marks == CONTINUED else each.code
    return code
