"""The situation that runs wait in: their pools, queues, deployments and workers, as dispatch and its words need them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from headgate.core.contenders import Bunch
from headgate.core.dispatch import Candidate, Gate, GateKind, Lane, Snapshot, dispatch
from headgate.core.liveness import is_served, polled_status
from headgate.core.reasons import Subject, sentence
from headgate.core.slots import occupied
from headgate.core.states import AWAITING_INFRA, AWAITING_RETRY
from headgate.schema.explanations import SeenWorker
from headgate.schema.work_pools import UNTYPED
from headgate.schema.work_queues import ReadyStatus
from headgate.schema.workers import WorkerStatus
from headgate.services import slots
from headgate.store import claims as claim_rows
from headgate.store import explanations as rows
from headgate.store import lanes as lane_rows
from headgate.store.concurrency_limits import Limit
from headgate.store.database import Tx
from headgate.store.explanations import NOWHERE, Located
from headgate.store.lanes import Lanes, Owner, Pool, Queue

ROOM = 1_000_000
"""No worker is asked for its room: that is known only while it polls."""


@dataclass(frozen=True, slots=True)
class Situation:
    """What holds at `now` for the runs that it was looked up for."""

    lanes: Lanes
    workers: Mapping[UUID, Sequence[SeenWorker]]
    now: datetime
    keys: Mapping[UUID, Lane] = field(default_factory=dict)
    limits: Mapping[UUID, Limit] = field(default_factory=dict)

    def snapshot(self, pool_id: UUID | None, candidates: Sequence[Candidate]) -> Snapshot:
        """What dispatch decides on, for runs of one pool or of none."""
        pool = self.lanes.pools.get(pool_id) if pool_id else None
        queues = [queue for queue in self.lanes.queues.values() if pool and queue.work_pool_id == pool_id]
        return Snapshot(
            pool.lane if pool else Lane(NOWHERE),
            {queue.lane.id: replace(queue.lane, served=self.is_served(queue)) for queue in queues},
            {id: replace(owner.lane, served=self._is_polled(owner)) for id, owner in self.lanes.deployments.items()},
            candidates,
            self.now,
            ROOM,
            self.keys,
            pool.pace(self.now) if pool else None,
            pool.launching if pool else None,
            lanes_of_owners(self.lanes.deployments.values(), self.limits),
            pool.share if pool else None,
        )

    def gates(self, run: Located) -> list[Gate]:
        """What holds a run back on its own, whoever else waits."""
        snapshot = self.snapshot(run.work_pool_id, [run.candidate])
        return dispatch(snapshot).blocked.get(run.candidate.id, [])

    def sentence(self, gate: Gate, run: Located) -> str:
        """A gate of a run in words."""
        return sentence(gate, self.subject(run))

    def pool(self, run: Located) -> Pool | None:
        """The pool that a run belongs to."""
        return self.lanes.pools.get(run.work_pool_id) if run.work_pool_id else None

    def queue(self, run: Located) -> Queue | None:
        """The queue that a run waits in."""
        return self.lanes.queues.get(run.candidate.queue_id)

    def owner(self, run: Located) -> Owner | None:
        """The deployment that a run is one of."""
        return self.lanes.deployments.get(run.candidate.deployment_id) if run.candidate.deployment_id else None

    def subject(self, run: Located) -> Subject:
        """What words about a run need."""
        pool, queue, owner = self.pool(run), self.queue(run), self.owner(run)
        limit = self.limits.get(owner.shared_id) if owner and owner.shared_id else None
        online = self._online(run.work_pool_id)
        paused = (GateKind.POOL_PAUSED, pool), (GateKind.QUEUE_PAUSED, queue), (GateKind.DEPLOYMENT_PAUSED, owner)
        return Subject(
            pool=pool.name if pool else None,
            queue=queue.name if queue else None,
            deployment=owner.full_name if owner else None,
            key=run.key,
            shared=limit.name if limit else None,
            taken_by_name=occupied(limit.meter) if limit else 0,
            typed=pool is not None and pool.type != UNTYPED,
            online=len(online),
            draining=_draining(online),
            rate_seconds=pool.launch_rate.seconds if pool and pool.launch_rate else None,
            due_at=run.candidate.due_at,
            retries=run.state_name in (AWAITING_RETRY, AWAITING_INFRA),
            pauses={kind: lane.pause for kind, lane in paused if lane and lane.pause},
        )

    def is_served(self, queue: Queue) -> bool:
        """Whether something takes runs from a queue."""
        online = self._online(queue.work_pool_id)
        return is_served(queue.last_polled, online=len(online), draining=_draining(online), now=self.now)

    def _is_polled(self, owner: Owner) -> bool:
        return polled_status(owner.last_polled, is_paused=False, now=self.now) is ReadyStatus.READY

    def _online(self, pool_id: UUID | None) -> list[SeenWorker]:
        seen = self.workers.get(pool_id, ()) if pool_id else ()
        return [worker for worker in seen if worker.status is WorkerStatus.ONLINE]


def _draining(workers: Sequence[SeenWorker]) -> int:
    return sum(1 for worker in workers if worker.draining)


async def situation_of(tx: Tx, runs: Iterable[Located], *, now: datetime, pools: Iterable[UUID] = ()) -> Situation:
    """What these runs wait in, and these pools; four statements, however many they are, and some more where
    they have keys or share limits."""
    runs = [*runs]
    pools = {*pools} | {run.work_pool_id for run in runs if run.work_pool_id}
    owners = {run.candidate.deployment_id for run in runs if run.candidate.deployment_id}
    lanes = await lane_rows.get_many(tx, pools=pools, deployments=owners)
    keys = await key_lanes(tx, [run.candidate for run in runs])
    limits = await limits_of(tx, lanes.deployments.values(), now=now)
    return Situation(lanes, await rows.workers(tx, pools, now=now) if pools else {}, now, keys, limits)


async def limits_of(tx: Tx, owners: Iterable[Owner], *, now: datetime) -> dict[UUID, Limit]:
    """The named limits that deployments share, by id."""
    ids = {owner.shared_id for owner in owners if owner.shared_id}
    return await slots.shared(tx, ids, now=now) if ids else {}


def lanes_of_owners(owners: Iterable[Owner], limits: Mapping[UUID, Limit]) -> dict[UUID, Lane]:
    """The limits that deployments share as dispatch sees them, by deployment."""
    lanes = {id: lane for id, limit in limits.items() if (lane := slots.lane_of(limit)) is not None}
    return {owner.lane.id: lanes[owner.shared_id] for owner in owners if owner.shared_id in lanes}


async def key_lanes(tx: Tx, runs: Iterable[Candidate | Bunch]) -> dict[UUID, Lane]:
    """The concurrency keys of runs as dispatch sees them, where they have any that are limited."""
    keys = {run.key_id: run.deployment_id for run in runs if run.key_id and run.deployment_id}
    limits = await claim_rows.key_limits(tx, keys) if keys else {}
    return {id: Lane(id, limit=limit.limit, used=limit.used) for id, limit in limits.items()}
