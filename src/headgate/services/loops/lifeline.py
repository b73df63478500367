"""The lifeline: recovers runs whose holder stopped renewing its lease.

A claim that never became a start goes back to its queue. A run that had started is suspected to be lost, and if nobody
reports within a grace it is Crashed: whether it may run again is its deployment's policy. Where another worker of its pool
reaches its infrastructure, that one looks whether it still lives, and stops what was being cancelled; where none does, a run
that was being cancelled is Cancelled. The rules are in `core.recovery`. Slots of concurrency limits that lapsed leases hold
are given back.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from headgate.core.recovery import HandOver, Propose, Silent, Suspect, recover
from headgate.schema.states import StateType
from headgate.services import slots
from headgate.services.scope import Scope
from headgate.services.states import Proposal, Trust, propose_all
from headgate.store import claims as rows
from headgate.store import workers as worker_rows
from headgate.store.claims import Lapsed
from headgate.store.database import Tx
from headgate.store.workers import Keeper

_PAGE = 100
_FOUND_AGAIN = frozenset({StateType.RUNNING, StateType.CANCELLING})


class Lifeline:
    """Waits one lease after its own start, and after each outage of the database: leases that lapsed while nobody could
    renew them say nothing of their holders. `reached_since` tells from when on the database answered without a break."""

    def __init__(self, reached_since: Callable[[], datetime | None] = lambda: None) -> None:
        self._reached_since = reached_since
        self._since: datetime | None = None

    async def tick(self, scope: Scope) -> int:
        """Recover all that lapsed."""
        now = scope.now
        self._since = max(filter(None, (self._since, self._reached_since())), default=now)
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
    """How many of these were changed; what was renewed or deleted meanwhile was not."""
    keepers = await _keepers(scope, lapsed, now)
    proposals, given = [], []
    for run in lapsed:
        keeper = keepers.get(run.id)
        match recover(_silent(scope, run, keeper, now)):
            case Propose(state):
                proposals.append(Proposal(run.id, state, now, lapsed_before=now))
            case Suspect(state):
                until = now + timedelta(seconds=scope.settings.server_leases_grace_seconds)
                trust = Trust(until, keeper.id if keeper else None)
                proposals.append(Proposal(run.id, state, now, trust=trust, lapsed_before=now))
            case HandOver():
                given.append((run, keepers[run.id]))
    count = await _hand_over(scope, given, now) + await propose_all(scope, proposals)
    scope.wakeups.wake([keeper.id for keeper in keepers.values()])
    return count


async def _keepers(scope: Scope, lapsed: Sequence[Lapsed], now: datetime) -> Mapping[UUID, Keeper]:
    """For each run whose infrastructure can be found again by another worker of its pool, such a worker."""
    runs = [run for run in lapsed if run.trace is not None and run.state_type in _FOUND_AGAIN]
    if not runs:
        return {}
    sites = {run.trace.site for run in runs if run.trace}
    pools = {run.work_pool_id for run in runs if run.work_pool_id}
    online = await scope.store.read(lambda tx: worker_rows.keepers(tx, pools=pools, sites=sites, now=now))
    found = {}
    for run in runs:
        fit = (each for each in online if run.trace and _can_keep(each, run, run.trace.site))
        if (keeper := next(fit, None)) is not None:
            found[run.id] = keeper
    return found


def _can_keep(worker: Keeper, run: Lapsed, site: str) -> bool:
    return worker.work_pool_id == run.work_pool_id and worker.site == site and worker.id != run.worker_id


def _silent(scope: Scope, run: Lapsed, keeper: Keeper | None, now: datetime) -> Silent:
    return Silent(
        type=run.state_type,
        name=run.state_name,
        since=now - run.since,
        keeper=keeper.name if keeper else None,
        lease=timedelta(seconds=scope.settings.server_leases_seconds),
        grace=timedelta(seconds=scope.settings.server_leases_grace_seconds),
    )


async def _hand_over(scope: Scope, given: Sequence[tuple[Lapsed, Keeper]], now: datetime) -> int:
    """Have other workers stop runs, each for one lease; how many had not moved on."""
    until = now + timedelta(seconds=scope.settings.server_leases_seconds)

    async def unit(tx: Tx) -> int:
        ordered = sorted(given, key=lambda pair: pair[0].id)
        return sum([await rows.hand_over(tx, run, keeper.id, expires_at=until, now=now) for run, keeper in ordered])

    return await scope.store.write(unit) if given else 0
