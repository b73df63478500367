"""The table of `docs/reference/compatibility.md`: what each release was seen to do. `python3 dev.py clients` writes it.

Run as a program, with the report that pytest wrote (`--junit-xml`), it writes the table from that.
"""

import importlib.util
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import left_out

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "reference" / "compatibility.md"
PART = re.compile(r"(<!-- clients -->\n).*?(<!-- end of clients -->)", re.DOTALL)
WORKS, FAILS, ABSENT = "works", "fails", "–"

Outcomes = Mapping[tuple[str, str], str]
"""By what was covered and the release that did it."""


def main(report: Path) -> None:
    """Write the table into the page."""
    text = PAGE.read_text("utf-8")
    table = render(recorded(ElementTree.parse(report).iter("testcase")))
    PAGE.write_text(PART.sub(lambda part: part[1] + table + part[2], text), "utf-8")


def recorded(cases: Iterable[ElementTree.Element]) -> Outcomes:
    """What a run of the suite saw. What several tests cover works when all of them passed."""
    outcomes: dict[tuple[str, str], str] = {}
    for case in cases:
        told = [(each.get("name", ""), each.get("value", "")) for each in case.iter("property")]
        failed = case.find("failure") is not None or case.find("error") is not None
        for release in (value for name, value in told if name == "release"):
            for covered in (value for name, value in told if name == "covers"):
                before = outcomes.get((covered, release), WORKS)
                outcomes[covered, release] = FAILS if failed else before
    return outcomes


def declared() -> set[tuple[str, str]]:
    """What the tests beside this file say that they cover, without running any."""
    return {each for file in sorted(HERE.glob("test_*.py")) for each in _of(_load(file))}


def render(outcomes: Outcomes) -> str:
    """Three Markdown tables: of the commands, of everything else, and of the commands that are not run."""
    releases = sorted({release for _, release in outcomes}, key=lambda each: [-int(part) for part in each.split(".")])
    covered = sorted({covered for covered, _ in outcomes})
    commands = [each for each in covered if each.islower() and ":" not in each]
    others = [each for each in covered if each not in commands]
    parts = [_table("command", [(f"`{each}`", each) for each in commands], releases, outcomes)]
    parts.append(_table("use", [(each, each) for each in others], releases, outcomes))
    parts.append(left_out.render())
    return "\n" + "\n".join(parts) + "\n"


def _table(head: str, rows: Iterable[tuple[str, str]], releases: list[str], outcomes: Outcomes) -> str:
    lines = [[head, *releases], ["---"] * (1 + len(releases))]
    lines += [[shown, *(outcomes.get((each, release), ABSENT) for release in releases)] for shown, each in rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _of(module: Any) -> Iterator[tuple[str, str]]:
    for name, test in vars(module).items():
        if name.startswith("test_"):
            marks = getattr(test, "pytestmark", ())
            releases = [each for mark in marks if mark.args[:1] == ("release",) for each in mark.args[1]]
            yield from (
                (each, release) for mark in marks if mark.name == "covers" for each in mark.args for release in releases
            )


def _load(file: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"clients_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main(Path(sys.argv[1]))
