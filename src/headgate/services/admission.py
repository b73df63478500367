"""Which runs may take a slot: under all limits of a pool, its queues and the deployments, whoever asks for it.

The caller holds the locks of the pools, so that what is counted here stays so until its transaction ends; or it decides
nothing, and only wants to know.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from headgate.core.dispatch import Candidate, Lane, Snapshot, starting
from headgate.core.fair_share import Party, Share, party_of
from headgate.core.states import AWAITING_SLOT, Current
from headgate.schema.states import StateCreate, StateDetails, StateType
from headgate.services import slots as named_slots
from headgate.services.fronts import Fronts
from headgate.store import claims as rows
from headgate.store import work_pools as pool_rows
from headgate.store.claims import Aisle, Capped, Closed, Limit, Queue
from headgate.store.concurrency_limits import Limit as NamedLimit
from headgate.store.database import Tx
from headgate.store.work_pools import LockedPool, SeenPool

SLOT_RETRY = timedelta(seconds=30)
"""After how long a process that asked for a slot for its own run may ask again."""

_BEYOND, _GROWTH, _MOST_BEYOND = 8, 4, 512
"""How many candidates are looked at beyond the room that a worker has: few, for most of the time nothing is blocked; where
something is, more with each further page."""


@dataclass(frozen=True, slots=True)
class Admissible:
    """Who may start; `contended`: others might have, had another server not been busy with their limits just then.

    `opens_at` is when the pool's launch rate lets further ones through, if it holds any back.
    """

    runs: Sequence[Candidate] = ()
    contended: bool = False
    opens_at: datetime | None = None


async def admissible(
    tx: Tx,
    pool: SeenPool,
    queues: Iterable[Queue],
    *,
    fronts: Fronts,
    used: int,
    span: tuple[datetime, datetime],
    room: int,
    now: datetime,
    holds: bool = True,
) -> Admissible:
    """Who starts, of the runs that fall due in a span of time: queue by queue and priority by priority, a page of runs
    at a time, until the room is used up. `used` are the slots of the pool that are taken. `fronts` says where to begin.

    The first page is the first runs, whatever blocks them: mostly they start. Where they do not, further pages go around all
    runs whose deployment is paused, or whose deployment or concurrency key has no slot left, however many these are. Where
    the pool is shared fairly the first runs of every deployment and key are looked at instead.

    `holds`: nobody else may decide about the slots of the same deployments until the transaction ends.
    """
    top = Lane(pool.id, pool.is_paused, pool.concurrency_limit, used)
    pace, launching = pool.pace(now), (await pool_rows.launching(tx, [pool])).get(pool.id)
    room = min(room, _left(top), pace.left if pace else room, _left(launching) if launching else room)
    if room <= 0 or pool.is_paused:
        return Admissible(opens_at=pace.opens_at(1) if pace and not pace.left else None)
    slots = _Slots(tx, now, holds=holds)
    share = await pool_rows.share(tx, pool.id, pool.turns) if pool.fair_share else None
    admitted: list[Candidate] = []
    for queue in sorted(queues, key=lambda queue: queue.lane.priority):
        if queue.lane.paused:
            continue
        taken = await _admit_queue(tx, top, queue, slots, fronts, share, span=span, room=room - len(admitted))
        admitted += taken
        share = share.after(taken) if share else None
        top = replace(top, used=top.used + len(taken))
        if len(admitted) >= room:
            break
    opens_at = pace.opens_at(len(admitted) + 1) if pace and len(admitted) >= pace.left else None
    return Admissible(admitted, slots.contended, opens_at)


async def _admit_queue(
    tx: Tx,
    pool: Lane,
    polled: Queue,
    slots: "_Slots",
    fronts: Fronts,
    share: Share | None,
    *,
    span: tuple[datetime, datetime],
    room: int,
) -> list[Candidate]:
    queue = polled.lane
    room = min(room, _left(queue))
    admitted: list[Candidate] = []

    def decide(page: Iterable[Capped]) -> Sequence[Candidate]:
        seen = {run.id for run in admitted}
        snapshot = Snapshot(
            replace(pool, used=pool.used + len(admitted)),
            {queue.id: replace(queue, used=queue.used + len(admitted))},
            slots.lanes,
            [each.run for each in page if each.run.id not in seen and not each.paused],
            span[1],
            room - len(admitted),
            slots.keys,
            shared=slots.shared,
            share=share.after(admitted) if share else None,
        )
        return starting(snapshot)

    for priority in await fronts.priorities(tx, polled) if room > 0 else []:
        aisle = Aisle(queue.id, priority, span)
        parties = await rows.open_parties(tx, aisle, slots.closed()) if share and len(admitted) < room else None
        if parties is not None:
            if parties:
                admitted += await _share_out(tx, aisle, parties, slots, decide, room=room - len(admitted))
            continue
        beyond = _BEYOND
        closed: Closed | None = None
        while len(admitted) < room:
            limit = room + beyond  # those admitted by now are seen again
            beyond = min(beyond * _GROWTH, _MOST_BEYOND)
            if closed is None:
                page = await fronts.first_candidates(tx, aisle, limit=limit)
            else:
                page = await fronts.candidates(tx, aisle, closed, limit=limit)
            await slots.hold(page)
            more = decide(page)
            admitted += more
            slots.take(more)
            before, closed = closed, slots.closed()
            if len(page) < limit or (not more and closed == before):
                break
    return admitted


async def _share_out(
    tx: Tx,
    aisle: Aisle,
    parties: Sequence[Party],
    slots: "_Slots",
    decide: Callable[[Iterable[Capped]], Sequence[Candidate]],
    *,
    room: int,
) -> Sequence[Candidate]:
    """Who starts of an aisle: of everybody as many runs are read as it may take.

    That is not known before: a decision that took the last run read of somebody, who may have more, is taken again with more
    of that one's. So no more is read than a few times the room, and a run or two of each.
    """
    found: dict[Party, list[Capped]] = {}
    wanted, each = parties, 1 + _GROWTH * room // len(parties)
    while wanted:
        found |= {party: [] for party in wanted}
        for run in await rows.first_of(tx, aisle, wanted, each=each):
            if (party := party_of(run.run)) in found:  # else its deployment was just deleted: the next look has it
                found[party].append(run)
        page = [run for runs in found.values() for run in runs]
        await slots.hold(page)
        admitted = decide(page)
        taken = {run.id for run in admitted}
        wanted = [party for party in wanted if len(runs := found[party]) == each and runs[-1].run.id in taken]
        each *= _GROWTH
    slots.take(admitted)
    return admitted


class _Slots:
    """The slots of limited deployments, and of their concurrency keys. Their runs may wait in several pools, so that the
    lock of one pool is not enough: they are counted anew once this transaction is alone with them."""

    def __init__(self, tx: Tx, now: datetime, *, holds: bool) -> None:
        self.lanes: dict[UUID, Lane] = {}
        self.shared: dict[UUID, Lane] = {}  # by deployment
        self.contended = False
        self.keys: dict[UUID, Lane] = {}
        self._tx, self._now = tx, now
        self._holds = holds
        self._known: set[UUID] = set()
        self._is_read = False
        self._held: set[UUID] = set()
        self._busy: set[UUID] = set()

    async def hold(self, page: Sequence[Capped]) -> None:
        """Count for the runs of a page. Nobody is waited for: with whose slots another is busy counts as full this time."""
        of_keys = {each.run.key_id: each for each in page if each.run.key_id and each.key_limit is not None}
        wanted = {
            each.run.deployment_id: each.limit
            for each in page
            if each.run.deployment_id and not each.paused and (each.limit is not None or each.key_limit is not None)
        }
        wanted = {id: limit for id, limit in wanted.items() if id not in self._held}
        if any(limit is not None for limit in wanted.values()) and not self._is_read:
            # So that the runs of all that are full are passed over from the next page on.
            self._is_read, self.lanes = True, await rows.limited_deployments(self._tx)
        count = rows.try_slots if self._holds else rows.deployments_used
        used = await count(self._tx, wanted) if wanted else {}
        for id, limit in wanted.items():
            if id not in used:
                self.lanes[id] = Lane(id, limit=0)
            elif limit is not None:
                self.lanes[id] = Lane(id, limit=limit, used=used[id])
        self._held |= used.keys()
        self.contended = self.contended or used.keys() != wanted.keys()
        await self._count_keys(of_keys)
        if any(each.shared_id for each in page):
            await self._hold_shared({each.run.deployment_id: each.shared_id for each in page if each.run.deployment_id})

    async def _hold_shared(self, ids: Mapping[UUID, UUID | None]) -> None:
        """The same for limits that deployments share, with the slots that others hold of them: nobody is waited for."""
        wanted = {id for id in ids.values() if id is not None} - self._known
        if wanted:
            count = named_slots.try_shared if self._holds else named_slots.shared
            held = await count(self._tx, wanted, now=self._now)
            self._known |= wanted
            for limit in held.values():
                if (lane := named_slots.lane_of(limit)) is not None:
                    self.shared |= dict.fromkeys(limit.users, lane)
                    # What others give back is told; what decays or lapses is not.
                    self.contended = self.contended or (lane.is_full() and limit.meter.active > 0)
            busy = wanted - held.keys()
            self._busy |= busy
            self.contended = self.contended or bool(busy)
        self.shared |= {owner: Lane(id, limit=0) for owner, id in ids.items() if id is not None and id in self._busy}

    async def _count_keys(self, of_keys: Mapping[UUID, Capped]) -> None:
        new = {id: each for id, each in of_keys.items() if id not in self.keys and each.run.deployment_id in self._held}
        used = await rows.keys_used(self._tx, new) if new else {}
        self.keys |= {id: Lane(id, limit=new[id].key_limit, used=count) for id, count in used.items()}

    def closed(self) -> Closed:
        """What is without a slot, of the deployments and the keys seen so far."""
        return Closed(
            frozenset(id for lanes in (self.lanes, self.shared) for id, lane in lanes.items() if lane.is_full()),
            frozenset(id for id, lane in self.keys.items() if lane.is_full()),
        )

    def take(self, admitted: Sequence[Candidate]) -> None:
        """These runs hold slots now."""
        for run in admitted:
            for id, lanes in ((run.deployment_id, self.lanes), (run.key_id, self.keys)):
                if id is not None and (lane := lanes.get(id)):
                    lanes[id] = replace(lane, used=lane.used + 1)
            if run.deployment_id is not None and (lane := self.shared.get(run.deployment_id)):
                taken = replace(lane, used=lane.used + 1)
                self.shared |= {id: taken for id, each in self.shared.items() if each.id == lane.id}


def _left(lane: Lane) -> int:
    return 1_000_000 if lane.limit is None else lane.limit - lane.used


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a run gets no slot; `cancels`: its deployment or its key lets no run wait for one; `until`: when it will get one,
    where that is known."""

    reason: str
    cancels: bool = False
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Under which limits a run stands: those of its pool, its queue, its deployment and its concurrency key, and the one
    that its deployment shares with others; `cancels_new`: where that is full, a new run does not wait. `is_limited`: its
    queue or its deployment may have a limit."""

    pool_id: UUID | None
    queue_id: UUID | None
    deployment_id: UUID | None
    key_id: UUID | None = None
    shared_id: UUID | None = None
    cancels_new: bool = False
    is_limited: bool = True

    def limits(self) -> list[tuple[str, UUID]]:
        """What each limit is of, outermost first, and its id."""
        ids = (self.pool_id, self.queue_id, self.deployment_id, self.shared_id, self.key_id)
        return [(word, id) for word, id in zip(_WORDS, ids, strict=True) if id is not None]


_WORDS = ("Work pool", "Work queue", "Deployment", "Shared", "Key")


class Ledger:
    """The limits over runs that ask for slots by themselves, and what one transaction gives and takes of them.

    They are read once for a whole set of runs, after `hold_limits`; what the set itself changes is counted here. `pools`
    are those that the caller holds, `launching` those of them that limit how many runs are launched at the same time.
    """

    def __init__(
        self,
        limits: Mapping[UUID, Limit],
        pools: Mapping[UUID, LockedPool] | None = None,
        launching: Mapping[UUID, Lane] | None = None,
    ) -> None:
        self._limits = limits
        self._pools = pools or {}
        self._launching = {**(launching or {})}
        self._moved: Counter[UUID] = Counter()
        self._launched: dict[UUID, list[Party]] = {}

    def refusal(self, place: Place, *, now: datetime, launches: bool = False) -> Refusal | None:
        """What refuses a slot to a run there; None when there is room. `launches`: it is to be Pending, not Running."""
        limits = {word: limit for word, id in place.limits() if (limit := self._full(id)) is not None}
        if not limits:
            return self._too_quick(place.pool_id, now) or (self._too_many(place.pool_id) if launches else None)
        if place.cancels_new and (shared := limits.get("Shared")):
            limits["Shared"] = replace(shared, cancels_new=True)
        word, limit = next((each for each in limits.items() if each[1].cancels_new), next(iter(limits.items())))
        return Refusal(f"{word} concurrency limit reached.", limit.cancels_new)

    def settle(self, place: Place) -> None:
        """A run there is no longer on its way to Running."""
        launching = self._launching.get(place.pool_id) if place.pool_id else None
        if launching is not None:
            self._launching[launching.id] = replace(launching, used=launching.used - 1)

    def move(self, place: Place, by: int) -> None:
        """A run there took a slot (1), or gave its own back (-1)."""
        if by and self._limits:
            for _, id in place.limits():
                self._moved[id] += by
        if by > 0 and place.pool_id is not None:
            self._launched.setdefault(place.pool_id, []).append((place.deployment_id, place.key_id))

    async def note(self, tx: Tx, *, now: datetime) -> None:
        """Write down what was launched, where a rate counts it, and for whom, where that decides whose turn is next."""
        for id in sorted(self._launched.keys() & self._pools.keys()):
            await pool_rows.launch(tx, self._pools[id], len(self._launched[id]), now=now)
            await pool_rows.serve(tx, self._pools[id], self._launched[id])

    def _too_quick(self, pool_id: UUID | None, now: datetime) -> Refusal | None:
        pool = self._pools.get(pool_id) if pool_id else None
        pace = pool.pace(now) if pool else None
        launched = len(self._launched.get(pool.id, ())) if pool else 0
        if pace is None or launched < pace.left:
            return None
        return Refusal("Work pool launch rate reached.", until=pace.opens_at(launched + 1))

    def _too_many(self, pool_id: UUID | None) -> Refusal | None:
        launching = self._launching.get(pool_id) if pool_id else None
        if launching is None or not launching.is_full(len(self._launched.get(launching.id, ()))):
            return None
        return Refusal("Work pool launch limit reached.")

    def _full(self, id: UUID) -> Limit | None:
        limit = self._limits.get(id)
        return limit if limit is not None and limit.used + self._moved[id] >= limit.limit else None


@dataclass(frozen=True, slots=True)
class Held:
    """What a transaction is alone with: pools, and limits that deployments share, as they are now."""

    pools: Mapping[UUID, LockedPool]
    shared: Mapping[UUID, NamedLimit]


async def ledger_of(tx: Tx, places: Iterable[Place], held: Held) -> Ledger:
    """The limits over runs at these places; `held` is what `hold_limits` gave."""
    places = [*places]
    pools = {each.pool_id for each in places if each.pool_id and _may_be_limited(held.pools.get(each.pool_id))}
    queues = {each.queue_id for each in places if each.queue_id and each.is_limited}
    deployments = {each.deployment_id for each in places if each.deployment_id and each.is_limited}
    none = not (pools or queues or deployments)
    limits = {} if none else await rows.limits(tx, pools=pools, queues=queues, deployments=deployments)
    keys = {each.key_id: each.deployment_id for each in places if each.key_id and each.deployment_id}
    limits |= await rows.key_limits(tx, keys) if keys else {}
    lanes = [lane for each in held.shared.values() if (lane := named_slots.lane_of(each)) is not None]
    shared = {lane.id: Limit(lane.limit, lane.used, False) for lane in lanes if lane.limit is not None}
    launching = await pool_rows.launching(tx, held.pools.values())
    return Ledger(limits | shared, held.pools, launching)


def _may_be_limited(pool: LockedPool | None) -> bool:
    return pool is None or pool.concurrency_limit is not None


def refused_state(refused: Refusal, run: Current, *, now: datetime, polled: bool = False) -> StateCreate:
    """Where a run goes that asked for a slot and got none: it waits, or, if it is new and may not wait, it is cancelled.

    One that its client got by a poll keeps its time, and so its place: it is handed out again when there is a slot, and not
    before.
    """
    if refused.cancels and run.run_count == 0:
        return StateCreate(type=StateType.CANCELLED, message=refused.reason)
    time = (run.scheduled_time or now) if polled else refused.until or now + SLOT_RETRY
    details = StateDetails(scheduled_time=time)
    return StateCreate(type=StateType.SCHEDULED, name=AWAITING_SLOT, message=refused.reason, state_details=details)


async def hold_limits(tx: Tx, places: Sequence[tuple[UUID | None, UUID | None, UUID | None]], *, now: datetime) -> Held:
    """Be alone, until the transaction ends, with the limits over runs, given each as a pool, a deployment that has a limit
    and a limit that a deployment shares: pools first, then deployments, then limits, each in one order."""
    pools = {pool for pool, _, _ in places if pool is not None}
    locked = await pool_rows.lock_many(tx, pools) if pools else {}
    if deployments := {deployment for _, deployment, _ in places if deployment is not None}:
        await rows.hold_slots(tx, deployments)
    shared = {limit for _, _, limit in places if limit is not None}
    return Held(locked, await named_slots.hold_shared(tx, shared, now=now) if shared else {})
