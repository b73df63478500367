"""Who may start now: one pure decision on a snapshot of a pool, its queues, their limits and the runs that are due.

The lock on the pool's row, held by the caller, is what makes the decision safe. The same decision explains itself:
a run that is not admitted is answered with the gates that block it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from itertools import groupby, islice, takewhile
from typing import TypeAlias
from uuid import UUID

from msgspec import Struct

from headgate.core.fair_share import Share, Tally
from headgate.core.launch_rates import Pace


class GateKind(StrEnum):
    """What can hold a run back, outermost first."""

    HELD = "held by a process"
    NO_QUEUE = "no work pool"
    POOL_PAUSED = "pool paused"
    QUEUE_PAUSED = "queue paused"
    DEPLOYMENT_PAUSED = "deployment paused"
    NOT_DUE = "not due"
    NO_WORKER = "no worker"
    POOL_LIMIT = "pool limit"
    QUEUE_LIMIT = "queue limit"
    DEPLOYMENT_LIMIT = "deployment limit"
    SHARED_LIMIT = "shared limit"
    KEY_LIMIT = "key limit"
    LAUNCH_RATE = "launch rate"
    LAUNCH_LIMIT = "launch limit"
    NO_ROOM = "no room at the worker"


_TURN = frozenset((GateKind.POOL_LIMIT, GateKind.QUEUE_LIMIT, GateKind.LAUNCH_RATE, GateKind.LAUNCH_LIMIT, GateKind.NO_ROOM))
"""What holds back all that comes later, too: who finds nothing else in its way waits for its turn."""


@dataclass(frozen=True, slots=True)
class Gate:
    """One reason why a run waits: of what kind, at which record, and for limits how many of them are taken.

    `ahead`: how many of `used` are not in use yet, but go to better runs that can start now. `until` is when it opens by
    itself, where that is known.
    """

    kind: GateKind
    id: UUID | None = None
    limit: int | None = None
    used: int | None = None
    ahead: int = 0
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Lane:
    """A pool, a queue, a deployment or a concurrency key as dispatch sees it: paused or not, and its slots. Without a limit
    that is None.

    `served`: something takes runs from it. A deployment may have a process of its own that takes its runs, whether they
    have a queue or not.
    """

    id: UUID
    paused: bool = False
    limit: int | None = None
    used: int = 0
    priority: int = 0
    served: bool = True

    def is_full(self, more: int = 0) -> bool:
        """Whether no slot is left after `more` further ones are taken."""
        return self.limit is not None and self.used + more >= self.limit


class Candidate(Struct, frozen=True):
    """A Scheduled run. Higher `priority` goes first inside its queue. `held`: a process has it, and goes on with it.

    `key_id` stands for its concurrency key.
    """

    id: UUID
    queue_id: UUID
    due_at: datetime
    deployment_id: UUID | None = None
    priority: int = 0
    held: bool = False
    key_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything the decision depends on. `until` is now plus the prefetch; `room` is what the worker can take; `pace` is
    that of launches in the pool, `launching` how many of its runs are between their claim and Running, and how many may be.
    `share`: who has how much of a pool that is shared fairly.

    A run whose queue is none of `queues` belongs to no pool. `shared`: the limits that deployments share, by deployment;
    a lane's `used` counts what others hold of it as well.
    """

    pool: Lane
    queues: Mapping[UUID, Lane]
    deployments: Mapping[UUID, Lane]
    candidates: Sequence[Candidate]
    until: datetime
    room: int
    keys: Mapping[UUID, Lane] = field(default_factory=dict)
    pace: Pace | None = None
    launching: Lane | None = None
    shared: Mapping[UUID, Lane] = field(default_factory=dict)
    share: Share | None = None


@dataclass(slots=True)
class Decision:
    """The admitted runs, in the order in which to start them; and for each of the others its gates, outermost first."""

    admitted: list[Candidate] = field(default_factory=list)
    blocked: dict[UUID, list[Gate]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Place:
    """Where one run of a snapshot stands: its gates, outermost first (none: it starts), how many of the others go before
    it, and how many of those start."""

    gates: list[Gate]
    ahead: int
    starting: int


def dispatch(snapshot: Snapshot) -> Decision:
    """Admit by (queue priority, run priority, due time, id) whatever fits under every limit; where the pool is shared
    fairly, by (queue priority, run priority, fair share, due time, id).

    A run that a queue's, a deployment's or a key's limit holds back does not hold back others. Same snapshot, same answer.
    """
    decision = Decision()
    for run, gates in _decide(snapshot):
        if gates:
            decision.blocked[run.id] = gates
        else:
            decision.admitted.append(run)
    return decision


def starting(snapshot: Snapshot) -> list[Candidate]:
    """The runs that `dispatch` admits, for who asks no more: of those behind the last for which there is room nothing is
    decided."""
    admitted = (run for run, gates in _decide(snapshot) if not gates)
    return [*islice(admitted, max(snapshot.room, 0))]


def place_of(run: Candidate, snapshot: Snapshot) -> Place:
    """What the decision about a snapshot means for one of its runs."""
    starting = 0
    for ahead, (other, gates) in enumerate(_decide(snapshot)):
        if other.id == run.id:
            return Place(gates, ahead, starting)
        starting += not gates
    raise ValueError(f"Run {run.id} is none of the snapshot's.")


def before(run: Candidate, snapshot: Snapshot) -> list[Candidate]:
    """The runs of a snapshot that go before one of them, in their order."""
    return [other for other, _ in takewhile(lambda each: each[0].id != run.id, _decide(snapshot))]


def _decide(snapshot: Snapshot) -> Iterator[tuple[Candidate, list[Gate]]]:
    """Every run in the order in which they go, with its gates; none: it starts."""
    admitted, taken = 0, dict[UUID, int]()
    tally = Tally(snapshot.share) if snapshot.share is not None else None
    for run in _order(snapshot, tally):
        lanes = _lanes(run, snapshot)
        gates = _gates(run, snapshot, lanes, taken)
        if not gates and admitted >= snapshot.room:
            gates = [Gate(GateKind.NO_ROOM, limit=snapshot.room, used=admitted)]
        if not gates:
            admitted += 1
            for _, _, lane in lanes:
                taken[lane.id] = taken.get(lane.id, 0) + 1
        if tally is not None and not gates:
            tally.take(run)
        elif tally is not None and all(gate.kind in _TURN for gate in gates):
            tally.defer(run)
        yield run, gates


def _order(snapshot: Snapshot, tally: Tally | None) -> Iterator[Candidate]:
    ordered = sorted(snapshot.candidates, key=lambda run: _rank(run, snapshot))
    if tally is None:
        yield from ordered
    else:
        for _, equals in groupby(ordered, key=lambda run: _rank(run, snapshot)[:2]):
            yield from tally.order(equals)


def standing_gates(run: Candidate, snapshot: Snapshot) -> list[Gate]:
    """The gates of a run that stay whatever is in use, due or online: pauses, and limits of 0."""
    idle = replace(
        snapshot,
        pool=replace(snapshot.pool, used=0),
        queues={id: replace(lane, used=0, served=True) for id, lane in snapshot.queues.items()},
        deployments={id: replace(lane, used=0) for id, lane in snapshot.deployments.items()},
        keys={id: replace(lane, used=0) for id, lane in snapshot.keys.items()},
        shared={id: replace(lane, used=0) for id, lane in snapshot.shared.items()},
        candidates=[run],
        until=run.due_at,
        room=1,
        pace=None,
        launching=None,
        share=None,
    )
    return dispatch(idle).blocked.get(run.id, [])


def _rank(run: Candidate, snapshot: Snapshot) -> tuple[int, int, datetime, UUID]:
    queue = snapshot.queues.get(run.queue_id)
    return queue.priority if queue else 0, -run.priority, run.due_at, run.id


_Lanes: TypeAlias = list[tuple[GateKind, GateKind, Lane]]


def _lanes(run: Candidate, snapshot: Snapshot) -> _Lanes:
    """What a run passes, outermost first: the gates of its pause and of its limit, and the lane."""
    queue = snapshot.queues.get(run.queue_id)
    deployment = snapshot.deployments.get(run.deployment_id) if run.deployment_id else None
    lanes = [(GateKind.POOL_PAUSED, GateKind.POOL_LIMIT, snapshot.pool)] if queue else []
    lanes += [(GateKind.QUEUE_PAUSED, GateKind.QUEUE_LIMIT, queue)] if queue else []
    lanes += [(GateKind.DEPLOYMENT_PAUSED, GateKind.DEPLOYMENT_LIMIT, deployment)] if deployment else []
    shared = snapshot.shared.get(run.deployment_id) if run.deployment_id else None
    lanes += [(GateKind.DEPLOYMENT_PAUSED, GateKind.SHARED_LIMIT, shared)] if shared else []  # it is never paused
    key = snapshot.keys.get(run.key_id) if run.key_id else None
    return lanes + ([(GateKind.DEPLOYMENT_PAUSED, GateKind.KEY_LIMIT, key)] if key else [])  # a key is never paused


def _gates(run: Candidate, snapshot: Snapshot, lanes: _Lanes, taken: Mapping[UUID, int]) -> list[Gate]:
    queue = snapshot.queues.get(run.queue_id)
    gates = [Gate(GateKind.HELD)] if run.held else []
    owner = snapshot.deployments.get(run.deployment_id) if run.deployment_id else None
    if queue is None and (owner is None or not owner.served):
        gates.append(Gate(GateKind.NO_QUEUE))
    gates += [Gate(kind, lane.id) for kind, _, lane in lanes if lane.paused]
    if run.due_at > snapshot.until:
        gates.append(Gate(GateKind.NOT_DUE))
    if queue is not None and not queue.served and (owner is None or not owner.served):
        gates.append(Gate(GateKind.NO_WORKER, queue.id))
    for _, kind, lane in lanes:
        ahead = taken.get(lane.id, 0)
        if lane.is_full(ahead):
            gates.append(Gate(kind, lane.id, lane.limit, lane.used + ahead, ahead))
    return [*gates, *_rate_gates(snapshot, taken), *_launch_gates(snapshot, taken)] if queue is not None else gates


def _rate_gates(snapshot: Snapshot, taken: Mapping[UUID, int]) -> list[Gate]:
    pace, ahead = snapshot.pace, taken.get(snapshot.pool.id, 0)
    if pace is None or ahead < pace.left:
        return []
    used = pace.rate.limit - pace.left + ahead
    return [Gate(GateKind.LAUNCH_RATE, snapshot.pool.id, pace.rate.limit, used, ahead, pace.opens_at(ahead + 1))]


def _launch_gates(snapshot: Snapshot, taken: Mapping[UUID, int]) -> list[Gate]:
    launching, ahead = snapshot.launching, taken.get(snapshot.pool.id, 0)
    if launching is None or not launching.is_full(ahead):
        return []
    return [Gate(GateKind.LAUNCH_LIMIT, snapshot.pool.id, launching.limit, launching.used + ahead, ahead)]
