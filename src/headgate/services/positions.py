"""Where a run stands among all that wait: who goes before it, and which gates are left for it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

from headgate.core.contenders import Ahead, Bunch, Contenders, bunches_of, contenders
from headgate.core.dispatch import Candidate, Lane, Place, Snapshot, before, dispatch, place_of
from headgate.core.fair_share import Party, party_of
from headgate.schema.explanations import Position
from headgate.services.situations import Situation, key_lanes, lanes_of_owners, limits_of
from headgate.store import explanations as rows
from headgate.store import lanes as lane_rows
from headgate.store.claims import Aisle, Closed, ids_of, open_parties, priorities
from headgate.store.database import Tx
from headgate.store.explanations import NOWHERE, Located

COUNTED = 10_000
"""How many of the runs ahead are looked at to count those that can be released before a run."""

_KNOWN = 1000
"""Of how many deployments and keys, those with the most runs ahead, the limits are asked; the others hold nobody back."""

_SEEN = 1000
"""How many of the runs ahead are looked at to find those that start."""

_PAGE = 250
_FIRST = datetime.min.replace(tzinfo=UTC), NOWHERE
_LAST_ID = UUID(int=2**128 - 1)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Runs of one queue and one run priority that go before a run: those before a place (due time, id)."""

    lane: Lane
    priority: int
    before: tuple[datetime, UUID]


async def place(tx: Tx, run: Located, situation: Situation) -> tuple[Place, Position | None, Ahead]:
    """The place of a run among all that wait, and what goes before it; a run that could not start anyway is looked at on
    its own."""
    snapshot = situation.snapshot(run.work_pool_id, [run.candidate])
    alone = place_of(run.candidate, snapshot)
    if situation.queue(run) is None or run.candidate.held or run.candidate.due_at > situation.now:
        return alone, None, Ahead()
    stretches = await stretches_of(tx, run.candidate, snapshot)
    if snapshot.share is not None:
        return await _place_fairly(tx, run.candidate, stretches, snapshot)
    seen = await _ahead(tx, stretches, snapshot)
    found = place_of(run.candidate, replace(seen, candidates=[*seen.candidates, run.candidate]))
    in_front = await _in_front(tx, run.candidate, stretches, snapshot)
    count = in_front.able(snapshot.pool.id)
    more = in_front.more or len(seen.candidates) >= _SEEN
    return found, Position(ahead=count, starting=found.starting, more=more), in_front


async def _in_front(tx: Tx, run: Candidate, stretches: Sequence[Stretch], snapshot: Snapshot) -> Ahead:
    bunches, left = await _bunches(tx, stretches)
    return Ahead(await _contenders(tx, run, bunches, snapshot), more=left <= 0)


async def _bunches(tx: Tx, stretches: Sequence[Stretch]) -> tuple[list[Bunch], int]:
    """What waits in the stretches, and how many runs more might be looked at."""
    bunches: list[Bunch] = []
    left = COUNTED
    for stretch in stretches:
        if left > 0:
            found = await rows.bunches_ahead(tx, stretch.lane.id, stretch.priority, before=stretch.before, limit=left)
            left -= sum(each.runs for each in found)
            bunches += found
    return bunches, left


async def _contenders(tx: Tx, run: Candidate, bunches: Sequence[Bunch], snapshot: Snapshot) -> list[Contenders]:
    common = sorted(bunches, key=lambda bunch: -bunch.runs)[:_KNOWN]
    return contenders(run, bunches, await _knowing(tx, snapshot, common))


async def _place_fairly(
    tx: Tx, run: Candidate, stretches: Sequence[Stretch], snapshot: Snapshot
) -> tuple[Place, Position, Ahead]:
    """Where the pool is shared fairly, runs that are due later may go before it: those of its equals are looked at in the
    order of the decision, and only such as their deployments and keys let start. All of the better ones go before it."""
    *better, own = stretches
    bunches, left = await _bunches(tx, better)
    snapshot = replace(snapshot, candidates=[])
    for stretch in better:
        if not _used_up(snapshot, stretch.lane, dispatch(snapshot).admitted):
            snapshot, _ = await _with_firsts(tx, stretch, snapshot, ())
    others = {each.id for each in snapshot.candidates}
    snapshot, cut = await _with_firsts(tx, own, snapshot, (party_of(run),))
    if run not in snapshot.candidates:
        snapshot = replace(snapshot, candidates=[*snapshot.candidates, run])
    found, equals = place_of(run, snapshot), [each for each in before(run, snapshot) if each.id not in others]
    bunches += bunches_of(equals)
    more = left <= len(equals) or not {each.id for each in cut}.isdisjoint(each.id for each in equals)
    in_front = Ahead(await _contenders(tx, run, bunches, snapshot), more=more)
    return found, Position(ahead=in_front.able(snapshot.pool.id), starting=found.starting, more=more), in_front


async def _with_firsts(
    tx: Tx, stretch: Stretch, snapshot: Snapshot, besides: Sequence[Party]
) -> tuple[Snapshot, list[Candidate]]:
    """The snapshot with the first runs of each deployment and key in a stretch that have slots left, and of those `besides`;
    and the last ones read of those that may have more."""
    aisle = Aisle(stretch.lane.id, stretch.priority, (_FIRST[0], snapshot.until))
    admitted = dispatch(snapshot).admitted
    closed = Closed(frozenset(_full_deployments(snapshot, admitted)), frozenset(_full_keys(snapshot, admitted)))
    parties = await open_parties(tx, aisle, closed)
    if parties is None:  # as in a claim: who is due first, then
        page = await rows.ahead(
            tx,
            stretch.lane.id,
            stretch.priority,
            span=(_FIRST, (snapshot.until, _LAST_ID)),
            full=closed.deployments,
            full_keys=closed.keys,
            limit=_SEEN,
        )
        return await _with(tx, snapshot, page), page[_SEEN - 1 :]
    parties = [*dict.fromkeys([*parties, *besides])]
    each = max(_SEEN // len(parties), 1) if parties else 0
    ids = await ids_of(tx, aisle, parties, each=each) if parties else []
    page = [located.candidate for located in await rows.candidates(tx, ids, now=snapshot.until)] if ids else []
    of: dict[Party, list[Candidate]] = {}
    for run in sorted(page, key=lambda run: (run.due_at, run.id)):
        of.setdefault(party_of(run), []).append(run)
    return await _with(tx, snapshot, page), [runs[-1] for runs in of.values() if len(runs) == each]


async def stretches_of(tx: Tx, run: Candidate, snapshot: Snapshot) -> list[Stretch]:
    """Where the runs are that go before one: in better queues, under better priorities, and before it in its own.

    Nothing goes ahead from a queue that is paused, or that nobody polls.
    """
    mine, due = snapshot.queues[run.queue_id], (snapshot.until, _LAST_ID)
    better = [lane for lane in snapshot.queues.values() if lane.priority < mine.priority and lane.served and not lane.paused]
    found = []
    for lane in sorted(better, key=lambda lane: lane.priority):
        found += [Stretch(lane, priority, due) for priority in await priorities(tx, lane.id)]
    found += [Stretch(mine, each, due) for each in await priorities(tx, mine.id) if each > run.priority]
    return [*found, Stretch(mine, run.priority, (run.due_at, run.id))]


async def _ahead(tx: Tx, stretches: Sequence[Stretch], snapshot: Snapshot) -> Snapshot:
    """A snapshot with the runs of the stretches as far as they matter: until they use up the pool's slots."""
    snapshot = replace(snapshot, candidates=[])
    for stretch in stretches:
        after = _FIRST
        while len(snapshot.candidates) < _SEEN:
            admitted = dispatch(snapshot).admitted
            if _used_up(snapshot, stretch.lane, admitted):
                break
            span, full = (after, stretch.before), _full_deployments(snapshot, admitted)
            full_keys = _full_keys(snapshot, admitted)
            page = await rows.ahead(
                tx, stretch.lane.id, stretch.priority, span=span, full=full, full_keys=full_keys, limit=_PAGE
            )
            snapshot = await _with(tx, snapshot, page)
            if len(page) < _PAGE:
                break
            after = page[-1].due_at, page[-1].id
    return snapshot


async def _with(tx: Tx, snapshot: Snapshot, page: Sequence[Candidate]) -> Snapshot:
    """The snapshot with these runs, and with the deployments and the keys that they are the first of."""
    known = await _knowing(tx, snapshot, page)
    return replace(known, candidates=[*snapshot.candidates, *page])


async def _knowing(tx: Tx, snapshot: Snapshot, runs: Sequence[Candidate | Bunch]) -> Snapshot:
    unknown = {run.deployment_id for run in runs if run.deployment_id} - snapshot.deployments.keys()
    found = (await lane_rows.get_many(tx, deployments=unknown)).deployments
    # Whether a process serves them is not looked up: where workers poll it does not matter, and elsewhere few are served.
    limits = await limits_of(tx, found.values(), now=snapshot.until)
    shared = {**snapshot.shared, **lanes_of_owners(found.values(), limits)}
    deployments = {**snapshot.deployments, **{id: replace(owner.lane, served=False) for id, owner in found.items()}}
    keys = {**snapshot.keys, **await key_lanes(tx, [run for run in runs if run.key_id not in snapshot.keys])}
    return replace(snapshot, deployments=deployments, keys=keys, shared=shared)


def _used_up(snapshot: Snapshot, queue: Lane, admitted: Sequence[Candidate]) -> bool:
    """Whether no run of a queue can start any more, after those that were admitted."""
    in_queue = sum(1 for run in admitted if run.queue_id == queue.id)
    too_quick = snapshot.pace is not None and snapshot.pace.left <= len(admitted)
    too_many = snapshot.launching is not None and snapshot.launching.is_full(len(admitted))
    full = snapshot.pool.is_full(len(admitted)) or queue.is_full(in_queue)
    return snapshot.pool.paused or full or too_quick or too_many


def _full_deployments(snapshot: Snapshot, admitted: Sequence[Candidate]) -> list[UUID]:
    taken = Counter(run.deployment_id for run in admitted)
    by_name = Counter(lane.id for run in admitted if run.deployment_id and (lane := snapshot.shared.get(run.deployment_id)))
    full = [id for id, lane in snapshot.deployments.items() if lane.is_full(taken[id])]
    return full + [id for id, lane in snapshot.shared.items() if lane.is_full(by_name[lane.id])]


def _full_keys(snapshot: Snapshot, admitted: Sequence[Candidate]) -> list[UUID]:
    taken = Counter(run.key_id for run in admitted)
    return [id for id, lane in snapshot.keys.items() if lane.is_full(taken[id])]
