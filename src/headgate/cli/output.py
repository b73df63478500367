"""What the command line prints and asks: tables, records, JSON, one-line errors, spans of time."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Struct

from headgate.errors import HeadgateError


class UsageError(HeadgateError):
    """The command line asks for something that makes no sense: exit code 2."""


class Problems(HeadgateError):
    """Several things are wrong; each is printed on a line of its own."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__("; ".join(lines))
        self.lines = list(lines)


class Refused(HeadgateError):
    """The person at the terminal said no."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table. `keep`: never wrapped; `spare`: left out where the table would be too wide with it."""

    title: str
    keep: bool = False
    right: bool = False
    spare: bool = False


def print_json(value: Any) -> None:
    """`value`, a wire record or a list of them, as indented JSON."""
    print(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def show(record: Struct, output: str, *, now: datetime, title: str | None = None, more: Mapping[str, Any] = {}) -> None:
    """One wire record, as JSON or for people; those also see `more`, and its type under another `title`."""
    if output == "json":
        print_json(record)
    else:
        print_record(record, now=now, title=title, more=more)


def print_json_line(value: Any) -> None:
    """`value` as one line of JSON, written out at once."""
    print(msgspec.json.encode(value).decode(), flush=True)


def print_table(title: str, columns: Sequence[Column], rows: Sequence[Sequence[str]], *, caption: str | None = None) -> None:
    """A table that fits the terminal, and as wide as it likes elsewhere.

    Where there is little room, titles are stacked first, then what can be spared is left out, then the lines around cells.
    """
    if not rows:
        print(f"{title}: none")
        return
    # rich takes 0.09 s to import: only what draws a table pays for it.
    from rich.measure import Measurement

    console = _console()

    def fits(table: Any) -> bool:
        return bool(Measurement.get(console, console.options.update(max_width=_UNBOUNDED), table).maximum <= console.width)

    places = [place for place, column in enumerate(columns) if not column.spare]
    short = [columns[place] for place in places], [[row[place] for place in places] for row in rows]
    for some, cells in ((columns, rows), (_stacked(columns), rows), short, (_stacked(short[0]), short[1])):
        drawn = _table(title, some, cells, caption)
        if fits(drawn):
            break
    else:
        drawn.box, drawn.padding, drawn.pad_edge = None, (0, 2, 0, 0), False
    console.print(drawn)


def _stacked(columns: Sequence[Column]) -> list[Column]:
    """The words of each title below each other, where they may be wrapped and are not yet."""
    return [
        column if column.keep or "\n" in column.title else replace(column, title=column.title.replace(" ", "\n"))
        for column in columns
    ]


def _table(title: str, columns: Sequence[Column], rows: Sequence[Sequence[str]], caption: str | None) -> Any:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, caption=caption, title_style="bold", header_style="bold", box=box.HEAVY_HEAD)
    for column in columns:
        justify: Any = "right" if column.right else "left"
        table.add_column(column.title, no_wrap=column.keep, overflow="fold", justify=justify)
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def print_record(record: Struct, *, now: datetime, title: str | None = None, more: Mapping[str, Any] = {}) -> None:
    """All fields of a wire record, one a line; times in this machine's zone, and how far they are from `now`."""
    from rich.pretty import pretty_repr

    fields = msgspec.to_builtins(record, builtin_types=(datetime,)) | msgspec.to_builtins(more, builtin_types=(datetime,))
    lines = [f"    {name}={_indented(pretty_repr(_field(name, value, now)))}," for name, value in fields.items()]
    _console().print("\n".join([f"{title or type(record).__name__}(", *lines, ")"]), markup=False, soft_wrap=True)


def ago(when: datetime | None, now: datetime, *, short: bool = False) -> str:
    """`2 minutes ago`, `in 3 hours`, `just now`, or an empty text for no time; short: `2m ago`, `in 3h`, `now`."""
    if when is None:
        return ""
    seconds = (now - when).total_seconds()
    if abs(seconds) < 1:
        return "now" if short else "just now"
    length = span(abs(seconds), short=short)
    return f"{length} ago" if seconds > 0 else f"in {length}"


_UNITS = (
    ("year", "y", 31_536_000),
    ("month", "mo", 2_592_000),
    ("week", "w", 604_800),
    ("day", "d", 86_400),
    ("hour", "h", 3600),
    ("minute", "m", 60),
    ("second", "s", 1),
)


def span(seconds: float, *, short: bool = False) -> str:
    """A length of time in its largest unit: `2 minutes`, or `2m`."""
    name, letter, size = next((unit for unit in _UNITS if seconds >= unit[2]), _UNITS[-1])
    count = int(seconds // size)
    return f"{count}{letter}" if short else f"{count} {name}" + ("" if count == 1 else "s")


def counted(count: int, what: str) -> str:
    """`1 queue`, `2 queues`."""
    return f"{count} {what}" + ("" if count == 1 else "s")


def local(when: datetime) -> str:
    """`when` to the millisecond in this machine's zone."""
    return when.astimezone().strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def error_line(message: str) -> None:
    """One line on stderr."""
    print(f"Error: {' '.join(message.split())}", file=sys.stderr)


def warning_line(message: str) -> None:
    """One line on stderr."""
    print(f"Warning: {' '.join(message.split())}", file=sys.stderr)


def confirm(question: str, *, yes: bool) -> None:
    """Go on only when the person at the terminal agrees, or `--yes` was given."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(f"{question} Nobody can be asked here: pass --yes to go on. Nothing was changed.")
    if input(f"{question} [y/N] ").strip().lower() not in ("y", "yes"):
        raise Refused("Nothing was changed.")


_UNBOUNDED = 10_000


def _console() -> Any:
    """Colour only on a terminal, and never with NO_COLOR: both are rich's own rules. A pipe has no width."""
    from rich.console import Console

    unbounded = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    return Console(highlight=True, width=_UNBOUNDED if unbounded else None)


def _indented(text: str) -> str:
    return text.replace("\n", "\n    ")


def _field(name: str, value: Any, now: datetime) -> Any:
    if name in ("created", "updated") and isinstance(value, datetime):
        return ago(value, now)
    return _with_spans(value, now)


def _with_spans(value: Any, now: datetime) -> Any:
    match value:
        case datetime():
            when = value if value.tzinfo else value.replace(tzinfo=UTC)
            return f"{local(when)} ({ago(when, now)})"
        case dict():
            return {name: _field(name, item, now) for name, item in value.items()}
        case list():
            return [_with_spans(item, now) for item in value]
        case _:
            return value
