"""Fair share: whose run goes next among equals, so that no deployment that floods a pool makes the others wait.

Who has the fewest runs under way goes first. Where slots are fewer than deployments nobody has any when one falls free: then
it is the turn of who was served longest ago, for by due time the flood, which came first, would go first for ever.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from heapq import heapify, heappop, heappush, heapreplace
from typing import Protocol, TypeAlias, TypeVar
from uuid import UUID

Party: TypeAlias = tuple[UUID | None, UUID | None]
"""A deployment and one of its concurrency keys; None: runs without one."""

REMEMBERED = 100
"""Of how many parties it is known when they were served last."""


class Entrant(Protocol):
    """A run that wants to start."""

    @property
    def id(self) -> UUID: ...
    @property
    def due_at(self) -> datetime: ...
    @property
    def deployment_id(self) -> UUID | None: ...
    @property
    def key_id(self) -> UUID | None: ...


Run = TypeVar("Run", bound=Entrant)


@dataclass(frozen=True, slots=True)
class Share:
    """How many runs of a pool each party has under way, and who was served lately, the last one last."""

    under_way: Mapping[Party, int] = field(default_factory=dict)
    turns: Sequence[Party] = ()

    def after(self, runs: Iterable[Entrant]) -> "Share":
        """The share once these runs have started too, one after the other."""
        served = [party_of(run) for run in runs]
        under_way = Counter(self.under_way)
        under_way.update(served)
        return Share(under_way, after_turns(self.turns, served))


def party_of(run: Entrant) -> Party:
    """Whose a run is."""
    return run.deployment_id, run.key_id


def after_turns(turns: Sequence[Party], served: Iterable[Party]) -> list[Party]:
    """Who was served lately, once these were too; each stands there once, and no more than `REMEMBERED`."""
    return [*reversed(dict.fromkeys(reversed([*turns, *served])))][-REMEMBERED:]


_Rank: TypeAlias = tuple[int, int, datetime, UUID]
"""A party's next run: how many it has under way, its last turn (0: not lately), due time, id."""


class Tally:
    """The share while a decision is made. `order` gives runs one by one, and of each it has to be told what became of it
    before the next: nothing, `take` or `defer`."""

    def __init__(self, share: Share) -> None:
        self._parties = Counter(share.under_way)
        self._owners: Counter[UUID | None] = Counter()
        for (owner, _), count in share.under_way.items():
            self._owners[owner] += count
        self._party_turns = {party: turn for turn, party in enumerate(share.turns, 1)}
        self._owner_turns = {owner: turn for turn, (owner, _) in enumerate(share.turns, 1)}
        self._turn = len(share.turns)
        self._deferred: list[tuple[Party, int, int]] = []

    def take(self, run: Entrant) -> None:
        """The run starts."""
        self._count(party_of(run))

    def defer(self, run: Entrant) -> None:
        """The run would start, but for a slot: in the order of its equals, and only there, it counts as if it had one."""
        party = party_of(run)
        self._deferred.append((party, self._party_turns.get(party, 0), self._owner_turns.get(party[0], 0)))
        self._count(party)

    def order(self, runs: Iterable[Run]) -> Iterator[Run]:
        """Equals, fairly: of the deployment with the fewest under way the run of the key with the fewest under way."""
        lanes: dict[UUID | None, dict[UUID | None, list[Run]]] = {}
        for run in sorted(runs, key=lambda run: (run.due_at, run.id), reverse=True):
            lanes.setdefault(run.deployment_id, {}).setdefault(run.key_id, []).append(run)
        rows = {owner: [(self._rank(keyed[-1]), key) for key, keyed in of.items()] for owner, of in lanes.items()}
        for row in rows.values():
            heapify(row)
        # Only what was given last can have changed its place: so it alone is put back anew.
        heads = [(*self._standing(owner), row[0][0], owner) for owner, row in rows.items()]
        heapify(heads)
        while heads:
            *_, owner = heappop(heads)
            row = rows[owner]
            waiting = lanes[owner][row[0][1]]
            yield waiting.pop()
            if waiting:
                heapreplace(row, (self._rank(waiting[-1]), row[0][1]))
            else:
                heappop(row)
            if row:
                heappush(heads, (*self._standing(owner), row[0][0], owner))
        while self._deferred:
            party, turn, owner_turn = self._deferred.pop()
            self._owners[party[0]] -= 1
            self._parties[party] -= 1
            self._party_turns[party], self._owner_turns[party[0]] = turn, owner_turn

    def _count(self, party: Party) -> None:
        self._turn += 1
        self._parties[party] += 1
        self._owners[party[0]] += 1
        self._party_turns[party] = self._owner_turns[party[0]] = self._turn

    def _standing(self, owner: UUID | None) -> tuple[int, int]:
        return self._owners[owner], self._owner_turns.get(owner, 0)

    def _rank(self, run: Entrant) -> _Rank:
        party = party_of(run)
        return self._parties[party], self._party_turns.get(party, 0), run.due_at, run.id
