"""What people say when they pause something, and how it is shown."""

import getpass
from datetime import datetime
from typing import Annotated

from cyclopts import Parameter

from headgate.cli.output import ago
from headgate.schema.pauses import Pause, PauseNote
from headgate.schema.work_pools import WorkPool
from headgate.schema.work_queues import WorkQueue

Reason = Annotated[str | None, Parameter(name="--reason", help="Why; shown to all until it is resumed.")]
By = Annotated[str | None, Parameter(name="--by", metavar="NAME", help="Who does it; without it your login name.")]


def note_of(reason: str | None, by: str | None, *, is_paused: bool) -> PauseNote:
    """What a pause says. Nothing new when it is paused and no word is given: what was said with the pause stays."""
    note = PauseNote()
    if reason is not None:
        note.pause_reason = reason
    if by is not None:
        note.paused_by = by
    elif reason is not None or not is_paused:
        note.paused_by = login()
    return note


def paused_line(what: str, pause: Pause | None, now: datetime, *, effect: str, resume: str) -> str:
    """`What` is paused since when, by whom and why, what that means, and the command that undoes it."""
    since = f" since {said(pause, now)}" if pause else ""
    return f"{what} is paused{since}; it {effect} until it is resumed: `{resume}`."


def paused_pool(pool: WorkPool, now: datetime) -> str:
    """The line of a paused pool."""
    resume = f"headgate work-pool resume {pool.name}"
    return paused_line(f"Work pool {pool.name!r}", pool.pause, now, effect="releases nothing", resume=resume)


def paused_queue(queue: WorkQueue, now: datetime) -> str:
    """The line of a paused queue."""
    what = f"Work queue {queue.name!r} of work pool {queue.work_pool_name!r}"
    resume = f"headgate work-queue resume {queue.name} --pool {queue.work_pool_name}"
    return paused_line(what, queue.pause, now, effect="releases nothing", resume=resume)


def said(pause: Pause | None, now: datetime) -> str:
    """`2 minutes ago by ann: db upgrade`, as far as that is known."""
    if pause is None:
        return ""
    return ago(pause.at, now) + (f" by {pause.by}" if pause.by else "") + (f": {pause.reason}" if pause.reason else "")


def login() -> str | None:
    """The name of the person at the terminal; None where the account has no name, as in some containers."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return None
