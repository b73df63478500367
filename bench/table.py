"""Rows of results as a reader sees them: in a terminal, or in a page."""

from collections.abc import Iterable, Sequence

from bench.numbers import written
from bench.results import Row
from bench.shape import Better

HEAD = ("scenario", "figure", "database", "headgate", "prefect", "times better", "target", "")
NUMERIC = range(3, 7)


def cells(row: Row) -> tuple[str, ...]:
    """The texts of a row; a dash where there is nothing."""
    return (
        row.scenario,
        row.figure,
        row.database or "-",
        _value(row.ours, row.unit),
        _value(row.theirs, row.unit),
        "-" if row.times_better is None else f"{written(row.times_better)} x",
        target(row),
        {True: "reached", False: "MISSED", None: ""}[row.is_reached],
    )


def target(row: Row) -> str:
    """`≥ 4,000 /s`, or a dash."""
    if row.target is None:
        return "-"
    return f"{'≥' if row.better is Better.MORE else '≤'} {_value(row.target, row.unit)}"


def _value(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    return f"{written(value)}{unit if unit.startswith('/') else f' {unit}'}".rstrip()


def plain(rows: Iterable[Row]) -> str:
    """A table for a terminal; what a row shares with the one above it is left out."""
    lines: list[tuple[str, ...]] = [HEAD, *map(cells, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    shown, above = [], lines[0]
    for line in lines:
        repeats = line is not lines[0] and line[0] == above[0]
        shown.append(_aligned(("", *line[1:]) if repeats else line, widths))
        above = line
    rule = "  ".join("-" * width for width in widths)
    return "\n".join([shown[0], rule, *shown[1:]])


def _aligned(line: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        text.rjust(width) if column in NUMERIC else text.ljust(width)
        for column, (text, width) in enumerate(zip(line, widths, strict=True))
    ]
    return "  ".join(padded).rstrip()


def markdown(rows: Iterable[Row]) -> str:
    """A table for a page, of one scenario."""
    head, rule = HEAD[1:], ["---"] * len(HEAD[1:])
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, rule, *(cells(row)[1:] for row in rows)))
