"""Collisions of concurrency keys: which runs have to give way when more share a key than may be in progress."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from headgate.schema.deployments import KeyStrategy
from headgate.schema.states import StateType


@dataclass(frozen=True, slots=True)
class Contender:
    """A run that is due or in progress. `holds`: it has a slot. `begun`: its code was started before.

    `since` is when it was to start at first, whatever became of it then. `state_name` is that of the state it was seen in.
    """

    id: UUID
    state: StateType
    state_name: str
    since: datetime
    due_at: datetime | None = None
    priority: int = 0
    holds: bool = False
    begun: bool = False


def giving_way(strategy: KeyStrategy, limit: int, runs: Sequence[Contender]) -> list[Contender]:
    """Those of one key's runs that are to be cancelled, in their order. Same runs, same answer, in whatever order they come.

    - CANCEL_NEW: new runs beyond the free slots; a free slot is the first's by (priority, due time, id).
    - CANCEL_RUNNING: all but the newest `limit`, in progress or not.
    - REPLACE_QUEUED: of those that wait all but the newest; where several slots are free, but as many of the newest.
    """
    waiting = [run for run in runs if not run.holds]
    free = max(limit - (len(runs) - len(waiting)), 0)
    match strategy:
        case KeyStrategy.CANCEL_NEW:
            new = [run for run in waiting if not run.begun]
            return sorted(new, key=_turn)[free:]
        case KeyStrategy.CANCEL_RUNNING:
            staying = [run for run in runs if run.state is not StateType.CANCELLING]
            return _all_but_newest(staying, limit)
        case KeyStrategy.REPLACE_QUEUED:
            return _all_but_newest(waiting, max(free, 1))
    return []


def _all_but_newest(runs: Sequence[Contender], count: int) -> list[Contender]:
    oldest_first = sorted(runs, key=lambda run: (run.since, run.id))
    return oldest_first[: max(len(oldest_first) - count, 0)]


def _turn(run: Contender) -> tuple[int, datetime, UUID]:
    return -run.priority, run.due_at or run.since, run.id
