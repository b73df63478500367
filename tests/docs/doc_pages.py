"""The pages and the pieces of code in them."""

import os
import re
import subprocess
import sys
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


def run_python(code: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """Run code as a script in a directory whose `home` is its home, without a server and with warnings as errors."""
    script = directory / "script.py"
    script.write_text(code)
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("HEADGATE_", "PREFECT_"))}
    return subprocess.run(
        [sys.executable, "-W", "error", script],
        cwd=directory,
        env=environment | {"HEADGATE_HOME": str(directory / "home")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
