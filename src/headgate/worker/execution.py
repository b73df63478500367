"""One claimed run, from its grant to its holder's last word about it."""

import asyncio
import logging
import os
import traceback
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum, auto

from msgspec import UNSET

from headgate.client.calls import flow_runs
from headgate.core.states import AWAITING_RETRY
from headgate.errors import HeadgateError
from headgate.flows.processes import crash_reason, explain_exit
from headgate.schema.claims import Grant, PolledPool
from headgate.schema.flow_runs import FlowRunUpdate, Trace
from headgate.schema.states import CrashReason, OrchestrationResult, OrchestrationStatus, StateType
from headgate.settings import Settings
from headgate.worker.channel import Channel
from headgate.worker.echo import Echo
from headgate.worker.job import prepare, secrets_of
from headgate.worker.launches import Launches
from headgate.worker.masking import Masking
from headgate.worker.placement import Place
from headgate.worker.proposals import accepted, due_at, held, propose, refused_as, scheduled_time
from headgate.worker.run_logs import WORKER, RunLogs
from headgate.worker.stopping import stop_surely
from headgate.worker.types import Finding, Job, Running, Traced, WorkerType

TAIL_LINES = 50
TAIL_LENGTH = 8_000

CANCELLED = "The run was cancelled."
_WELL_AHEAD = 1.0

logger = logging.getLogger(WORKER)


class Ending(Enum):
    """Why a worker or an agent ends a run before it ends itself."""

    CANCELLED = auto()
    """A user cancelled it."""
    LOST = auto()
    """The lease is someone else's, or the run is gone: nothing is reported."""
    RETURNED = auto()
    """It was not begun and goes back to its queue: nothing is reported."""
    HOLDER_STOPPED = auto()
    """The worker or agent leaves and does not wait any longer."""


@dataclass(frozen=True, slots=True)
class Station:
    """What all runs of one worker or agent share; `holder` says which: `Worker 'night'`. `finding` finds runs of others."""

    holder: str
    settings: Settings
    channel: Channel
    logs: RunLogs
    place: Place
    echo: Echo
    clock: Callable[[], datetime]
    finding: Finding | None = None
    launches: Launches = field(default_factory=Launches)


class Execution:
    """Starts a granted run, watches it, reports for it. `run` returns when nothing of the run is left on this worker."""

    def __init__(self, grant: Grant, pool: PolledPool, station: Station) -> None:
        self.lease = held(grant)
        self.ending: Ending | None = None
        self._grant = grant
        self._pool = pool
        self._station = station
        self._ordered = asyncio.Event()
        self._started = False
        self._begun = False
        self._running: Running | None = None
        self._stops: list[asyncio.Task[None]] = []
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._echoes = False
        self._crash_reason = CrashReason.OTHER
        self._masked = Masking(secrets_of(grant))

    async def run(self) -> None:
        """Never raises for what goes wrong with this run; other runs are none of its business."""
        try:
            await self._run()
        except HeadgateError as error:
            await self._crash(str(error))
        except Exception as error:
            self._log_trace(error)
            await self._crash(f"The worker failed on this run: {type(error).__name__}: {error}")
        await self._station.logs.flush(self.lease.flow_run_id)

    def end(self, ending: Ending, *, grace: float) -> None:
        """Have the run end: SIGTERM now, SIGKILL after `grace` seconds. Again with a shorter grace to hurry it."""
        if self.ending is None and ending is Ending.HOLDER_STOPPED:
            self._say(logging.WARNING, f"{self._station.holder} leaves and ends this run.")
        if self.ending is None or ending is Ending.LOST:
            self.ending = ending
        self._ordered.set()
        if self._running is not None:
            self._stops.append(asyncio.create_task(self._stop(self._running, grace)))

    def can_be_returned(self) -> bool:
        """Whether no code of the run can have begun: it is not started, or waits in its engine for a time well ahead."""
        if self.ending is not None or self._begun:
            return False
        return not self._started or (self._running is not None and self._is_early())

    def _is_early(self) -> bool:
        due = due_at(self._grant)
        return due is not None and (due - self._station.clock()).total_seconds() > _WELL_AHEAD

    @property
    def _title(self) -> str:
        return f"Flow run {self._grant.flow_run.name!r}"

    @property
    def _is_command(self) -> bool:
        return self._grant.deployment is not None and bool(self._grant.deployment.command)

    async def _run(self) -> None:
        settings = self._station.settings
        placement = self._station.place(self._grant, self._pool)
        job = prepare(
            self._grant,
            placement.template,
            placement.layers,
            settings=settings,
            environ=os.environ,
            on_line=self._on_line,
        )
        self._echoes = job.configuration.get("stream_output") is not False
        if self._is_command:
            await self._run_command(job, placement.infrastructure)
        else:
            job = replace(job, forward=self._station.channel.forward)
            await self._conclude_engine(await self._execute(job, placement.infrastructure))

    async def _run_command(self, job: Job, infrastructure: WorkerType) -> None:
        """For a command the worker does what the engine does for a flow: wait for the time, report, try again."""
        due = due_at(self._grant)
        while await self._begin(due):
            answer = await self._conclude_command(await self._execute(job, infrastructure))
            if answer is None or not _is_retry(answer):
                return
            due = scheduled_time(answer)
        await self._report_ending()

    async def _begin(self, due: datetime | None) -> bool:
        """Wait until `due`, then have the run Running; False when it is not to be run."""
        while await self._sleep_until(due):
            self._begun = True
            answer = await propose(self._station.channel, self.lease, StateType.RUNNING)
            if answer is None:
                return False
            if answer.status is not OrchestrationStatus.WAIT:
                self._note_cancel(answer)
                return accepted(answer, StateType.RUNNING)
            due = _next_try(answer, now=self._station.clock())
        return False

    def _note_cancel(self, answer: OrchestrationResult) -> None:
        if refused_as(answer, StateType.CANCELLING):
            self.ending = self.ending or Ending.CANCELLED

    async def _sleep_until(self, due: datetime | None) -> bool:
        """True at that time, False as soon as the run is to be ended."""
        seconds = (due - self._station.clock()).total_seconds() if due is not None else 0.0
        if seconds > 0:
            self._station.launches.settle(self)
        with suppress(TimeoutError):
            async with asyncio.timeout(max(seconds, 0.0)):
                await self._ordered.wait()
        return not self._ordered.is_set()

    async def _execute(self, job: Job, infrastructure: WorkerType) -> int:
        """The exit code of one start; nothing is left of it, unless it ended well and left something on purpose."""
        running = await self._launch(job, infrastructure)
        if running is None:
            return 0
        try:
            if self._ordered.is_set():
                await self._stop(running, 0.0)
            note = asyncio.create_task(self._note_identifier(running, infrastructure))
            code = await self._wait(running)
            await asyncio.gather(note, *self._stops)
            return code
        finally:
            self._running = None

    async def _launch(self, job: Job, infrastructure: WorkerType) -> Running | None:
        """None when it is to end before its turn has come."""
        async with self._station.launches.turn(self):
            if self.ending is not None:
                return None
            self._started = True
            try:
                self._running = await infrastructure.start(job)
            except HeadgateError:
                self._crash_reason = CrashReason.LAUNCH_ERROR
                raise
            return self._running

    async def _wait(self, running: Running) -> int:
        try:
            code = await running.wait()
        except Exception:
            await self._stop(running, 0.0)
            raise
        if code != 0 and not self._stops:
            await self._stop(running, 0.0)
        return code

    async def _stop(self, running: Running, grace: float) -> None:
        await stop_surely(running.stop, grace, self._say, self._title)

    async def _note_identifier(self, running: Running, infrastructure: WorkerType) -> None:
        self._say(logging.INFO, f"{self._title} started as {running.identifier}.")
        try:
            trace = _trace(running, infrastructure, self.lease.fence)
            body = FlowRunUpdate(infrastructure_pid=running.identifier, infrastructure_trace=trace)
            await self._station.channel.insist(flow_runs.update(self.lease.flow_run_id, body))
        except Exception as error:
            logger.debug("the identifier of %s was not recorded: %s", self.lease.flow_run_id, error)

    async def _conclude_engine(self, code: int) -> None:
        """The engine has reported for itself, unless it died."""
        if self.ending is not None:
            await self._report_ending()
        elif code != 0:
            self._crash_reason = crash_reason(code)
            await self._crash(f"The process of the run ended with {explain_exit(code)}.")

    async def _conclude_command(self, code: int) -> OrchestrationResult | None:
        if self.ending is not None:
            await self._report_ending()
            return None
        message = f"The command ended with {explain_exit(code)}."
        if code != 0:
            self._say(logging.ERROR, message)
        await self._station.logs.flush(self.lease.flow_run_id)
        if code == 0:
            return await self._report(StateType.COMPLETED, None)
        self._crash_reason = crash_reason(code)
        return await self._report(StateType.CRASHED if code < 0 else StateType.FAILED, message)

    async def _report_ending(self) -> None:
        match self.ending:
            case Ending.CANCELLED:
                self._say(logging.INFO, f"{self._title} was cancelled.")
                await self._report(StateType.CANCELLED, CANCELLED)
            case Ending.HOLDER_STOPPED:
                self._crash_reason = CrashReason.PREEMPTED
                await self._crash(f"{self._station.holder} was stopped before the run had ended.")
            case Ending.LOST | Ending.RETURNED:
                logger.info("%s was ended here without a report.", self._title)

    def _log_trace(self, error: Exception) -> None:
        trace = "".join(traceback.format_exception(error))
        logger.error("%s failed in the worker\n%s", self._title, self._masked(trace))

    async def _crash(self, message: str) -> None:
        self._begun = True
        message = self._masked(message)
        answer = await self._report(StateType.CRASHED, message)
        if answer is None or answer.status is OrchestrationStatus.ABORT:
            return
        tail = "\n".join(self._tail)[-TAIL_LENGTH:]
        self._say(logging.ERROR, f"{message} Its last lines of output:\n{tail}" if tail else message)

    async def _report(self, type: StateType, message: str | None) -> OrchestrationResult | None:
        """Propose a final state; a cancel that came in between is concluded as such."""
        reason = self._crash_reason if type is StateType.CRASHED else UNSET
        answer = await propose(self._station.channel, self.lease, type, message=message, crash_reason=reason)
        if answer is not None and refused_as(answer, StateType.CANCELLING):
            return await propose(self._station.channel, self.lease, StateType.CANCELLED, message=CANCELLED)
        return answer

    def _on_line(self, line: str) -> None:
        line = self._masked(line)
        if self._is_command:
            self._station.logs.write(self.lease.flow_run_id, line)
        else:
            self._tail.append(line)
        if self._echoes:
            self._station.echo.write(line)

    def _say(self, level: int, message: str) -> None:
        message = self._masked(message)
        logger.log(level, "%s", message)
        self._station.logs.write(self.lease.flow_run_id, message, level=level, name=WORKER)


def _trace(running: Running, infrastructure: WorkerType, fence: int) -> Trace | None:
    if not isinstance(infrastructure, Finding) or not isinstance(running, Traced):
        return None
    site, handle = infrastructure.site, running.handle
    return Trace(site=site, handle=handle, fence=fence) if site and handle else None


def _next_try(answer: OrchestrationResult, *, now: datetime) -> datetime:
    """When to propose again after a WAIT. If our clock is ahead, come near the server's whole seconds, then ask often."""
    due = scheduled_time(answer)
    if due is not None and due > now:
        return due
    return now + timedelta(seconds=max((answer.details.delay_seconds or 0) - 1, 0.05))


def _is_retry(answer: OrchestrationResult) -> bool:
    """FAILED with retries left is answered with the time of the next try; the lease is kept until then."""
    return refused_as(answer, StateType.SCHEDULED) and answer.state is not None and answer.state.name == AWAITING_RETRY
