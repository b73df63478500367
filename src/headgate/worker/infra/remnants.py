"""Processes that another worker of this machine started: how they are found again, and never taken for others.

A process is known by its id and by when it started, on one boot of one machine, among the processes that see each other, of
one user. So a number that belongs to another process by now is never signalled.
"""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from uuid import UUID

from headgate.clock import monotonic
from headgate.flows.processes import end_group

_LOOK_AGAIN = 0.2
_RUN_ID = b"HEADGATE__FLOW_RUN_ID="


def site() -> str | None:
    """Equal for all workers that can find each other's processes; None where that is not possible."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            boot = file.read().strip()
        return f"process/{boot}/{os.readlink('/proc/self/ns/pid')}/{os.getuid()}"
    except OSError:
        return None


def identify(pid: int) -> str | None:
    """`pid start`, the start in the system's ticks since its boot; None for a process that is gone already."""
    found = _look(pid)
    return f"{pid} {found[2]}" if found is not None else None


def find(handle: str, flow_run_id: UUID) -> "Remnant | None":
    """What of a run's processes still lives; None when nothing does."""
    try:
        pid, start = map(int, handle.split())
    except ValueError:
        return None
    remnant = Remnant(pid, start, flow_run_id)
    return remnant if remnant.is_alive() else None


class Remnant:
    """The process group of a run, led by the process `pid`; or, when that is gone, what it left behind in it."""

    def __init__(self, pid: int, start: int, flow_run_id: UUID) -> None:
        self._pid = pid
        self._start = start
        self._mark = _RUN_ID + str(flow_run_id).encode()

    @property
    def identifier(self) -> str:
        """The process's id."""
        return str(self._pid)

    def is_alive(self) -> bool:
        """Whether anything of it runs."""
        return self._leads() or next(self._left_behind(), None) is not None

    async def gone(self) -> None:
        """Wait until the process that executes the run has ended."""
        while self._leads():  # noqa: ASYNC110 - it is nobody's child here
            await asyncio.sleep(_LOOK_AGAIN)

    async def stop(self, grace: float) -> None:
        """SIGTERM to the group, after `grace` seconds SIGKILL; returns when nothing is left, else raises `StillAlive`."""
        await end_group(self._pid, grace, signal_all=self._signal, gone_within=self._gone_within)

    def _leads(self) -> bool:
        found = _look(self._pid)
        return found is not None and found[2] == self._start

    def _left_behind(self) -> Iterator[int]:
        """Processes of the group that still say whose they are: the group's number could be another's by now."""
        for entry in os.listdir("/proc"):
            if entry.isdigit() and self._belongs(int(entry)):
                yield int(entry)

    def _belongs(self, pid: int) -> bool:
        found = _look(pid)
        if found is None or found[1] != self._pid or found[2] < self._start:
            return False
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                return self._mark in file.read().split(b"\0")
        except OSError:
            return False

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            if self._leads():
                os.killpg(self._pid, number)
                return
            for pid in self._left_behind():
                self._signal_one(pid, number)

    def _signal_one(self, pid: int, number: signal.Signals) -> None:
        descriptor = os.pidfd_open(pid)
        try:
            if self._belongs(pid):  # still: from here on the number cannot be another's
                signal.pidfd_send_signal(descriptor, number)
        finally:
            os.close(descriptor)

    async def _gone_within(self, seconds: float) -> bool:
        deadline, pause = monotonic() + seconds, 0.005
        while self.is_alive():
            if monotonic() >= deadline:
                return False
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LOOK_AGAIN)
        return True


def _look(pid: int) -> tuple[str, int, int] | None:
    """State, process group and start of a process; None when there is none that runs. Zombies do not run."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    state = fields[0].decode()
    return None if state in ("Z", "X") else (state, int(fields[2]), int(fields[19]))
