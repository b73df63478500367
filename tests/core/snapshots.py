"""Snapshots for tests of dispatch: any there may be, and such as say what an example is about."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from headgate.core.dispatch import Candidate, Lane, Snapshot
from headgate.core.launch_rates import Pace
from headgate.schema.work_pools import LaunchRate

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
POOL = UUID(int=1)
QUEUES = [UUID(int=10 + n) for n in range(3)]
DEPLOYMENTS = [UUID(int=20 + n) for n in range(3)]

LIMITS = st.none() | st.integers(0, 6)
PAUSED = st.sampled_from([False, False, False, True])
SERVED = st.sampled_from([True, True, True, True, False])
NOWHERE = UUID(int=0)
PAST = round(NOW.timestamp() * 1_000_000) - 300_000
KEYS = [UUID(int=50 + n) for n in range(2)]
SHARED = UUID(int=60)


def lanes(ids: Iterable[UUID]) -> st.SearchStrategy[dict[UUID, Lane]]:
    """A lane for each id; priorities are unique, as they are in a pool."""

    def build(parts: tuple[list[Any], list[int]]) -> dict[UUID, Lane]:
        drawn, priorities = parts
        return {
            id: Lane(id, paused, limit, used, priority, served)
            for id, (paused, limit, used, served), priority in zip(ids, drawn, priorities, strict=True)
        }

    ids = [*ids]
    drawn = st.lists(st.tuples(PAUSED, LIMITS, st.integers(0, 4), SERVED), min_size=len(ids), max_size=len(ids))
    return st.tuples(drawn, st.permutations(range(1, len(ids) + 1))).map(build)


def candidates() -> st.SearchStrategy[list[Candidate]]:
    """Runs with ids of their own, due from five seconds ago to five seconds ahead."""

    def build(drawn: list[Any]) -> list[Candidate]:
        return [
            Candidate(UUID(int=100 + n), queue, NOW + timedelta(seconds=due), deployment, priority, held, key)
            for n, (queue, due, deployment, priority, held, key) in enumerate(drawn)
        ]

    # One more deployment than has a lane: most deployments have no limit, and dispatch is not told of them.
    owners = st.none() | st.sampled_from([*DEPLOYMENTS, UUID(int=99)])
    queues = st.sampled_from([*QUEUES, *QUEUES, NOWHERE])
    keys = st.none() | st.sampled_from([*KEYS, UUID(int=98)])
    run = st.tuples(queues, st.integers(-5, 5), owners, st.integers(-1, 1), st.sampled_from([False] * 5 + [True]), keys)
    return st.lists(run, max_size=14).map(build)


SNAPSHOTS = st.builds(
    Snapshot,
    pool=st.builds(Lane, st.just(POOL), PAUSED, LIMITS, st.integers(0, 4)),
    queues=lanes(QUEUES),
    deployments=lanes(DEPLOYMENTS),
    candidates=candidates(),
    until=st.integers(-6, 6).map(lambda seconds: NOW + timedelta(seconds=seconds)),
    room=st.integers(0, 8),
    pace=st.none()
    | st.builds(
        Pace, st.builds(LaunchRate, limit=st.integers(1, 6), seconds=st.just(1.0)), st.just([(PAST, 2)]), st.just(NOW)
    ),
    launching=st.none() | st.builds(Lane, st.just(POOL), limit=st.integers(1, 6), used=st.integers(0, 4)),
    keys=st.fixed_dictionaries(
        {id: st.builds(Lane, st.just(id), limit=st.integers(1, 3), used=st.integers(0, 4)) for id in KEYS}
    ),
    # Two of the deployments share a limit, one of them without a lane of its own.
    shared=st.none().map(lambda _: {})
    | st.builds(Lane, st.just(SHARED), limit=LIMITS, used=st.integers(0, 4)).map(
        lambda lane: {DEPLOYMENTS[0]: lane, UUID(int=99): lane}
    ),
)


def snapshot(*runs: Candidate, room: int = 10, pool: Lane | None = None, **lanes: Lane) -> Snapshot:
    queues = {QUEUES[0]: Lane(QUEUES[0], priority=1), QUEUES[1]: Lane(QUEUES[1], priority=2)}
    given = {lane.id: lane for lane in lanes.values()}
    return Snapshot(
        pool or Lane(POOL),
        queues | {id: lane for id, lane in given.items() if id in QUEUES},
        {id: lane for id, lane in given.items() if id in DEPLOYMENTS},
        runs,
        NOW,
        room,
    )


def a_run(n: int, queue: int = 0, *, due: int = 0, deployment: int | None = None, priority: int = 0) -> Candidate:
    owner = None if deployment is None else DEPLOYMENTS[deployment]
    return Candidate(UUID(int=100 + n), QUEUES[queue], NOW - timedelta(seconds=due), owner, priority)
