"""What becomes of runs that share a concurrency key, where its deployment lets no further ones wait for their turn."""

from collections.abc import Sequence
from typing import assert_never
from uuid import UUID

from headgate.core.collisions import Contender, giving_way
from headgate.schema.deployments import KeyStrategy
from headgate.schema.states import StateCreate, StateType
from headgate.services.scope import Scope
from headgate.services.states import Proposal, propose_all
from headgate.store import concurrency_keys as rows
from headgate.store.concurrency_keys import CollidingKey
from headgate.store.database import Tx

_PAGE = 200


async def settle(scope: Scope, key_ids: Sequence[UUID] | None = None) -> int:
    """Cancel the runs that have to give way, of these keys or of all; answers how many did. What is paused is left alone."""
    cancelled, after = 0, UUID(int=0)
    while True:
        now = scope.now

        async def unit(tx: Tx) -> list[tuple[CollidingKey, list[Contender]]]:
            keys = await rows.colliding(tx, key_ids, after=after, now=now, limit=_PAGE)  # noqa: B023
            runs = await rows.contenders(tx, [key.id for key in keys], now=now) if keys else {}  # noqa: B023
            return [(key, runs.get(key.id, [])) for key in keys]

        found = await scope.store.read(unit)
        proposals = [
            Proposal(run.id, _ended(key, run), now, from_name=run.state_name)
            for key, runs in found
            for run in giving_way(key.strategy, key.limit, runs)
        ]
        cancelled += await propose_all(scope, proposals)
        if len(found) < _PAGE:
            return cancelled
        after = found[-1][0].id


def _ended(key: CollidingKey, run: Contender) -> StateCreate:
    type = StateType.CANCELLING if run.holds else StateType.CANCELLED
    return StateCreate(type=type, message=_message(key))


def _message(key: CollidingKey) -> str:
    match key.strategy:
        case KeyStrategy.CANCEL_NEW:
            return f"Concurrency key {key.text!r} has as many runs in progress as it may have: {key.limit}."
        case KeyStrategy.CANCEL_RUNNING | KeyStrategy.REPLACE_QUEUED | KeyStrategy.ENQUEUE:
            return f"A newer run of concurrency key {key.text!r} takes its place."
    assert_never(key.strategy)
