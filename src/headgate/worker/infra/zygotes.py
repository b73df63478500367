"""The worker's end of its zygotes: starting one, giving it orders, and the processes that it forks."""

import asyncio
import itertools
import os
import signal
import socket
import weakref
from collections.abc import Mapping
from contextlib import suppress

import msgspec

from headgate.flows.loading import Code
from headgate.flows.processes import ENGINE_ARGV
from headgate.flows.warm.wire import Birth, Ended, Preload, Ready, Record, Unfit
from headgate.flows.warm.zygote import ZYGOTE
from headgate.worker.infra.births import NotWarm, WarmChild
from headgate.worker.infra.lines import Line
from headgate.worker.types import Job

_START_PATIENCE = 60.0


class Zygote:
    """A zygote process. It ends when it is closed, or when this process does."""

    def __init__(self, line: socket.socket, pid: int | None) -> None:
        self.uses = 0
        self.answer: asyncio.Future[Ready | Unfit] = asyncio.get_running_loop().create_future()
        self._line = Line(line, self._take, self._lose)
        self._orders = itertools.count()
        self._children: dict[int, WarmChild] = {}
        self._retired = False
        self._close = weakref.finalize(self, _dismiss, line, pid)

    @property
    def is_gone(self) -> bool:
        """Whether it can be given no more orders."""
        return not self._close.alive

    def is_current(self) -> bool:
        """Whether it still is what a new one would be: none of the files that it read has changed since."""
        return not (self.is_gone or self._retired) and all(file.is_current() for file in self.answer.result().files)

    async def ready(self) -> Ready | Unfit:
        """What the zygote says of itself, once it can be given orders. Raises `NotWarm`."""
        return await asyncio.shield(self.answer)

    async def bear(self, job: Job, environment: Mapping[str, str], directory: str, output: int) -> WarmChild:
        """A process that executes the run of its environment. When this raises, there is none, and there will be none."""
        self.uses += 1
        order = next(self._orders)
        ours, theirs = socket.socketpair()
        child = self._children[order] = WarmChild(ours, job.forward)
        birth = Birth(order, _encoded(environment), directory, _assigned(job), relayed=job.forward is not None)
        try:
            with theirs:
                await self._send(birth, theirs.fileno(), output)
            await child.begun()
        except BaseException as error:
            child.close()
            self._children.pop(order, None)
            if isinstance(error, NotWarm):
                self.retire()
            raise
        if self.is_gone:
            child.orphan()
        return child

    async def preload(self, environment: Mapping[str, str], directory: str, code: Code) -> "Zygote":
        """Another zygote, which imports `code`; see its `ready`. `environment` is that of runs, without what names one."""
        ours, theirs = socket.socketpair()
        zygote = Zygote(ours, None)
        order = Preload(next(self._orders), _encoded(environment), directory, code.entrypoint, code.directories)
        try:
            with theirs:
                await self._send(order, theirs.fileno())
        except BaseException:
            zygote.close()
            raise
        return zygote

    def retire(self) -> None:
        """Close it as soon as it has no children, whose ends it has to tell."""
        self._retired = True
        if not self._children:
            self.close()

    def close(self) -> None:
        """End the zygote; what it has forked goes on."""
        if self._close.alive:
            self._line.detach()
            self._close()
            self._lose()

    async def _send(self, record: Record, *descriptors: int) -> None:
        try:
            await self._line.send(record, descriptors)
        except OSError as error:
            raise NotWarm(f"A zygote takes no orders: {error}.") from error

    def _take(self, record: Record, descriptors: list[int]) -> None:
        match record:
            case Ready() | Unfit() if not self.answer.done():
                self.answer.set_result(record)
            case Ended(order, code) if order in self._children:
                self._children.pop(order).end(code)
                if self._retired:
                    self.retire()

    def _lose(self) -> None:
        """The zygote is gone. Its children go on without it."""
        self._close()
        if not self.answer.done():
            self.answer.set_exception(NotWarm("A zygote ended before it was ready."))
            self.answer.exception()  # nobody need have asked
        children, self._children = self._children, {}
        for child in children.values():
            child.orphan()


async def start_zygote(environment: Mapping[str, str]) -> Zygote:
    """A new process with the engine imported, once it is ready. Raises `NotWarm`."""
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            pid = _spawn({**environment, ZYGOTE: str(_LINE)}, theirs.fileno())
        except OSError as error:
            ours.close()
            raise NotWarm(f"A zygote cannot be started: {error}.") from error
    zygote = Zygote(ours, pid)
    try:
        async with asyncio.timeout(_START_PATIENCE):
            await zygote.ready()
    except BaseException as error:
        zygote.close()
        if isinstance(error, TimeoutError):
            raise NotWarm(f"A zygote was not ready within {_START_PATIENCE:g} s.") from None
        raise
    return zygote


_LINE = 3


def _spawn(environment: Mapping[str, str], line: int) -> int:
    """Like `headgate.flows.processes.spawn`, but nobody waits for it; it writes where this process writes."""
    return os.posix_spawn(
        ENGINE_ARGV[0],
        ENGINE_ARGV,
        environment,
        file_actions=[(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0), (os.POSIX_SPAWN_DUP2, line, _LINE)],
        setsid=True,
        setsigdef=(signal.SIGPIPE, signal.SIGXFSZ),
    )


def _dismiss(line: socket.socket, pid: int | None) -> None:
    line.close()
    if pid is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(pid, 0)


def _assigned(job: Job) -> bytes:
    return msgspec.json.encode(job.assignment) if job.assignment is not None else b""


def _encoded(environment: Mapping[str, str]) -> dict[bytes, bytes]:
    return {os.fsencode(name): os.fsencode(value) for name, value in environment.items()}
