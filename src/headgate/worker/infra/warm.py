"""Which zygote a run is forked from: one that has the engine imported, or one that has the flow's code as well."""

import asyncio
import logging
import os
import sys
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

from headgate.clock import monotonic
from headgate.flows.loading import Code, code_of
from headgate.flows.warm.birth import PER_RUN
from headgate.flows.warm.wire import Unfit
from headgate.settings import Settings
from headgate.worker.infra.births import NotWarm, WarmChild
from headgate.worker.infra.zygotes import Zygote, start_zygote
from headgate.worker.types import Job

_READ_AT_START = ("PYTHON", "LD_", "LC_", "LANG", "MALLOC_", "GLIBC_", "OPENSSL_", "SSL_", "HOME", "TZ")
"""Beginnings of the names of what an interpreter reads from its environment once: a fork cannot take over another value."""

_MOST_ENGINES = 4
_MOST_REMEMBERED = 1000
_MOST_FAILURES = 3
_LONGEST_WAIT = 2.0
_REST = 60.0
_MEGABYTE = 1 << 20

logger = logging.getLogger("headgate.worker")


def is_possible() -> bool:
    """Whether this system has what warm starts are made of."""
    return sys.platform == "linux" and hasattr(os, "pidfd_open") and os.path.isdir("/proc/self/task")


@dataclass(frozen=True, slots=True)
class _Place:
    """Where code is imported: the directory that the process starts in, and what it enters and loads from there."""

    directory: str
    code: Code


@dataclass(slots=True)
class _Template:
    """A zygote that has a flow's code, or the reason why there is none."""

    preloading: asyncio.Task[Zygote | Unfit]
    begun: float = field(default_factory=monotonic)
    idle: asyncio.TimerHandle | None = None

    def has_zygote(self) -> bool:
        """Whether it takes memory, now or soon."""
        return not self.preloading.done() or _zygote_of(self.preloading) is not None

    def is_over(self, uses: int) -> bool:
        """Whether its time has come: another try may have another result."""
        if not self.preloading.done():
            return False
        if self.preloading.cancelled() or self.preloading.exception() is not None:
            return True
        match self.preloading.result():
            case Unfit(_, files, failed):
                return (failed and monotonic() > self.begun + _REST) or not all(file.is_current() for file in files)
            case zygote:
                return zygote.uses >= uses or not zygote.is_current()

    def drop(self) -> None:
        """Give the zygote up."""
        if self.idle is not None:
            self.idle.cancel()
        self.preloading.add_done_callback(_retire)


class WarmStarts:
    """Forks the processes of runs, from zygotes that it starts when they are needed and gives up when they are not."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._engines: OrderedDict[Hashable, asyncio.Task[Zygote]] = OrderedDict()
        self._templates: OrderedDict[Hashable, _Template] = OrderedDict()
        self._seen: OrderedDict[Hashable, int] = OrderedDict()
        self._said: set[str] = set()
        self._failures = 0
        self._resting_until = 0.0

    async def start(self, job: Job, environment: Mapping[str, str], directory: str, output: int) -> WarmChild | None:
        """A process that executes the run, its output going to `output`; None when it has to be started cold.

        Never raises for what goes wrong with warmth.
        """
        if monotonic() < self._resting_until or not _is_there(directory):
            return None
        try:
            engine = await self._engine(environment)
            zygote = await self._flow(engine, job, environment) or engine
            child = await zygote.bear(job, environment, _absolute(directory), output)
        except NotWarm as error:
            self._note_failure(str(error))
            return None
        except Exception as error:
            logger.exception("A warm start failed")
            self._note_failure(f"{type(error).__name__}: {error}")
            return None
        self._failures = 0
        return child

    def _note_failure(self, reason: str) -> None:
        self._failures += 1
        logger.debug("a run is started cold: %s", reason)
        if self._failures >= _MOST_FAILURES:
            self._failures, self._resting_until = 0, monotonic() + _REST
            logger.warning("Warm starts do not work here; for %g s runs are started cold. %s", _REST, reason)

    # Zygotes with the engine

    async def _engine(self, environment: Mapping[str, str]) -> Zygote:
        key = frozenset(item for item in environment.items() if item[0].startswith(_READ_AT_START))
        task = self._engines.get(key)
        if task is None or _is_spent(task):
            if task is not None:
                task.add_done_callback(_retire)
            task = self._engines[key] = asyncio.create_task(start_zygote(_lasting(environment)))
            self._engines.move_to_end(key)
            if len(self._engines) > _MOST_ENGINES:
                self._engines.popitem(last=False)[1].add_done_callback(_retire)
        return await asyncio.shield(task)

    # Zygotes with a flow's code

    async def _flow(self, engine: Zygote, job: Job, environment: Mapping[str, str]) -> Zygote | None:
        """The zygote for this run's code; None when the run imports it itself."""
        place = _place_of(job)
        if place is None or not self._settings.worker_warm_flows:
            return None
        lasting = _lasting(environment)
        key = (place, frozenset(lasting.items()))
        template = self._templates.get(key)
        if template is not None and template.is_over(self._settings.worker_warm_uses):
            self._drop(key)
            template = None
        if template is None:
            if not self._is_worth_it(place, key):
                return None
            template = self._add(key, asyncio.create_task(self._preload(engine, place, lasting)))
        return await self._use(key, template)

    async def _use(self, key: Hashable, template: _Template) -> Zygote | None:
        """The zygote, if it is there soon: an import takes as long as it would in the run."""
        left = template.begun + _LONGEST_WAIT - monotonic()
        if left > 0 and not template.preloading.done():
            await asyncio.wait({template.preloading}, timeout=left)
        zygote = _zygote_of(template.preloading) if template.preloading.done() else None
        if zygote is None or self._templates.get(key) is not template:
            return None
        self._templates.move_to_end(key)
        if template.idle is not None:
            template.idle.cancel()
        idle = self._settings.worker_warm_idle_seconds
        template.idle = asyncio.get_running_loop().call_later(idle, self._drop, key)
        return zygote

    def _is_worth_it(self, place: _Place, key: Hashable) -> bool:
        """Whether an import is likely to be used again: not where each run of the same code has another environment."""
        is_new = self._count(place) == 1
        return self._count(key) > 1 or is_new

    def _count(self, key: Hashable) -> int:
        count = self._seen[key] = self._seen.pop(key, 0) + 1
        if len(self._seen) > _MOST_REMEMBERED:
            self._seen.popitem(last=False)
        return count

    def _add(self, key: Hashable, preloading: asyncio.Task[Zygote | Unfit]) -> _Template:
        """Hold a new one; those that were not used for longest make room."""
        template = self._templates[key] = _Template(preloading)
        holding = [other for other, each in self._templates.items() if each.has_zygote()]
        for other in holding[: -self._settings.worker_warm_flows]:
            self._drop(other)
        while len(self._templates) > _MOST_REMEMBERED:
            self._drop(next(iter(self._templates)))
        return template

    def _drop(self, key: Hashable) -> None:
        self._templates.pop(key).drop()

    async def _preload(self, engine: Zygote, place: _Place, environment: Mapping[str, str]) -> Zygote | Unfit:
        zygote = await engine.preload(environment, place.directory, place.code)
        try:
            answer = await self._judged(zygote)
        except BaseException:
            zygote.close()
            raise
        if not isinstance(answer, Unfit):
            return zygote
        zygote.close()
        text = f"Each run of {place.code.entrypoint!r} imports its code itself: the import {answer.reason}."
        if text not in self._said:
            self._said.add(text)
            logger.info("%s", text)
        return answer

    async def _judged(self, zygote: Zygote) -> Unfit | None:
        try:
            answer = await zygote.ready()
        except NotWarm:
            return Unfit("ends the process", [], failed=True)
        if isinstance(answer, Unfit):
            return answer
        most = self._settings.worker_warm_memory_mb
        if answer.memory > most * _MEGABYTE:
            taken = answer.memory // _MEGABYTE
            return Unfit(f"takes {taken} MB, more than the {most} of HEADGATE_WORKER_WARM_MEMORY_MB", answer.files)
        return None


def _place_of(job: Job) -> _Place | None:
    """None when the place is not known, or depends on the run: its directory is one of its own."""
    code = code_of(job.assignment.flow_run, job.assignment.deployment) if job.assignment is not None else None
    if code is None:
        return None
    if job.directory is not None:
        return _Place(_absolute(job.directory), code)
    first = code.directories[0] if code.directories else ""
    return _Place("/", code) if os.path.isabs(os.path.expanduser(first)) else None


def _is_there(directory: str) -> bool:
    """A cold start says best what is wrong with it."""
    return os.path.isdir(directory)


def _absolute(directory: str) -> str:
    """A zygote keeps the directory that the worker was in when it was started."""
    return os.path.abspath(directory)


def _lasting(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without what belongs to one run."""
    return {name: value for name, value in environment.items() if name not in PER_RUN}


def _zygote_of(task: asyncio.Task[Zygote] | asyncio.Task[Zygote | Unfit]) -> Zygote | None:
    """What a task that is done has come to."""
    if task.cancelled() or task.exception() is not None:
        return None
    result = task.result()
    return result if isinstance(result, Zygote) else None


def _is_spent(task: asyncio.Task[Zygote]) -> bool:
    """Whether there will be nothing that can be given orders."""
    if not task.done():
        return False
    zygote = _zygote_of(task)
    return zygote is None or not zygote.is_current()


def _retire(task: asyncio.Task[Zygote] | asyncio.Task[Zygote | Unfit]) -> None:
    if (zygote := _zygote_of(task)) is not None:
        zygote.retire()
