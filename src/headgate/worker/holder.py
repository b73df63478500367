"""What workers and agents have in common: they claim runs, keep their leases, end those that are to end, leave in order."""

import asyncio
import logging
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from headgate.client.call import Call
from headgate.client.client import AsyncClient
from headgate.clock import monotonic
from headgate.schema.claims import Found, HeldLease, LeaseRenewalResponse, PolledPool
from headgate.settings import Settings
from headgate.worker.channel import Channel
from headgate.worker.echo import Echo
from headgate.worker.execution import Ending, Station
from headgate.worker.launches import Launches
from headgate.worker.notices import Notices
from headgate.worker.placement import Place
from headgate.worker.roster import Roster
from headgate.worker.run_logs import RunLogs
from headgate.worker.types import Finding
from headgate.worker.waiting import LONGEST_PAUSE, first_of, pauses
from headgate.worker.watchdog import EXIT_STALLED, Pulse, Watchdog

UNLIMITED_ROOM = 100
"""Runs that a holder without a limit asks for at a time."""

LONGEST_POLL = 30.0
_PATIENCE = 10.0
_SHORTEST_BEAT = 0.5


@dataclass(frozen=True, slots=True)
class Pace:
    """`limit` is of runs at a time, `launches` of those being started, `prefetch` seconds before their time, `query` the
    longest wait for an answer.
    """

    limit: int | None
    prefetch: float
    query: float
    launches: int | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """The answer to a claim, with the pools that were looked into."""

    found: Found
    pools: Sequence[PolledPool]


class Holder(ABC):
    """A process that claims runs and holds them until they have ended, in one event loop; `title` is `Worker 'night'` or so.

    Its kind says how the API is asked for work, how leases are renewed and returned, and where a run goes.
    """

    def __init__(
        self,
        *,
        title: str,
        logger: logging.Logger,
        client: AsyncClient,
        settings: Settings,
        pace: Pace,
        place: Place,
        clock: Callable[[], datetime],
        echo: Echo | None,
        finding: Finding | None = None,
    ) -> None:
        self.title = title
        self.logger = logger
        self._settings = settings
        self._clock = clock
        self._pace = pace
        self._channel = Channel(
            client,
            logger=logger,
            tolerance=settings.api_outage_tolerance,
            start_tolerance=settings.worker_wait_for_api_seconds,
        )
        self._logs = RunLogs(self._channel, settings, clock=clock)
        self._launches = Launches(pace.launches)
        station = Station(title, settings, self._channel, self._logs, place, echo or Echo(), clock, finding, self._launches)
        self._roster = Roster(station)
        self._notices = Notices(logger)
        self._joined = asyncio.Event()
        self._draining = asyncio.Event()
        self._stopping = asyncio.Event()
        self._halting = asyncio.Event()
        self._full_said = False
        self.watchdog = Watchdog(title, logger=logger, give_up=self._fail)
        self.exit_code = 0

    async def run(self, *, once: bool = False) -> None:
        """Work until told to stop; with `once`, claim what is there now, see it through, and leave."""
        with self.watchdog.watching():
            beats = asyncio.create_task(self.watchdog.keep("heartbeat", self._beat))
            sender = asyncio.create_task(self._logs.run())
            try:
                await self._prepare()
                await first_of(self._joined.wait(), self._draining)
                if once:
                    await self._claim_once()
                else:
                    await self.watchdog.keep("claim loop", self._claim_until_drained)
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
        self._roster.end_all(Ending.HOLDER_STOPPED, grace=0.0)

    def _fail(self) -> None:
        """Leave, so that somebody starts this program again."""
        self.exit_code = EXIT_STALLED
        self.stop()

    # What a kind of holder says

    @abstractmethod
    async def _prepare(self) -> None:
        """See to it that there is something to claim from."""

    @abstractmethod
    async def _look(self, *, room: int, wait: float) -> Look:
        """Claim up to `room` runs; the call is held open for up to `wait` seconds."""

    @abstractmethod
    def _renewal(self, leases: list[HeldLease]) -> Call[LeaseRenewalResponse]:
        """The heartbeat."""

    @abstractmethod
    def _return(self, leases: list[HeldLease]) -> Call[None]:
        """Give claims back."""

    @abstractmethod
    async def _sign_off(self) -> None:
        """The last word, when nothing is held any longer."""

    # Claiming

    async def _claim_once(self) -> None:
        for pause in pauses():
            if self._draining.is_set():
                return
            try:
                # There is no next call: those that may not be started yet wait their turn here.
                look = await self._claim(0.0, room=self._room_to_run())
            except Exception as error:
                self._notices.trouble(error)
                await self._rest(pause)
            else:
                if look is not None:
                    self._accept(look)
                return

    async def _claim_until_drained(self, pulse: Pulse) -> None:
        wait = min(self._pace.query, LONGEST_POLL, self._settings.api_request_timeout / 2)
        troubles, idles = pauses(), pauses(first=0.05, longest=1.0)
        while not self._draining.is_set():
            asked = monotonic()
            pulse.expect(wait + self._settings.api_request_timeout + LONGEST_PAUSE)
            try:
                look = await self._claim(wait, room=self._room())
            except Exception as error:
                self._notices.trouble(error)
                pulse.passed()
                await self._rest(next(troubles))
                continue
            pulse.passed()
            troubles = pauses()
            if look is None or self._accept(look) or monotonic() - asked >= wait / 2:
                idles = pauses(first=0.05, longest=1.0)
            else:  # an empty answer before its time: do not turn the long poll into a storm
                await self._rest(next(idles))

    async def _claim(self, wait: float, *, room: int) -> Look | None:
        """The answer; None when it was given up for a reason to ask anew or to stop."""
        self._roster.freed.clear()
        self._launches.settled.clear()
        # A call with room is never given up for a freed slot or to drain: its grants might be on their way, and who is told
        # to drain is answered at once.
        events = (self._stopping,) if room else (self._draining, self._roster.freed, self._launches.settled)
        look = await first_of(self._look(room=room, wait=wait), *events)
        if look is not None:
            # Only a look that had room and found nothing can tell what holds runs back.
            self._notices.answered(look.pools, look.found.held if room and not look.found.grants else None)
        return look

    def _room(self) -> int:
        room, launches = self._room_to_run(), self._launches.room
        return room if launches is None else min(room, launches)

    def _room_to_run(self) -> int:
        limit = self._pace.limit
        if limit is None:
            return UNLIMITED_ROOM
        room = max(limit - len(self._roster), 0)
        if room == 0 and not self._full_said:
            self._full_said = True
            self.logger.info("The limit of %d runs at a time is reached; more are claimed as these end.", limit)
        return min(room, 1000)

    def _accept(self, look: Look) -> bool:
        """Whether the answer held anything new."""
        found = look.found
        pools = {pool.name: pool for pool in look.pools}
        for grant in found.grants:
            self._roster.start(grant, pools.get(grant.flow_run.work_pool_name or "", look.pools[0]))
        if found.drain:
            self._drain_as_told()
        adopted = self._roster.adopt(found.strays)
        return self._roster.cancel(found.cancel) or adopted or bool(found.grants)

    # Leases and cancels

    async def _beat(self, pulse: Pulse) -> None:
        tries = pauses()
        while True:
            interval = self._settings.worker_heartbeat_seconds
            pulse.expect(interval + max(2 * interval, 5.0))
            try:
                left = await self._renew(within=max(2 * interval, 5.0))
                interval = min(interval, max(left / 3, _SHORTEST_BEAT))  # how long a lease lasts is the server's setting
            except Exception as error:
                self._notices.trouble(error)
                if not self._joined.is_set():
                    interval = min(interval, next(tries))
            pulse.passed()
            await first_of(asyncio.sleep(interval * random.uniform(0.8, 1.0)), self._roster.found)

    async def _renew(self, *, within: float) -> float:
        """For how many seconds the leases are good."""
        self._roster.found.clear()
        leases = self._roster.leases()
        answer = await self._channel.send(self._renewal(leases), within=within)
        self._joined.set()
        if answer.drain:
            self._drain_as_told()
        self._roster.lose(answer.lost, leases)
        self._roster.cancel(answer.cancel)
        return (answer.expires_at - self._clock()).total_seconds()

    def _drain_as_told(self) -> None:
        if not self._draining.is_set():
            self.logger.info(
                "Told to drain: no more runs are claimed; those under way (%d) are finished.", len(self._roster)
            )
            self.drain()

    # Leaving

    async def _finish(self) -> None:
        await self._roster.idle(unless=self._draining)
        self._roster.release()
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
        self._roster.end_all(Ending.HOLDER_STOPPED, grace=grace)
        await self._roster.idle(seconds=grace + _PATIENCE, unless=self._halting)
        await self._roster.idle(seconds=_PATIENCE)

    async def _give_back(self) -> None:
        leases = await self._roster.withdraw(seconds=_PATIENCE)
        if not leases:
            return
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._channel.insist(self._return(leases))
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
        await self._sign_off()

    async def _rest(self, seconds: float) -> None:
        await first_of(asyncio.sleep(seconds), self._draining)
