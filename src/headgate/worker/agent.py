"""The agent: a holder that polls queues, of one pool or of several, and starts what each deployment asks for."""

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from headgate.client.call import Call
from headgate.client.calls import agents
from headgate.client.client import AsyncClient
from headgate.clock import now
from headgate.core.names import run_name
from headgate.errors import HeadgateError
from headgate.schema.claims import (
    AgentClaimRequest,
    AgentLeaseRenewal,
    AgentLeaseReturn,
    HeldLease,
    LeaseRenewalResponse,
    PolledPool,
)
from headgate.schema.work_pools import UNTYPED
from headgate.settings import Settings
from headgate.worker.echo import Echo
from headgate.worker.holder import Holder, Look, Pace
from headgate.worker.placement import by_name
from headgate.worker.types import WorkerType

_LAST_WORD = 2.0


@dataclass(frozen=True, slots=True)
class Poll:
    """What an agent polls: queues by their names or by a prefix, or a pool as a whole."""

    pool: str | None = None
    queues: tuple[str, ...] = ()
    match: str | None = None

    def __str__(self) -> str:
        """In words: `work pool 'p'`, `work queues 'a', 'b' of work pool 'p'`, `work queues that start with 'dev-'`."""
        names = ", ".join(repr(queue) for queue in self.queues)
        of_pool = f" of work pool {self.pool!r}" if self.pool else ""
        if self.match is not None:
            return f"work queues that start with {self.match!r}{of_pool}"
        if self.queues:
            return f"work queue{'s' if len(self.queues) > 1 else ''} {names}{of_pool}"
        return f"work pool {self.pool!r}"


def default_name() -> str:
    """A name that is easy to say, such as `kind-nightingale`; an agent is told apart by its id."""
    return run_name(random.getrandbits(32))


class Agent(Holder):
    """One agent. `types` are the worker types that it can start; `limit` and `prefetch_seconds` as of a worker."""

    def __init__(
        self,
        *,
        poll: Poll,
        types: Mapping[str, WorkerType],
        client: AsyncClient,
        settings: Settings,
        name: str | None = None,
        limit: int | None = None,
        prefetch_seconds: float | None = None,
        clock: Callable[[], datetime] = now,
        echo: Echo | None = None,
    ) -> None:
        self.id = uuid4()
        self.name = name or default_name()
        self._poll = poll
        self._types = types
        prefetch = settings.agent_prefetch_seconds if prefetch_seconds is None else prefetch_seconds
        super().__init__(
            title=f"Agent {self.name!r}",
            logger=logging.getLogger(f"headgate.agent.{self.name}"),
            client=client,
            settings=settings,
            pace=Pace(limit, prefetch, settings.agent_query_interval, settings.worker_launch_limit or None),
            place=by_name(types),
            clock=clock,
            echo=echo,
        )

    async def join(self) -> None:
        """Make the pool and the queues that are missing; waits for an API that is away.

        Raises the API's error when they cannot be had.
        """
        await self._channel.insist(agents.claim(self._body(room=0, wait=0.0, make_pool=True)), starting=True)
        self.logger.info("Joined as agent %r with the id %s.", self.name, self.id)

    async def _prepare(self) -> None:
        self._joined.set()  # a new id: no request to drain can be meant for another process

    async def _look(self, *, room: int, wait: float) -> Look:
        answer = await self._channel.send(agents.claim(self._body(room=room, wait=wait)))
        for pool in answer.pools:
            self._note_type(pool)
        return Look(answer, answer.pools)

    def _body(self, *, room: int, wait: float, make_pool: bool = False) -> AgentClaimRequest:
        return AgentClaimRequest(
            agent_id=self.id,
            name=self.name,
            pool=self._poll.pool,
            queues=list(self._poll.queues),
            match=self._poll.match,
            make_pool=make_pool,
            types=sorted(self._types),
            room=room,
            prefetch_seconds=self._pace.prefetch,
            wait_seconds=wait,
            heartbeat_interval_seconds=self._settings.worker_heartbeat_seconds,
            cancelling=self._roster.cancelling(),
            paused=sorted(self._notices.paused),
        )

    def _note_type(self, pool: PolledPool) -> None:
        if pool.type != UNTYPED and pool.type not in self._types:
            installed = ", ".join(sorted(self._types)) or "none"
            self._notices.once(
                logging.WARNING,
                f"Work pool {pool.name!r} is of type {pool.type!r}, which is not installed here (installed: {installed}): "
                "its runs are left to others.",
            )

    def _renewal(self, leases: list[HeldLease]) -> Call[LeaseRenewalResponse]:
        interval = self._settings.worker_heartbeat_seconds
        return agents.renew(AgentLeaseRenewal(agent_id=self.id, heartbeat_interval_seconds=interval, leases=leases))

    def _return(self, leases: list[HeldLease]) -> Call[None]:
        return agents.give_back(AgentLeaseReturn(agent_id=self.id, name=self.name, leases=leases))

    async def _sign_off(self) -> None:
        """Off the list: nobody comes back under this id."""
        with suppress(HeadgateError, TimeoutError):
            async with asyncio.timeout(_LAST_WORD):
                await self._channel.send(agents.delete(self.id))
