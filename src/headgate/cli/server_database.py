"""`headgate server database prune` and `compact`: less in the database, and less on the disk."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated

from cyclopts import Parameter

from headgate.cli.background import read_running
from headgate.cli.options import DryRun, InSession, Output, Yes
from headgate.cli.output import Column, UsageError, confirm, local, print_json, print_table
from headgate.cli.times import seconds_of
from headgate.core.retention import Cutoffs, cutoffs
from headgate.errors import Conflict
from headgate.schema.retention import Amounts
from headgate.settings import Settings

_WORDS = {
    "flow_runs": ("flow run", "that ended"),
    "task_runs": ("task run", "of these runs"),
    "states": ("state", "of these runs"),
    "log_lines": ("log line", "written"),
    "events": ("event", "received"),
    "workers": ("worker", "last online"),
    "agents": ("agent", "last online"),
}

OlderThan = Annotated[
    str | None,
    Parameter(
        name="--older-than",
        metavar="AGE",
        help="Whatever is older than this: 30d, 12h, '2 weeks'; without it the ages of HEADGATE_SERVER_RETENTION_*.",
    ),
]


def prune(
    *,
    older_than: OlderThan = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    output: Output = "table",
    session: InSession,
) -> None:
    """Delete what is old: ended flow runs with states and logs, log lines, events, workers that are offline.

    A server does so itself as it goes. This may be run beside it, and stopped at any time.

    For example:
        headgate server database prune --older-than 30d --dry-run
        headgate server database prune --older-than 30d
    """
    from headgate.upkeep import count_old, prune_database

    settings = session.settings()
    chosen = _cutoffs(settings, older_than, session.now())
    found = count_old(settings, chosen)
    if output == "table":
        columns = [Column("What"), Column("Before"), Column("How many", right=True)]
        print_table("Too old", columns, _rows(found, chosen))
    if dry_run or not found.total:
        if output == "json":
            print_json(found)
        return
    confirm(f"Delete {_summary(found)}?", yes=yes)
    deleted = prune_database(settings, chosen, _progress(found.total))
    if output == "json":
        print_json(deleted)
    else:
        print(f"Deleted {_summary(deleted)}.")


def compact(*, session: InSession) -> None:
    """Give the free space in the database's file back to the disk. The server must not run.

    Deleted records leave free space in the file, which later ones fill. This is for a file that is
    to become smaller. It needs room for a second copy while it works.

    For example:
        headgate server database compact
    """
    from headgate.upkeep import compact_database

    settings = session.settings()
    if running := read_running(settings):
        raise Conflict(f"A server runs on it at {running.url}; stop it first with `headgate server stop`.")
    before, after = compact_database(settings)
    print(f"Compacted the database from {before / 1e6:,.1f} MB to {after / 1e6:,.1f} MB.")


def _cutoffs(settings: Settings, older_than: str | None, now: datetime) -> Cutoffs:
    if older_than is None:
        return cutoffs(
            now,
            runs_days=settings.server_retention_runs_days,
            logs_days=settings.server_retention_logs_days,
            workers_days=settings.server_retention_workers_days,
            events_days=settings.server_retention_events_days,
        )
    try:
        before = now.astimezone(UTC) - timedelta(seconds=seconds_of(older_than, option="--older-than"))
    except OverflowError:
        raise UsageError(f"--older-than: {older_than!r} is before the calendar begins.") from None
    return Cutoffs(before, before, before, before)


def _rows(found: Amounts, chosen: Cutoffs) -> list[tuple[str, str, str]]:
    before = (chosen.runs, chosen.runs, chosen.runs, chosen.logs, chosen.events, chosen.workers, chosen.workers)
    return [
        (f"{noun}s {limit}", local(moment)[:16] if moment else "kept for ever", f"{getattr(found, name):,}")
        for (name, (noun, limit)), moment in zip(_WORDS.items(), before, strict=True)
    ]


def _summary(amounts: Amounts) -> str:
    """`1,203 flow runs, 4,812 states`: what there is any of."""
    counts = {noun: getattr(amounts, name) for name, (noun, _) in _WORDS.items()}
    return ", ".join(f"{count:,} {noun}{'' if count == 1 else 's'}" for noun, count in counts.items() if count) or "nothing"


def _progress(total: int) -> Callable[[Amounts], None]:
    """Keeps a line on stderr up to date while a person looks at it."""

    def show(amounts: Amounts) -> None:
        if sys.stderr.isatty():
            print(f"\r{amounts.total:,} of {total:,} records deleted ", end="", file=sys.stderr, flush=True)

    return show
