"""The lease of a run, renewed by the process that executes it, so that the run outlives its worker."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from headgate.clock import Clock
from headgate.errors import HeadgateError, NotFound
from headgate.flows.interrupts import Reason
from headgate.schema.claims import LeaseRenewalResponse

log = logging.getLogger("headgate.flows.lease")

_LONGEST_PAUSE = 5.0
_SHORTEST_PAUSE = 0.5

Renew = Callable[[], LeaseRenewalResponse | None]
"""Renews; None when this process holds no lease. `NotFound` when there is no such run any more."""


@contextmanager
def kept(renew: Renew, *, stop: Callable[[Reason], None], clock: Clock) -> Iterator[None]:
    """Inside, renew in a thread, several times per lease; call `stop` once when the run is lost or to be cancelled."""
    keeper = _Keeper(renew, stop, clock)
    threading.Thread(target=keeper.run, name="headgate-lease", daemon=True).start()
    try:
        yield
    finally:
        keeper.end()


class _Keeper:
    def __init__(self, renew: Renew, stop: Callable[[Reason], None], clock: Clock) -> None:
        self._renew = renew
        self._stop = stop
        self._clock = clock
        self._done = threading.Event()
        self._ending = threading.Lock()

    def end(self) -> None:
        """From now on, `stop` is not called any more."""
        with self._ending:
            self._done.set()

    def run(self) -> None:
        pause: float | None = _SHORTEST_PAUSE  # how long a lease lasts is the server's setting; the first answer tells
        while pause is not None and not self._done.wait(pause):
            try:
                pause = self._judge(self._renew())
            except NotFound:
                self._tell(Reason.LOST)
                return
            except HeadgateError as error:
                log.warning("The run's lease is not renewed: %s", error)

    def _judge(self, answer: LeaseRenewalResponse | None) -> float | None:
        """How long to wait before the next renewal; None for no more of them."""
        if answer is None:
            return None
        if answer.lost or answer.cancel:
            self._tell(Reason.LOST if answer.lost else Reason.CANCEL)
            return None
        left = (answer.expires_at - self._clock()).total_seconds()
        return min(max(left / 4, _SHORTEST_PAUSE), _LONGEST_PAUSE)

    def _tell(self, reason: Reason) -> None:
        with self._ending:
            if not self._done.is_set():
                self._stop(reason)
