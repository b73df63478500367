"""Who may start now: one pure decision on a snapshot of a pool, its queues, their limits and the runs that are due.

The lock on the pool's row, held by the caller, is what makes the decision safe. The same decision explains itself:
a run that is not admitted is answered with the gates that block it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class GateKind(StrEnum):
    """What can hold a run back, outermost first."""

    POOL_PAUSED = "pool paused"
    QUEUE_PAUSED = "queue paused"
    DEPLOYMENT_PAUSED = "deployment paused"
    NOT_DUE = "not due"
    POOL_LIMIT = "pool limit"
    QUEUE_LIMIT = "queue limit"
    DEPLOYMENT_LIMIT = "deployment limit"
    NO_ROOM = "no room at the worker"


@dataclass(frozen=True, slots=True)
class Gate:
    """One reason why a run waits: of what kind, at which record, and for limits how many of them are taken."""

    kind: GateKind
    id: UUID | None = None
    limit: int | None = None
    used: int | None = None


@dataclass(frozen=True, slots=True)
class Lane:
    """A pool, a queue or a deployment as dispatch sees it: paused or not, and its slots. No limit is None."""

    id: UUID
    paused: bool = False
    limit: int | None = None
    used: int = 0
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Candidate:
    """A Scheduled run. Higher `priority` goes first inside its queue."""

    id: UUID
    queue_id: UUID
    due_at: datetime
    deployment_id: UUID | None = None
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything the decision depends on. `until` is now plus the prefetch; `room` is what the worker can take."""

    pool: Lane
    queues: Mapping[UUID, Lane]
    deployments: Mapping[UUID, Lane]
    candidates: Sequence[Candidate]
    until: datetime
    room: int


@dataclass(slots=True)
class Decision:
    """The admitted runs, in the order in which to start them; and for each of the others its gates, outermost first."""

    admitted: list[Candidate] = field(default_factory=list)
    blocked: dict[UUID, list[Gate]] = field(default_factory=dict)


def dispatch(snapshot: Snapshot) -> Decision:
    """Admit by (queue priority, run priority, due time, id) whatever fits under every limit.

    A run that a queue's or a deployment's limit holds back does not hold back others. Same snapshot, same answer.
    """
    decision = Decision()
    taken: dict[UUID, int] = {}
    for run in sorted(snapshot.candidates, key=lambda run: _rank(run, snapshot)):
        lanes = _lanes(run, snapshot)
        gates = _gates(run, snapshot, taken)
        if not gates and len(decision.admitted) >= snapshot.room:
            gates = [Gate(GateKind.NO_ROOM, limit=snapshot.room, used=len(decision.admitted))]
        if gates:
            decision.blocked[run.id] = gates
            continue
        decision.admitted.append(run)
        for lane in lanes:
            taken[lane.id] = taken.get(lane.id, 0) + 1
    return decision


def standing_gates(run: Candidate, snapshot: Snapshot) -> list[Gate]:
    """The gates that hold a run back however few slots are in use, and whenever it is due: pauses, and limits of 0."""
    idle = replace(
        snapshot,
        pool=replace(snapshot.pool, used=0),
        queues={id: replace(lane, used=0) for id, lane in snapshot.queues.items()},
        deployments={id: replace(lane, used=0) for id, lane in snapshot.deployments.items()},
        candidates=[run],
        until=run.due_at,
        room=1,
    )
    return dispatch(idle).blocked.get(run.id, [])


def _rank(run: Candidate, snapshot: Snapshot) -> tuple[int, int, datetime, UUID]:
    return snapshot.queues[run.queue_id].priority, -run.priority, run.due_at, run.id


def _lanes(run: Candidate, snapshot: Snapshot) -> list[Lane]:
    deployment = snapshot.deployments.get(run.deployment_id) if run.deployment_id else None
    return [snapshot.pool, snapshot.queues[run.queue_id], *([deployment] if deployment else [])]


_PAUSED = (GateKind.POOL_PAUSED, GateKind.QUEUE_PAUSED, GateKind.DEPLOYMENT_PAUSED)
_FULL = (GateKind.POOL_LIMIT, GateKind.QUEUE_LIMIT, GateKind.DEPLOYMENT_LIMIT)


def _gates(run: Candidate, snapshot: Snapshot, taken: Mapping[UUID, int]) -> list[Gate]:
    lanes = _lanes(run, snapshot)
    gates = [Gate(kind, lane.id) for kind, lane in zip(_PAUSED, lanes, strict=False) if lane.paused]
    if run.due_at > snapshot.until:
        gates.append(Gate(GateKind.NOT_DUE))
    for kind, lane in zip(_FULL, lanes, strict=False):
        used = lane.used + taken.get(lane.id, 0)
        if lane.limit is not None and used >= lane.limit:
            gates.append(Gate(kind, lane.id, lane.limit, used))
    return gates
