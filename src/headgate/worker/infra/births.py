"""Processes that zygotes fork: how they begin, what they send to the API, how they end."""

import asyncio
import os
import signal
import socket
from contextlib import suppress

from headgate.client.transport import Request
from headgate.errors import HeadgateError
from headgate.flows.warm.wire import Answer, Ask, Begun, Record, Refused, Silence
from headgate.worker.infra.lines import Line
from headgate.worker.types import Forward

_BIRTH_PATIENCE = 10.0
_TELLING_PATIENCE = 10.0
_UNKNOWN = -int(signal.SIGKILL)


class NotWarm(HeadgateError):
    """A zygote did not do what it was asked for; nothing of it has begun."""


class WarmChild:
    """A process that a zygote forks; a `Child` of `headgate.flows.processes`.

    The zygote is its parent and tells its exit code. That it has ended is seen without the zygote as well. Its requests to
    the API, which come over its `line`, are sent by `forward`.
    """

    def __init__(self, line: socket.socket, forward: Forward | None) -> None:
        self.pid = 0
        self._forward = forward
        self._forwarding: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._line = Line(line, self._take, self._lose)
        self._said: asyncio.Future[Begun | Refused | None] = self._loop.create_future()
        self._code: asyncio.Future[int] = self._loop.create_future()
        self._pidfd: int | None = None
        self._is_orphan = False
        self._timer: asyncio.TimerHandle | None = None

    @property
    def returncode(self) -> int | None:
        """Exit code, `-n` for signal n, None while it runs."""
        return self._code.result() if self._code.done() else None

    async def wait(self) -> int:
        """The exit code; that of SIGKILL when the zygote died before, so that nobody can know."""
        return await asyncio.shield(self._code)

    async def begun(self) -> None:
        """Wait until it executes its run. When this raises (`NotWarm`), it does not and never will."""
        try:
            async with asyncio.timeout(_BIRTH_PATIENCE):
                await asyncio.shield(self._said)
        except TimeoutError:
            self._line.hush()
        except BaseException:
            self._line.hush()
            if self.pid:
                os.killpg(self.pid, signal.SIGKILL)
            raise
        finally:
            if not self.pid or self._forward is None:
                self._line.close()
        match self._said.result() if self._said.done() else Refused(0, "it took too long"):
            case Refused(_, reason):
                raise NotWarm(f"A process could not be forked: {reason}.")
            case None:
                raise NotWarm("A forked process died before it began.")

    def end(self, code: int) -> None:
        """It has ended."""
        if not self._said.done():  # its zygote's word came before its own
            self._line.read()
        if not self._code.done():
            self._code.set_result(code)
        if self._timer is not None:
            self._timer.cancel()
        self.close()

    def orphan(self) -> None:
        """Its zygote is gone."""
        self._is_orphan = True
        if self._timer is not None:
            self.end(_UNKNOWN)

    def close(self) -> None:
        """Nothing more is to be heard of it."""
        self._line.close()
        pidfd, self._pidfd = self._pidfd, None
        if pidfd is not None:
            self._loop.remove_reader(pidfd)
            os.close(pidfd)

    def _see_end(self) -> None:
        assert self._pidfd is not None
        self._loop.remove_reader(self._pidfd)
        self._timer = self._loop.call_later(0.0 if self._is_orphan else _TELLING_PATIENCE, self.end, _UNKNOWN)

    def _take(self, record: Record, descriptors: list[int]) -> None:
        match record:
            case Begun(pid):
                self.pid, self._pidfd = pid, descriptors.pop()
                self._said.set_result(record)
                if self._code.done():
                    self.close()
                else:
                    self._loop.add_reader(self._pidfd, self._see_end)
            case Refused() if not self._said.done():
                self._said.set_result(record)
            case Ask() if self._forward is not None:
                self._forwarding = asyncio.create_task(self._relay(record, self._forward))

    async def _relay(self, ask: Ask, forward: Forward) -> None:
        try:
            given = await forward(Request(ask.method, ask.target, ask.body, ask.headers, ask.timeout))
            answer: Answer | Silence = Answer(given.status, given.body, given.headers)
        except Exception as error:
            answer = Silence(str(error) or type(error).__name__)
        with suppress(OSError):  # it is gone, or gave this line up
            await self._line.send(answer)

    def _lose(self) -> None:
        if not self._said.done():
            self._said.set_result(None)
        self._line.close()
