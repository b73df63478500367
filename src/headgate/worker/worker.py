"""The worker: claims runs of one pool, keeps their leases, ends the ones that are to end, and leaves in good order."""

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import uuid4

from headgate.client.calls import claims, work_queues
from headgate.client.client import AsyncClient
from headgate.clock import monotonic, now
from headgate.errors import Conflict, HeadgateError, NotFound
from headgate.schema.claims import ClaimRequest, ClaimResponse, LeaseRenewal, LeaseReturn
from headgate.schema.work_queues import WorkQueueCreate
from headgate.settings import Settings
from headgate.worker.channel import Channel, is_transient
from headgate.worker.echo import Echo
from headgate.worker.execution import Ending, Station
from headgate.worker.roster import Roster
from headgate.worker.run_logs import RunLogs
from headgate.worker.types import WorkerType
from headgate.worker.waiting import first_of, pauses

UNLIMITED_ROOM = 100
"""Runs that a worker without a limit asks for at a time."""

LONGEST_POLL = 30.0
_PATIENCE = 10.0
_SHORTEST_BEAT = 0.5


def default_name(type: str) -> str:
    """A unique name for a worker of a type: `ProcessWorker <uuid4>`."""
    return f"{type.replace('-', ' ').title().replace(' ', '')}Worker {uuid4()}"


class Worker:
    """One worker of one pool, in one event loop. `limit` is of runs at a time, `prefetch_seconds` before their time."""

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
        self.logger = logging.getLogger(f"headgate.worker.{infrastructure.type}.{self.name.lower()}")
        self._type = infrastructure.type
        self._settings = settings
        self._clock = clock
        self._queues = list(queues)
        self._limit = limit
        self._prefetch = settings.worker_prefetch_seconds if prefetch_seconds is None else prefetch_seconds
        self._channel = Channel(client, logger=self.logger, tolerance=settings.api_outage_tolerance)
        self._logs = RunLogs(self._channel, settings, clock=clock)
        station = Station(self.name, settings, self._channel, self._logs, infrastructure, echo or Echo(), clock)
        self._roster = Roster(station)
        self._process = uuid4()
        self._joined = asyncio.Event()
        self._draining = asyncio.Event()
        self._stopping = asyncio.Event()
        self._halting = asyncio.Event()
        self._trouble: str | None = None
        self._paused = False
        self._full_said = False

    async def run(self, *, once: bool = False) -> None:
        """Work until told to stop; with `once`, claim what is there now, see it through, and leave."""
        beats = asyncio.create_task(self._beat())
        sender = asyncio.create_task(self._logs.run())
        try:
            await self._ensure_queues()
            await first_of(self._joined.wait(), self._draining)
            if once:
                await self._claim_once()
            else:
                await self._claim_until_drained()
            await self._finish()
        finally:
            await self._leave(beats, sender)

    def drain(self) -> None:
        """Claim no more, return what is not begun, finish the rest however long it takes, then leave."""
        self._draining.set()

    def stop(self) -> None:
        """Drain, but give what is begun `worker_shutdown_grace_seconds`, then end it."""
        self._draining.set()
        self._stopping.set()

    def halt(self) -> None:
        """End everything at once."""
        self.stop()
        self._halting.set()
        self._roster.end_all(Ending.WORKER_STOPPED, grace=0.0)

    # Claiming

    async def _ensure_queues(self) -> None:
        for queue in self._queues:
            await first_of(self._ensure_queue(queue), self._draining)

    async def _ensure_queue(self, queue: str) -> None:
        try:
            found = await self._channel.insist(work_queues.get_by_name(self.pool, queue), forever=True)
        except NotFound:
            try:
                await self._channel.insist(work_queues.create(self.pool, WorkQueueCreate(name=queue)), forever=True)
            except Conflict:  # another worker was faster
                return
            self.logger.info("Work queue %r created in work pool %r.", queue, self.pool)
        else:
            if found.is_paused:
                self.logger.warning("Work queue %r is paused: none of its runs is picked up until it is resumed.", queue)

    async def _claim_once(self) -> None:
        for pause in pauses():
            if self._draining.is_set():
                return
            try:
                response = await self._claim(0.0)
            except Exception as error:
                self._note_trouble(error)
                await self._rest(pause)
            else:
                if response is not None:
                    self._accept(response)
                return

    async def _claim_until_drained(self) -> None:
        wait = min(self._settings.worker_query_seconds, LONGEST_POLL, self._settings.api_request_timeout / 2)
        troubles, idles = pauses(), pauses(first=0.05, longest=1.0)
        while not self._draining.is_set():
            asked = monotonic()
            try:
                response = await self._claim(wait)
            except Exception as error:
                self._note_trouble(error)
                await self._rest(next(troubles))
                continue
            troubles = pauses()
            if response is None or self._accept(response) or monotonic() - asked >= wait / 2:
                idles = pauses(first=0.05, longest=1.0)
            else:  # an empty answer before its time: do not turn the long poll into a storm
                await self._rest(next(idles))

    async def _claim(self, wait: float) -> ClaimResponse | None:
        """The answer; None when it was given up for a reason to ask anew or to stop."""
        self._roster.freed.clear()
        room = self._room()
        body = ClaimRequest(
            worker=self.name,
            worker_type=self._type,
            queues=self._queues,
            room=room,
            prefetch_seconds=self._prefetch,
            wait_seconds=wait,
            heartbeat_interval_seconds=self._settings.worker_heartbeat_seconds,
            cancelling=self._roster.cancelling(),
        )
        # A call with room is never given up for a freed slot or to drain: its grants might be on their way, and who is told
        # to drain is answered at once.
        events = (self._stopping,) if room else (self._draining, self._roster.freed)
        response = await first_of(self._channel.send(claims.claim(self.pool, body)), *events)
        if response is not None:
            self._note_well(response)
        return response

    def _room(self) -> int:
        if self._limit is None:
            return UNLIMITED_ROOM
        room = max(self._limit - len(self._roster), 0)
        if room == 0 and not self._full_said:
            self._full_said = True
            self.logger.info("The limit of %d runs at a time is reached; more are claimed as these end.", self._limit)
        return min(room, 1000)

    def _accept(self, response: ClaimResponse) -> bool:
        """Whether the answer held anything new."""
        for grant in response.grants:
            self._roster.start(grant, response.base_job_template)
        if response.drain:
            self._drain_as_told()
        return self._roster.cancel(response.cancel) or bool(response.grants)

    # Leases and cancels

    async def _beat(self) -> None:
        tries = pauses()
        while True:
            interval = self._settings.worker_heartbeat_seconds
            try:
                left = await self._renew(within=max(2 * interval, 5.0))
                interval = min(interval, max(left / 3, _SHORTEST_BEAT))  # how long a lease lasts is the server's setting
            except Exception as error:
                self._note_trouble(error)
                if not self._joined.is_set():
                    interval = min(interval, next(tries))
            await asyncio.sleep(interval * random.uniform(0.8, 1.0))

    async def _renew(self, *, within: float) -> float:
        """For how many seconds the leases are good."""
        body = LeaseRenewal(
            worker=self.name,
            worker_type=self._type,
            joins_as=None if self._joined.is_set() else self._process,
            heartbeat_interval_seconds=self._settings.worker_heartbeat_seconds,
            leases=self._roster.leases(),
        )
        answer = await self._channel.send(claims.renew(self.pool, body), within=within)
        self._joined.set()
        if answer.drain:
            self._drain_as_told()
        self._roster.lose(answer.lost, body.leases)
        self._roster.cancel(answer.cancel)
        return (answer.expires_at - self._clock()).total_seconds()

    # Leaving

    async def _finish(self) -> None:
        await self._roster.idle(unless=self._draining)
        if not self._roster:
            return
        await self._give_back()
        await self._roster.idle(unless=self._stopping)
        if self._roster:
            await self._end_in_time()

    async def _end_in_time(self) -> None:
        grace = self._settings.worker_shutdown_grace_seconds
        self.logger.info(
            "Waiting up to %g s for runs still going (%d); a second signal ends them.", grace, len(self._roster)
        )
        await self._roster.idle(seconds=grace, unless=self._halting)
        grace = 0.0 if self._halting.is_set() else self._settings.worker_cancel_grace_seconds
        self._roster.end_all(Ending.WORKER_STOPPED, grace=grace)
        await self._roster.idle(seconds=grace + _PATIENCE, unless=self._halting)
        await self._roster.idle(seconds=_PATIENCE)

    async def _give_back(self) -> None:
        leases = await self._roster.withdraw(seconds=_PATIENCE)
        if not leases:
            return
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._channel.insist(claims.give_back(self.pool, LeaseReturn(worker=self.name, leases=leases)))
        except Exception as error:
            self.logger.warning("%d claims could not be returned; they lapse by themselves. %s", len(leases), error)
        else:
            self.logger.info("Runs that had not begun went back to their queue: %d.", len(leases))

    async def _leave(self, *helpers: asyncio.Task[None]) -> None:
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._logs.flush_all()
        except TimeoutError:
            self.logger.warning("The API did not take the last log lines of runs.")
        for task in helpers:
            task.cancel()
        await asyncio.gather(*helpers, return_exceptions=True)
        await self._roster.close()

    # What is said

    def _drain_as_told(self) -> None:
        if not self._draining.is_set():
            self.logger.info(
                "Told to drain: no more runs are claimed; those under way (%d) are finished.", len(self._roster)
            )
            self.drain()

    def _note_trouble(self, error: Exception) -> None:
        """Say what keeps work from being claimed, once; the channel speaks of outages."""
        text = str(error) or type(error).__name__
        if not is_transient(error) and text != self._trouble:
            self._trouble = text
            unforeseen = None if isinstance(error, HeadgateError) else error
            self.logger.error("Nothing is picked up: %s It is tried again.", text, exc_info=unforeseen)

    def _note_well(self, response: ClaimResponse) -> None:
        self._trouble = None
        if response.paused and not self._paused:
            self.logger.warning("Work pool %r is paused: nothing is picked up until it is resumed.", self.pool)
        elif self._paused and not response.paused:
            self.logger.info("Work pool %r is resumed.", self.pool)
        self._paused = response.paused

    async def _rest(self, seconds: float) -> None:
        await first_of(asyncio.sleep(seconds), self._draining)
