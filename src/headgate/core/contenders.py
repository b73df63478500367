"""Which of the runs that go before another can be released before it, as the limits stand."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from headgate.core.dispatch import Candidate, Lane, Snapshot


@dataclass(frozen=True, slots=True)
class Bunch:
    """Waiting runs of one queue, deployment and concurrency key."""

    queue_id: UUID
    deployment_id: UUID | None
    key_id: UUID | None
    runs: int


@dataclass(frozen=True, slots=True)
class Contenders:
    """Runs of a bunch: how many are `able` to go before another run, and how many are `held` by a limit that is none of its.

    `lanes` are the ids of all whose slots they want; `behind` is whose holders those that are held wait for: a queue, or
    else their deployment.
    """

    lanes: frozenset[UUID]
    able: int
    held: int = 0
    behind: UUID | None = None


@dataclass(frozen=True, slots=True)
class Ahead:
    """All that goes before a run; `more`: not everything was looked at."""

    contenders: Sequence[Contenders] = field(default_factory=list)
    more: bool = False

    def able(self, lane_id: UUID) -> int:
        """How many can take a slot of a lane before it."""
        return sum(each.able for each in self.contenders if lane_id in each.lanes)

    def held(self, lane_id: UUID) -> Mapping[UUID, int]:
        """How many more want one, but first wait for who holds slots of another limit: by that queue or deployment."""
        behind = Counter[UUID]()
        for each in self.contenders:
            if each.behind is not None and lane_id in each.lanes:
                behind[each.behind] += each.held
        return behind


def bunches_of(runs: Iterable[Candidate]) -> list[Bunch]:
    """Runs by what they are bunched by, each bunch where its first run is."""
    counts = Counter((run.queue_id, run.deployment_id, run.key_id) for run in runs)
    return [Bunch(*of, count) for of, count in counts.items()]


def contenders(run: Candidate, bunches: Sequence[Bunch], snapshot: Snapshot) -> list[Contenders]:
    """What stands in front of a run, in the order in which it goes.

    A limit under which the run itself stands holds nobody in front of it: the slot that it waits for goes to them first.
    Under every other one only so many can go as it has free slots.
    """
    own = {lane.id for lane in _lanes(run, snapshot)}
    taken = Counter[UUID]()
    found = []
    for bunch in bunches:
        lanes = _lanes(bunch, snapshot)
        able, behind = bunch.runs, None
        for lane in lanes:
            if lane.limit is None or lane.id in own:
                continue
            free = max(lane.limit - lane.used - taken[lane.id], 0)
            if free < able:
                able, behind = free, lane.id if lane.id == bunch.queue_id else bunch.deployment_id
        for lane in lanes:
            taken[lane.id] += able
        found.append(Contenders(frozenset(lane.id for lane in lanes), able, bunch.runs - able, behind))
    return found


def _lanes(run: Candidate | Bunch, snapshot: Snapshot) -> list[Lane]:
    """What a run passes, outermost first."""
    owner = run.deployment_id
    lanes = [
        snapshot.pool,
        snapshot.queues.get(run.queue_id),
        snapshot.deployments.get(owner) if owner else None,
        snapshot.shared.get(owner) if owner else None,
        snapshot.keys.get(run.key_id) if run.key_id else None,
    ]
    return [lane for lane in lanes if lane is not None]
