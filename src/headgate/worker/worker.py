"""The worker: a holder that joins one pool and starts the infrastructure of its one type."""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import uuid4

from headgate.client.call import Call
from headgate.client.calls import claims, work_queues
from headgate.client.client import AsyncClient
from headgate.clock import now
from headgate.errors import Conflict, NotFound
from headgate.schema.claims import ClaimRequest, HeldLease, LeaseRenewal, LeaseRenewalResponse, LeaseReturn, PolledPool
from headgate.schema.work_queues import WorkQueueCreate
from headgate.settings import Settings
from headgate.worker.echo import Echo
from headgate.worker.holder import Holder, Look, Pace
from headgate.worker.placement import in_type
from headgate.worker.types import Finding, WorkerType
from headgate.worker.waiting import first_of


def default_name(type: str) -> str:
    """A unique name for a worker of a type: `ProcessWorker <uuid4>`."""
    return f"{type.replace('-', ' ').title().replace(' ', '')}Worker {uuid4()}"


class Worker(Holder):
    """One worker of one pool. `limit` is of runs at a time, `prefetch_seconds` before their time."""

    def __init__(
        self,
        *,
        pool: str,
        infrastructure: WorkerType,
        client: AsyncClient,
        settings: Settings,
        name: str | None = None,
        queues: Sequence[str] = (),
        limit: int | None = None,
        prefetch_seconds: float | None = None,
        clock: Callable[[], datetime] = now,
        echo: Echo | None = None,
    ) -> None:
        self.pool = pool
        self.name = name or default_name(infrastructure.type)
        self._type = infrastructure.type
        self._queues = list(queues)
        self._process = uuid4()
        self._finding = infrastructure if isinstance(infrastructure, Finding) and infrastructure.site else None
        prefetch = settings.worker_prefetch_seconds if prefetch_seconds is None else prefetch_seconds
        super().__init__(
            title=f"Worker {self.name!r}",
            logger=logging.getLogger(f"headgate.worker.{infrastructure.type}.{self.name.lower()}"),
            client=client,
            settings=settings,
            pace=Pace(limit, prefetch, settings.worker_query_seconds, settings.worker_launch_limit or None),
            place=in_type(infrastructure),
            clock=clock,
            echo=echo,
            finding=self._finding,
        )

    async def _prepare(self) -> None:
        for queue in self._queues:
            await first_of(self._ensure_queue(queue), self._draining)

    async def _ensure_queue(self, queue: str) -> None:
        try:
            found = await self._channel.insist(work_queues.get_by_name(self.pool, queue), starting=True)
        except NotFound:
            try:
                await self._channel.insist(work_queues.create(self.pool, WorkQueueCreate(name=queue)), starting=True)
            except Conflict:  # another worker was faster
                return
            self.logger.info("Work queue %r created in work pool %r.", queue, self.pool)
        else:
            if found.is_paused:
                self.logger.warning("Work queue %r is paused: none of its runs is picked up until it is resumed.", queue)

    async def _look(self, *, room: int, wait: float) -> Look:
        body = ClaimRequest(
            worker=self.name,
            worker_type=self._type,
            queues=self._queues,
            room=room,
            prefetch_seconds=self._pace.prefetch,
            wait_seconds=wait,
            heartbeat_interval_seconds=self._settings.worker_heartbeat_seconds,
            cancelling=self._roster.cancelling(),
            paused=self.pool in self._notices.paused,
        )
        answer = await self._channel.send(claims.claim(self.pool, body))
        template = answer.base_job_template
        return Look(answer, [PolledPool(name=self.pool, type=self._type, base_job_template=template, paused=answer.paused)])

    def _renewal(self, leases: list[HeldLease]) -> Call[LeaseRenewalResponse]:
        body = LeaseRenewal(
            worker=self.name,
            worker_type=self._type,
            joins_as=None if self._joined.is_set() else self._process,
            site=self._finding.site if self._finding else None,
            heartbeat_interval_seconds=self._settings.worker_heartbeat_seconds,
            leases=leases,
        )
        return claims.renew(self.pool, body)

    def _return(self, leases: list[HeldLease]) -> Call[None]:
        return claims.give_back(self.pool, LeaseReturn(worker=self.name, leases=leases))

    async def _sign_off(self) -> None:
        """A worker stays on the list of its pool, as one that can be started again under its name."""
