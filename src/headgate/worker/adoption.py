"""One run that another worker started and looks after no longer: is it still there, and what is to be done with it."""

import asyncio
import logging
from collections.abc import Callable

from headgate.client.calls import flow_runs
from headgate.errors import HeadgateError, NotFound
from headgate.schema.claims import HeldLease, Stray
from headgate.schema.states import CrashReason, StateType
from headgate.worker.execution import CANCELLED, Ending, Station
from headgate.worker.proposals import propose, refused_as
from headgate.worker.run_logs import WORKER
from headgate.worker.stopping import stop_surely
from headgate.worker.types import Finding, Remnant
from headgate.worker.waiting import first_of

logger = logging.getLogger(WORKER)


class Adoption:
    """Looks for a run's infrastructure, watches it, stops it if told to, and reports what nobody else did.

    `run` returns when nothing of it is left, or when this worker lets go of it: then the run goes on.
    """

    def __init__(self, stray: Stray, infrastructure: Finding, station: Station, *, on_found: Callable[[], None]) -> None:
        self.lease = HeldLease(flow_run_id=stray.lease.flow_run_id, fence=stray.lease.fence)
        self.ending: Ending | None = None
        self._stray = stray
        self._infrastructure = infrastructure
        self._station = station
        self._released = asyncio.Event()
        self._on_found = on_found
        self._remnant: Remnant | None = None
        self._stops: list[asyncio.Task[None]] = []
        self._grace: float | None = None

    async def run(self) -> None:
        """Never raises for what goes wrong with this run; the lease lapses again, and others are asked."""
        try:
            await self._run()
        except HeadgateError as error:
            logger.warning("%s cannot be looked after: %s", self._title, error)
        await self._station.logs.flush(self.lease.flow_run_id)

    def end(self, ending: Ending, *, grace: float) -> None:
        """Stop the run if it was cancelled or is someone else's; let go of it if only this worker leaves."""
        if self.ending is None or ending is Ending.LOST:
            self.ending = ending
        if ending in (Ending.CANCELLED, Ending.LOST):
            self._grace = grace if self._grace is None else min(self._grace, grace)
            if self._remnant is not None:
                self._stops.append(asyncio.create_task(self._stop(self._remnant, grace)))
        elif self._grace is None:
            self._released.set()

    def can_be_returned(self) -> bool:
        """It was begun."""
        return False

    def is_kept(self) -> bool:
        """Whether its lease is to be renewed: there is something of it."""
        return self._remnant is not None

    @property
    def _title(self) -> str:
        return f"Flow run {self._stray.name!r}"

    async def _run(self) -> None:
        remnant = self._remnant = await self._infrastructure.find(self._stray.handle, self.lease.flow_run_id)
        if remnant is None:
            await self._conclude(f"{self._title} was no longer there when {self._station.holder} looked for it.")
            return
        self._on_found()
        self._say(logging.WARNING, f"The worker of this run went silent; {self._station.holder} looks after it.")
        if self._grace is not None:
            await self._stop(remnant, self._grace)
        await first_of(remnant.gone(), self._released)
        await asyncio.gather(*self._stops)
        if not self._released.is_set():
            await self._conclude("The process of the run ended without a report, after its worker had gone.")

    async def _stop(self, remnant: Remnant, grace: float) -> None:
        await stop_surely(remnant.stop, grace, self._say, self._title)

    async def _conclude(self, message: str) -> None:
        """Report the end of what is gone, unless it did so itself."""
        if self.ending is Ending.LOST:
            return
        try:
            run = await self._station.channel.insist(flow_runs.get(self.lease.flow_run_id))
        except NotFound:
            return
        if run.fence != self.lease.fence:
            return
        match run.state_type:
            case StateType.CANCELLING:
                await self._report_cancelled()
            case StateType.RUNNING:
                await self._report_crashed(message)

    async def _report_crashed(self, message: str) -> None:
        await self._remove_rest()
        channel, reason = self._station.channel, CrashReason.LOST
        answer = await propose(channel, self.lease, StateType.CRASHED, message=message, crash_reason=reason)
        if answer is not None and refused_as(answer, StateType.CANCELLING):
            await self._report_cancelled()

    async def _report_cancelled(self) -> None:
        await self._remove_rest()
        await propose(self._station.channel, self.lease, StateType.CANCELLED, message=CANCELLED)

    async def _remove_rest(self) -> None:
        """What the run's process has left in its group."""
        if self._remnant is not None:
            await self._stop(self._remnant, 0.0)

    def _say(self, level: int, message: str) -> None:
        logger.log(level, "%s", message)
        self._station.logs.write(self.lease.flow_run_id, message, level=level, name=WORKER)
