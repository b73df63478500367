"""What runs pass on their way to a worker, as dispatch sees it: pools, queues and deployments, with their names."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import convert

from headgate.core.dispatch import Lane
from headgate.core.fair_share import Party, Share
from headgate.core.launch_rates import Launches, Pace
from headgate.schema.pauses import Pause
from headgate.schema.work_pools import LaunchRate
from headgate.store import work_pools
from headgate.store.database import Row, Tx
from headgate.store.statements import load_statements

_SQL = load_statements("lanes")


@dataclass(frozen=True, slots=True)
class Pool:
    """A work pool."""

    lane: Lane
    name: str
    type: str
    pause: Pause | None
    launch_rate: LaunchRate | None = None
    launches: Launches = ()
    launching: Lane | None = None
    share: Share | None = None

    def pace(self, now: datetime) -> Pace | None:
        """What its launch rate lets through at `now`; None without one."""
        return Pace(self.launch_rate, self.launches, now) if self.launch_rate else None


@dataclass(frozen=True, slots=True)
class Queue:
    """A work queue."""

    lane: Lane
    name: str
    pause: Pause | None
    work_pool_id: UUID
    last_polled: datetime | None


@dataclass(frozen=True, slots=True)
class Owner:
    """A deployment. `last_polled`: by a process that serves it itself. `shared_id`: the limit that it shares with others."""

    lane: Lane
    name: str
    pause: Pause | None
    flow_id: UUID
    flow_name: str
    last_polled: datetime | None
    shared_id: UUID | None = None

    @property
    def full_name(self) -> str:
        return f"{self.flow_name}/{self.name}"


@dataclass(frozen=True, slots=True)
class Lanes:
    """By id: pools, all queues of these, and deployments."""

    pools: Mapping[UUID, Pool]
    queues: Mapping[UUID, Queue]
    deployments: Mapping[UUID, Owner]


async def get_many(tx: Tx, *, pools: Iterable[UUID] = (), deployments: Iterable[UUID] = ()) -> Lanes:
    """Those of these ids that exist."""
    pool_ids, deployment_ids = sorted(set(pools)), sorted(set(deployments))
    found = await tx.fetch(_SQL["pools"], {"ids": pool_ids}) if pool_ids else []
    queues = await tx.fetch(_SQL["queues"], {"pool_ids": pool_ids}) if pool_ids else []
    owners = await tx.fetch(_SQL["deployments"], {"ids": deployment_ids}) if deployment_ids else []
    return Lanes(
        {row["id"]: _pool(row, await _share(tx, row)) for row in found},
        {row["id"]: _queue(row) for row in queues},
        {row["id"]: _owner(row) for row in owners},
    )


async def _share(tx: Tx, row: Row) -> Share | None:
    return await work_pools.share(tx, row["id"], convert(row["turns"] or [], list[Party])) if row["fair_share"] else None


def _pool(row: Row, share: Share | None) -> Pool:
    lane = Lane(row["id"], row["is_paused"], row["concurrency_limit"], row["used"])
    rate = convert(row["launch_rate"], LaunchRate | None)
    limit = row["launch_limit"]
    launching = Lane(row["id"], limit=limit, used=row["launching"]) if limit is not None else None
    return Pool(lane, row["name"], row["type"], _pause(row["pause"]), rate, row["launches"] or (), launching, share)


def _queue(row: Row) -> Queue:
    lane = Lane(row["id"], row["is_paused"], row["concurrency_limit"], row["used"], row["priority"])
    return Queue(lane, row["name"], _pause(row["pause"]), row["work_pool_id"], row["last_polled"])


def _owner(row: Row) -> Owner:
    lane = Lane(row["id"], row["paused"], row["concurrency_limit"], row["used"])
    names = row["flow_id"], row["flow_name"]
    return Owner(lane, row["name"], _pause(row["pause"]), *names, row["last_polled"], row["shared_limit_id"])


def _pause(value: Any) -> Pause | None:
    return convert(value, Pause) if value else None
