"""When a run that waits for a slot is likely to start, from how long the runs took lately of whose kind the holders are."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import median
from uuid import UUID

from headgate.core.dispatch import Gate, GateKind
from headgate.core.estimates import remaining, wait_for_slot
from headgate.schema.explanations import Estimate, Position
from headgate.services.positions import COUNTED, Stretch, stretches_of
from headgate.services.situations import Situation
from headgate.store import explanations as rows
from headgate.store import lanes as lane_rows
from headgate.store.database import Tx
from headgate.store.explanations import NOWHERE, Holding, Located

HISTORY = 20
"""How many of the last ended runs of a deployment are asked."""

KINDS = 10
"""Of how many deployments, those with the most slots first; the others' runs end nobody knows when."""

HOLDINGS = 1000
"""Above so many slots in use nothing is estimated."""

_SLOTS = (GateKind.POOL_LIMIT, GateKind.QUEUE_LIMIT, GateKind.DEPLOYMENT_LIMIT, GateKind.KEY_LIMIT)


@dataclass(frozen=True, slots=True)
class _Guess:
    """After how many seconds a slot of a limit is there, by the runs of which deployments, how many run before."""

    seconds: float
    ahead: int
    durations: Mapping[UUID, Sequence[float]]


async def estimate(
    tx: Tx, gates: Sequence[Gate], position: Position | None, run: Located, situation: Situation
) -> Estimate | None:
    """The likely start of a due run that only limits, and what opens by itself, hold back; None where there is no history.

    Each limit is taken by itself, and the last to have a slot counts. How much room workers have is not known here.
    """
    limits = [gate for gate in gates if gate.kind in _SLOTS]
    opening = [gate.until for gate in gates if gate.kind not in _SLOTS]
    if not limits or position is None or position.ahead >= COUNTED or any(until is None for until in opening):
        return None
    stretches = await stretches_of(tx, run.candidate, situation.snapshot(run.work_pool_id, [run.candidate]))
    shared = situation.is_shared(run)
    if shared and position.more:
        return None
    guesses = [
        await _guess(tx, gate, await _ahead(tx, gate, stretches, position, shared=shared), run, situation) for gate in limits
    ]
    known = [guess for guess in guesses if guess is not None]
    if len(known) < len(guesses):
        return None
    last = max(known, key=lambda guess: guess.seconds)
    names = (await lane_rows.get_many(tx, deployments=last.durations)).deployments
    return Estimate(
        start_time=max([situation.now + timedelta(seconds=last.seconds), *(until for until in opening if until)]),
        runs=sum(map(len, last.durations.values())),
        deployments=sorted(owner.full_name for owner in names.values()),
        ahead=last.ahead,
    )


async def _ahead(tx: Tx, gate: Gate, stretches: Sequence[Stretch], position: Position, *, shared: bool) -> int:
    """How many of the runs ahead want a slot of this very limit; `shared`: in a pool that is shared fairly, where runs of
    other deployments that are due later may be among them."""
    if gate.kind is GateKind.POOL_LIMIT:
        return position.ahead
    count = 0
    if shared and gate.kind is GateKind.QUEUE_LIMIT:
        for stretch in (each for each in stretches if each.lane.id != gate.id):
            of, left = stretch.priority, COUNTED - count
            count += await rows.count_ahead(tx, stretch.lane.id, of, before=stretch.before, limit=left)
        return max(position.ahead - count, 0)
    for stretch in stretches:
        if gate.kind is GateKind.QUEUE_LIMIT and stretch.lane.id != gate.id:
            continue
        place = (stretch.lane.id, stretch.priority, stretch.before)
        count += await rows.count_ahead_of(tx, gate.kind, gate.id, place=place, limit=COUNTED - count)
    return count


async def _guess(tx: Tx, gate: Gate, ahead: int, run: Located, situation: Situation) -> _Guess | None:
    if not gate.limit or gate.id is None or ahead >= COUNTED or (gate.used or 0) - gate.ahead > HOLDINGS:
        return None
    holdings = await rows.holdings(tx, gate.kind, gate.id, pool_id=run.work_pool_id, now=situation.now, limit=HOLDINGS)
    durations = await _durations(tx, holdings)
    of_each = [durations.get(each.deployment_id or NOWHERE, []) for each in holdings]
    ends = [remaining(taken, each.elapsed) for taken, each in zip(of_each, holdings, strict=True)]
    typical = [median(taken) for taken in of_each if taken]
    duration = median(typical) if typical else None
    seconds = wait_for_slot(ends, limit=gate.limit, ahead=ahead, duration=duration)
    return _Guess(seconds, ahead, durations) if seconds is not None and durations else None


async def _durations(tx: Tx, holdings: Sequence[Holding]) -> dict[UUID, list[float]]:
    """How long the last runs took of the deployments with the most holders; without those that have no history."""
    common = [id for id, _ in Counter(each.deployment_id for each in holdings).most_common(KINDS) if id]
    # Runs that ended were mostly to start before the ones under way: so the backlog, however long, is not gone through.
    before = {id: max(each.expected_start for each in holdings if each.deployment_id == id) for id in common}
    found = {id: await rows.durations(tx, id, before=before[id], limit=HISTORY) for id in common}
    return {id: durations for id, durations in found.items() if durations}
