"""The zygote's process: it keeps still and forks, for each run a process, for each flow's code another zygote.

A zygote is started as an engine is (`HEADGATE__ZYGOTE` names the descriptor of its line to the worker), so that what it
forks is, down to its `__main__`, an engine's process. It has one thread, runs no user code but a flow's imports, and
ends when its worker does; what it has forked goes on.

Signals that ask processes to end are held back from it: a service manager that stops a worker sends them to every process
of the service, and the worker still wants to hear how its runs end.
"""

import os
import select
import signal
import socket

from headgate.flows.warm import birth, ending, preload, traces
from headgate.flows.warm.relay import Provision
from headgate.flows.warm.wire import Birth, Ended, Preload, Ready, Refused, receive, send, stamp_of

ZYGOTE = "HEADGATE__ZYGOTE"

_EXIT_UNBORN = 70
_HELD_BACK = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def serve(descriptor: int) -> Provision:
    """Obey a worker until it is gone. Returns only in a process that was forked for a run, which goes on as its engine."""
    preload.import_ahead()
    ending.spare_what_is_here()
    zygote = _Zygote(socket.socket(fileno=descriptor))
    zygote.announce(Ready(files=list(map(stamp_of, traces.sites())), memory=traces.memory()))
    while (provision := zygote.obey_next()) is None:
        pass
    return provision


class _Zygote:
    def __init__(self, line: socket.socket) -> None:
        self._imported: preload.Imported | None = None
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD_BACK)
        self._adopt(line)

    def _adopt(self, line: socket.socket) -> None:
        self._line = line
        self._children: dict[int, tuple[int, int]] = {}
        self._poll = select.poll()
        self._poll.register(line.fileno(), select.POLLIN)

    def announce(self, record: Ready | Ended | Refused) -> None:
        """Tell the worker; without one there is nothing to live for."""
        try:
            send(self._line, record)
        except OSError:
            os._exit(0)

    def obey_next(self) -> Provision | None:
        """Wait for an order, or for the end of a child; an answer comes in the process of a run only."""
        for descriptor, _ in self._poll.poll():
            if descriptor != self._line.fileno():
                self._bury(descriptor)
                continue
            received = receive(self._line)
            if received is None:
                os._exit(0)
            order, descriptors = received
            return self._obey(order, descriptors)
        return None

    def _bury(self, descriptor: int) -> None:
        order, pid = self._children.pop(descriptor)
        self._poll.unregister(descriptor)
        os.close(descriptor)
        _, status = os.waitpid(pid, 0)
        self.announce(Ended(order, os.waitstatus_to_exitcode(status)))

    def _obey(self, order: Birth | Preload, descriptors: list[int]) -> Provision | None:
        pid = self._fork(order.order)
        if pid == 0:
            return self._live(order, descriptors)
        for each in descriptors:
            os.close(each)
        if pid is not None:
            child = os.pidfd_open(pid)
            self._children[child] = order.order, pid
            self._poll.register(child, select.POLLIN)
        return None

    def _fork(self, order: int) -> int | None:
        """As `os.fork`; None when that is not possible."""
        if (trouble := traces.unrest()) is not None:
            self.announce(Refused(order, trouble))
            return None
        try:
            return os.fork()
        except OSError as error:
            self.announce(Refused(order, f"a process cannot be forked: {error}"))
            return None

    def _live(self, order: Birth | Preload, descriptors: list[int]) -> Provision | None:
        """In a forked child. It must not come back as the zygote that it was forked from, whatever goes wrong."""
        try:
            signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
            self._line.detach()
            match order:
                case Birth():
                    return birth.begin(order, *descriptors, imported=self._imported)
                case Preload():
                    self._become(order, descriptors[0])
                    return None
        except BaseException:  # whoever waits for this child sees that its line ends
            os._exit(_EXIT_UNBORN)

    def _become(self, order: Preload, descriptor: int) -> None:
        """Become the zygote of a flow's code, or say why that is not possible and end."""
        traces.close_all_but(0, 1, 2, descriptor)
        line = socket.socket(fileno=descriptor)
        os.setsid()
        answer = preload.imported(order)
        if not isinstance(answer, preload.Imported):
            send(line, answer)
            os._exit(0)
        self._imported = answer
        signal.pthread_sigmask(signal.SIG_BLOCK, _HELD_BACK)
        self._adopt(line)
        self.announce(Ready(files=answer.files, memory=traces.memory()))
