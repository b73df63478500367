"""The watchdog: a thread that notices when a loop of a worker or an agent does not move any more.

A stalled loop is replaced by a new one. If that stalls as well, its holder leaves in good order, so that its supervisor
starts it again. If the event loop itself stands still, nothing can leave in order, and the process is ended.
"""

import asyncio
import logging
import os
import sys
import threading
import traceback
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from enum import Enum, auto
from typing import Any

from headgate.clock import monotonic

EXIT_STALLED = 70
"""The exit code of a worker or an agent that left because it did not move any more."""

_EVERY = 5.0
_SLACK = 30.0
_TICK = 1.0
_MOST_STACKS = 20_000

Body = Callable[["Pulse"], Coroutine[Any, Any, None]]


class Trouble(Enum):
    """How far it has come with a loop."""

    NONE = auto()
    REPLACED = auto()
    GIVEN_UP = auto()


class Pulse:
    """A loop's signs of life."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.trouble = Trouble.NONE
        self.replace = asyncio.Event()
        self.task: asyncio.Task[None] | None = None
        self._clock = clock
        self.due: float | None = None
        self.since = clock()

    def expect(self, seconds: float) -> None:
        """The loop is alive, and says so again within `seconds`, with some slack for a busy machine."""
        self.since = self._clock()
        self.due = self.since + seconds + _SLACK

    def passed(self) -> None:
        """What the loop does has come to an end once: it works."""
        self.trouble = Trouble.NONE


class Watchdog:
    """Runs loops (`keep`) and watches them from a thread of its own (`watching`).

    `give_up` is called in the event loop when a loop that was replaced stalls again, `abort` in the thread when the event
    loop stands still.
    """

    def __init__(
        self,
        title: str,
        *,
        logger: logging.Logger,
        give_up: Callable[[], None],
        abort: Callable[[], None] = lambda: os._exit(EXIT_STALLED),
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._title = title
        self._logger = logger
        self._give_up = give_up
        self._abort = abort
        self._clock = clock
        self._pulses: dict[str, Pulse] = {}
        self._abandoned: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._done = threading.Event()
        self._looked: float | None = None

    async def keep(self, name: str, body: Body) -> None:
        """Run a loop until it returns; when it stalls, cancel it and run another in its stead."""
        pulse = self._pulses[name] = Pulse(self._clock)
        try:
            while pulse.trouble is not Trouble.GIVEN_UP:
                pulse.replace.clear()
                pulse.expect(0.0)
                task = pulse.task = asyncio.create_task(body(pulse))
                if await self._ended(task, pulse):
                    return task.result()
        finally:
            del self._pulses[name]

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch the loops that run inside."""
        self._loop = asyncio.get_running_loop()
        ticking = self._loop.create_task(self._tick())
        thread = threading.Thread(target=self._watch, name="headgate-watchdog", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._done.set()
            ticking.cancel()

    def look(self) -> None:
        """Judge all loops once."""
        now, looked = self._clock(), self._looked
        self._looked = now
        if looked is not None and now - looked > _EVERY + _SLACK:  # this process was stopped, not its loops alone
            for pulse in [*self._pulses.values()]:
                pulse.due = pulse.due and pulse.due + now - looked
            return
        for name, pulse in [*self._pulses.items()]:
            if pulse.due is not None and now > pulse.due:
                self._judge(name, pulse, now)

    def _watch(self) -> None:
        while not self._done.wait(_EVERY):
            self.look()

    async def _tick(self) -> None:
        """The event loop's own signs of life."""
        pulse = self._pulses[_EVENT_LOOP] = Pulse(self._clock)
        while True:
            pulse.expect(_SLACK)
            pulse.passed()
            await asyncio.sleep(_TICK)

    async def _ended(self, task: asyncio.Task[None], pulse: Pulse) -> bool:
        """False when the loop is to be replaced; it is not waited for then, for it may never end."""
        replace = asyncio.ensure_future(pulse.replace.wait())
        try:
            await asyncio.wait({task, replace}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            replace.cancel()
            if not task.done():
                task.cancel()
                self._abandoned.add(task)
                task.add_done_callback(self._abandoned.discard)
        return task.done()

    def _judge(self, name: str, pulse: Pulse, now: float) -> None:
        first = pulse.trouble is Trouble.NONE
        remedy = _REMEDIES[name == _EVENT_LOOP, first]
        what = f"{self._title} stalls: its {name} has not moved for {now - pulse.since:.0f} s."
        self._logger.error("%s %s\n%s", what, remedy, _stacks(pulse))
        pulse.trouble = Trouble.REPLACED if first else Trouble.GIVEN_UP
        pulse.due = now + _SLACK
        if name == _EVENT_LOOP:
            if not first:
                self._abort()
        elif self._loop is not None:
            self._loop.call_soon_threadsafe(self._remedy, pulse)

    def _remedy(self, pulse: Pulse) -> None:
        """In the event loop."""
        if pulse.trouble is Trouble.GIVEN_UP:
            self._give_up()
        pulse.replace.set()


_EVENT_LOOP = "event loop"

_REMEDIES = {
    (False, True): "It is started again.",
    (False, False): "It stalled again after it was started again: the process leaves, to be started again.",
    (True, True): "Something blocks it.",
    (True, False): "The process is ended, to be started again; runs of flows go on.",
}


def _stacks(pulse: Pulse) -> str:
    """Where all threads are, and where the loop waits."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    parts = []
    if pulse.task is not None:
        frames = [traceback.extract_stack(frame, limit=1)[-1] for frame in pulse.task.get_stack()]
        parts.append("The loop waits at:\n" + "".join(traceback.format_list(frames)))
    for ident, frame in sys._current_frames().items():
        stack = "".join(traceback.format_stack(frame))
        parts.append(f"Thread {names.get(ident, str(ident))}:\n{stack}")
    return "\n".join(parts)[:_MOST_STACKS].rstrip()
