"""When a run that waits for a slot is likely to start, from how long the runs took lately of whose kind the holders are."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import median
from uuid import UUID

from headgate.core.contenders import Ahead
from headgate.core.dispatch import Gate, GateKind
from headgate.core.estimates import passed_on, remaining, wait_for_slot
from headgate.schema.explanations import Estimate
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

_SLOTS = (GateKind.POOL_LIMIT, GateKind.QUEUE_LIMIT, GateKind.DEPLOYMENT_LIMIT, GateKind.SHARED_LIMIT, GateKind.KEY_LIMIT)


@dataclass(frozen=True, slots=True)
class _Guess:
    """After how many seconds a slot of a limit is there, by the runs of which deployments, how many run before."""

    seconds: float
    ahead: int
    durations: Mapping[UUID, Sequence[float]]


async def estimate(tx: Tx, gates: Sequence[Gate], ahead: Ahead, run: Located, situation: Situation) -> Estimate | None:
    """The likely start of a due run that only limits, and what opens by itself, hold back; None where there is no history.

    Each limit is taken by itself, and the last to have a slot counts. Of the runs ahead, those that another limit holds get
    the slots of who holds theirs, and none of the others. How much room workers have is not known here.
    """
    limits = [gate for gate in gates if gate.kind in _SLOTS]
    opening = [gate.until for gate in gates if gate.kind not in _SLOTS]
    if not limits or ahead.more or any(until is None for until in opening):
        return None
    guesses = [await _guess(tx, gate, ahead, run, situation) for gate in limits]
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


async def _guess(tx: Tx, gate: Gate, in_front: Ahead, run: Located, situation: Situation) -> _Guess | None:
    used = (gate.used or 0) - gate.ahead
    if not gate.limit or gate.id is None or used > HOLDINGS:
        return None
    ahead = in_front.able(gate.id)
    holdings = await rows.holdings(tx, gate.kind, gate.id, pool_id=run.work_pool_id, now=situation.now, limit=HOLDINGS)
    durations = await _durations(tx, holdings)
    of_each = [durations.get(each.deployment_id or NOWHERE, []) for each in holdings]
    ends = [remaining(taken, each.elapsed) for taken, each in zip(of_each, holdings, strict=True)]
    typical = [median(taken) for taken in of_each if taken]
    duration = median(typical) if typical else None
    if duration is not None:
        ends = _passed_on(holdings, ends, in_front.held(gate.id), duration)
    if gate.kind is GateKind.SHARED_LIMIT:
        ends += [None] * (used - len(ends))  # slots that are taken by name: nobody can say when they come back
    seconds = wait_for_slot(ends, limit=gate.limit, ahead=ahead, duration=duration)
    return _Guess(seconds, ahead, durations) if seconds is not None and durations else None


def _passed_on(
    holdings: Sequence[Holding], ends: Sequence[float | None], held: Mapping[UUID, int], duration: float
) -> list[float | None]:
    """The ends of holders, where those of a queue or a deployment go on with the runs ahead that wait for them alone."""
    of: dict[UUID | None, list[float | None]] = {}
    for each, end in zip(holdings, ends, strict=True):
        behind = next((id for id in (each.queue_id, each.deployment_id) if id in held), None)
        of.setdefault(behind, []).append(end)
    return [end for id, ends in of.items() for end in passed_on(ends, held[id] if id else 0, duration)]


async def _durations(tx: Tx, holdings: Sequence[Holding]) -> dict[UUID, list[float]]:
    """How long the last runs took of the deployments with the most holders; without those that have no history."""
    common = [id for id, _ in Counter(each.deployment_id for each in holdings).most_common(KINDS) if id]
    # Runs that ended were mostly to start before the ones under way: so the backlog, however long, is not gone through.
    before = {id: max(each.expected_start for each in holdings if each.deployment_id == id) for id in common}
    found = {id: await rows.durations(tx, id, before=before[id], limit=HISTORY) for id in common}
    return {id: durations for id, durations in found.items() if durations}
