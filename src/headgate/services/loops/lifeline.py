"""The lifeline: recovers runs whose holder stopped renewing its lease.

A claim that never became a start goes back to its queue. A run that had started is Crashed: whether it may run again
is its deployment's policy. A run that was being cancelled is Cancelled. Slots of concurrency limits that lapsed leases hold
are given back.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from headgate.core.states import AWAITING_RETRY
from headgate.schema.states import CrashReason, StateCreate, StateDetails, StateType
from headgate.services import slots
from headgate.services.scope import Scope
from headgate.services.states import Proposal, propose_all
from headgate.store import claims as rows
from headgate.store.claims import Lapsed

_PAGE = 100


class Lifeline:
    """Waits one lease after its own start: leases that lapsed while no server was up could not be renewed."""

    def __init__(self) -> None:
        self._since: datetime | None = None

    async def tick(self, scope: Scope) -> int:
        """Recover all that lapsed."""
        now = scope.now
        self._since = self._since or now
        if now < self._since + timedelta(seconds=scope.settings.server_leases_seconds):
            return 0
        recovered = await slots.end_lapsed(scope)
        while True:
            lapsed = await scope.store.read(lambda tx: rows.lapsed(tx, now=now, limit=_PAGE))
            count = await _recover(scope, lapsed, now)
            recovered += count
            if len(lapsed) < _PAGE or not count:
                return recovered


async def _recover(scope: Scope, lapsed: Sequence[Lapsed], now: datetime) -> int:
    """How many of these changed state; what was renewed or deleted meanwhile did not."""
    proposals = [Proposal(run.id, _recovery(run), now, lapsed_before=now) for run in lapsed]
    return await propose_all(scope, proposals)


def _recovery(run: Lapsed) -> StateCreate:
    match run.state_type:
        case StateType.PENDING:
            message = "Its worker stopped renewing the claim before it started the run; it waits to be claimed again."
            return StateCreate(type=StateType.SCHEDULED, message=message)
        case StateType.SCHEDULED:
            message = "The process that waited to retry it is gone; it waits to be claimed again."
            return StateCreate(type=StateType.SCHEDULED, name=AWAITING_RETRY, message=message)
        case StateType.CANCELLING:
            message = "Cancelled; the worker that was to stop it is gone, so whether its process ended is not known."
            return StateCreate(type=StateType.CANCELLED, message=message)
    message = "The process that ran it, and the worker that watched it, stopped reporting: they are taken to be dead."
    return StateCreate(type=StateType.CRASHED, message=message, state_details=StateDetails(crash_reason=CrashReason.LOST))
