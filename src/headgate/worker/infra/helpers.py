"""The worker's end of its helpers: starting one, giving it orders, and the processes that it forks."""

import asyncio
import itertools
import os
import signal
import socket
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import msgspec

from headgate.errors import HeadgateError
from headgate.flows.loading import Code
from headgate.flows.processes import ENGINE_ARGV
from headgate.flows.warm.helper import HELPER
from headgate.flows.warm.wire import (
    CHUNK,
    MOST_DESCRIPTORS,
    Begun,
    Birth,
    Ended,
    Preload,
    Ready,
    Record,
    Refused,
    Unfit,
    Unframer,
    framed,
)

_START_PATIENCE = 60.0
_BIRTH_PATIENCE = 10.0
_TELLING_PATIENCE = 10.0
_UNKNOWN = -int(signal.SIGKILL)


class NotWarm(HeadgateError):
    """A helper did not do what it was asked for; nothing of it has begun."""


class WarmChild:
    """A process that a helper forked; a `Child` of `headgate.flows.processes`.

    The helper is its parent and tells its exit code. That it has ended is seen without the helper as well.
    """

    def __init__(self) -> None:
        self.pid = 0
        self._loop = asyncio.get_running_loop()
        self._code: asyncio.Future[int] = self._loop.create_future()
        self._pidfd: int | None = None
        self._is_orphan = False
        self._timer: asyncio.TimerHandle | None = None

    @property
    def returncode(self) -> int | None:
        """Exit code, `-n` for signal n, None while it runs."""
        return self._code.result() if self._code.done() else None

    async def wait(self) -> int:
        """The exit code; that of SIGKILL when the helper died before, so that nobody can know."""
        return await asyncio.shield(self._code)

    def begin(self, pid: int, pidfd: int) -> None:
        """It executes its run from now on."""
        self.pid, self._pidfd = pid, pidfd
        if self._code.done():
            self._close()
        else:
            self._loop.add_reader(pidfd, self._see_end)

    def end(self, code: int) -> None:
        """It has ended."""
        if not self._code.done():
            self._code.set_result(code)
        if self._timer is not None:
            self._timer.cancel()
        self._close()

    def orphan(self) -> None:
        """Its helper is gone."""
        self._is_orphan = True
        if self._timer is not None:
            self.end(_UNKNOWN)

    def _see_end(self) -> None:
        assert self._pidfd is not None
        self._loop.remove_reader(self._pidfd)
        self._timer = self._loop.call_later(0.0 if self._is_orphan else _TELLING_PATIENCE, self.end, _UNKNOWN)

    def _close(self) -> None:
        pidfd, self._pidfd = self._pidfd, None
        if pidfd is not None:
            self._loop.remove_reader(pidfd)
            os.close(pidfd)


class Helper:
    """A helper process. It ends when it is closed, or when this process does."""

    def __init__(self, line: socket.socket, pid: int | None) -> None:
        self.uses = 0
        self.answer: asyncio.Future[Ready | Unfit] = asyncio.get_running_loop().create_future()
        self._line = _Line(line, self._take, self._lose)
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
        """What the helper says of itself, once it can be given orders. Raises `NotWarm`."""
        return await asyncio.shield(self.answer)

    async def bear(self, environment: Mapping[str, str], directory: str, output: int) -> WarmChild:
        """A process that executes the run of its environment. When this raises, there is none, and there will be none."""
        self.uses += 1
        order, child = next(self._orders), WarmChild()
        ours, theirs = socket.socketpair()
        with ours:
            self._children[order] = child
            try:
                with theirs:
                    await self._send(Birth(order, _encoded(environment), directory), theirs.fileno(), output)
                await _begun(ours, child)
            except BaseException as error:
                self._children.pop(order, None)
                if isinstance(error, NotWarm):
                    self.retire()
                raise
        if self.is_gone:
            child.orphan()
        return child

    async def preload(self, environment: Mapping[str, str], directory: str, code: Code) -> "Helper":
        """Another helper, which imports `code`; see its `ready`. `environment` is that of runs, without what names one."""
        ours, theirs = socket.socketpair()
        helper = Helper(ours, None)
        order = Preload(next(self._orders), _encoded(environment), directory, code.entrypoint, code.directories)
        try:
            with theirs:
                await self._send(order, theirs.fileno())
        except BaseException:
            helper.close()
            raise
        return helper

    def retire(self) -> None:
        """Close it as soon as it has no children, whose ends it has to tell."""
        self._retired = True
        if not self._children:
            self.close()

    def close(self) -> None:
        """End the helper; what it has forked goes on."""
        if self._close.alive:
            self._line.detach()
            self._close()
            self._lose()

    async def _send(self, record: Record, *descriptors: int) -> None:
        try:
            await self._line.send(record, descriptors)
        except OSError as error:
            raise NotWarm(f"A helper takes no orders: {error}.") from error

    def _take(self, record: Record, descriptors: list[int]) -> None:
        match record:
            case Ready() | Unfit() if not self.answer.done():
                self.answer.set_result(record)
            case Ended(order, code) if order in self._children:
                self._children.pop(order).end(code)
                if self._retired:
                    self.retire()

    def _lose(self) -> None:
        """The helper is gone. Its children go on without it."""
        self._close()
        if not self.answer.done():
            self.answer.set_exception(NotWarm("A helper ended before it was ready."))
            self.answer.exception()  # nobody need have asked
        children, self._children = self._children, {}
        for child in children.values():
            child.orphan()


async def start_helper(environment: Mapping[str, str]) -> Helper:
    """A new process with the engine imported, once it is ready. Raises `NotWarm`."""
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            pid = _spawn({**environment, HELPER: str(_LINE)}, theirs.fileno())
        except OSError as error:
            ours.close()
            raise NotWarm(f"A helper cannot be started: {error}.") from error
    helper = Helper(ours, pid)
    try:
        async with asyncio.timeout(_START_PATIENCE):
            await helper.ready()
    except BaseException as error:
        helper.close()
        if isinstance(error, TimeoutError):
            raise NotWarm(f"A helper was not ready within {_START_PATIENCE:g} s.") from None
        raise
    return helper


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


async def _begun(socket_: socket.socket, child: WarmChild) -> None:
    """Wait until the child says that it begins. When it does not in time, it is made sure that it never will."""
    said: asyncio.Future[Record | None] = asyncio.get_running_loop().create_future()

    def take(record: Record | None, descriptors: list[int]) -> None:
        if isinstance(record, Begun):
            child.begin(record.pid, descriptors.pop())
        if not said.done():
            said.set_result(record)

    line = _Line(socket_, take, lambda: take(None, []))
    try:
        async with asyncio.timeout(_BIRTH_PATIENCE):
            await asyncio.shield(said)
    except TimeoutError:
        _hush(line, socket_)
    except BaseException:
        _hush(line, socket_)
        if child.pid:
            os.killpg(child.pid, signal.SIGKILL)
        raise
    finally:
        line.detach()
    match said.result() if said.done() else Refused(0, "it took too long"):
        case Refused(_, reason):
            raise NotWarm(f"A process could not be forked: {reason}.")
        case None:
            raise NotWarm("A forked process died before it began.")


def _hush(line: "_Line", socket_: socket.socket) -> None:
    """Hear what the child has said; from here on it cannot say anything, and ends by itself."""
    socket_.shutdown(socket.SHUT_RDWR)
    line.read()


class _Line:
    """A socket in the event loop: each record that comes is handed to `take`, the end is told to `lose`, once."""

    def __init__(self, line: socket.socket, take: Callable[[Record, list[int]], None], lose: Callable[[], object]) -> None:
        line.setblocking(False)
        self._socket = line
        self._take = take
        self._lose = lose
        self._unframer = Unframer()
        self._descriptors: list[int] = []
        self._sending = asyncio.Lock()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(line, self.read)

    def detach(self) -> None:
        """Read no more."""
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)

    def read(self) -> None:
        """Hand on what has come."""
        flags = socket.MSG_CMSG_CLOEXEC
        while True:
            try:
                piece, descriptors, _, _ = socket.recv_fds(self._socket, CHUNK, MOST_DESCRIPTORS, flags)
                self._descriptors += descriptors
                records = self._unframer.feed(piece)
            except BlockingIOError:
                return
            except (OSError, msgspec.DecodeError):
                piece, records = b"", []
            for record in records:
                self._take(record, self._descriptors)
            if not piece:
                self.detach()
                self._lose()
                return

    async def send(self, record: Record, descriptors: Sequence[int]) -> None:
        """Send, with these descriptors beside it. Raises `OSError` when nobody listens."""
        async with self._sending:
            rest = memoryview(framed(record))
            try:
                while rest:
                    try:
                        sent = self._send(rest, descriptors)
                    except BlockingIOError:
                        await self._writable()
                    else:
                        rest, descriptors = rest[sent:], ()
            except BaseException:
                self._socket.shutdown(socket.SHUT_RDWR)  # half a record is none
                raise

    def _send(self, data: memoryview, descriptors: Sequence[int]) -> int:
        if not descriptors:
            return self._socket.send(data, socket.MSG_NOSIGNAL)
        return socket.send_fds(self._socket, [data], list(descriptors), socket.MSG_NOSIGNAL)

    async def _writable(self) -> None:
        free = asyncio.Event()
        self._loop.add_writer(self._socket, free.set)
        try:
            await free.wait()
        finally:
            self._loop.remove_writer(self._socket)


def _encoded(environment: Mapping[str, str]) -> dict[bytes, bytes]:
    return {os.fsencode(name): os.fsencode(value) for name, value in environment.items()}
