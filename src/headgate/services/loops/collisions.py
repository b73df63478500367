"""Collisions: cancels the due runs of deployments that let none wait for a slot, when all their slots are taken; and the
runs of concurrency keys that give way to others.

It goes by the limit of the deployment, or of the key, alone, whatever else keeps a run waiting: a full pool, or no worker.
So runs that are not to wait never pile up. What is paused is left alone until it is resumed.
"""

from dataclasses import replace
from datetime import datetime

from headgate.core.dispatch import Lane
from headgate.schema.states import StateCreate, StateType
from headgate.services import key_collisions, slots
from headgate.services.scope import Scope
from headgate.services.states import Proposal, propose_all
from headgate.store import claims as rows
from headgate.store.database import Tx

_PAGE = 500


async def tick(scope: Scope) -> int:
    """Cancel all that collide."""
    deployments = await scope.store.read(lambda tx: _unqueued(tx, scope.now))
    return sum([await _cancel(scope, *each) for each in deployments]) + await key_collisions.settle(scope)


async def _unqueued(tx: Tx, now: datetime) -> list[tuple[Lane, str]]:
    """Deployments that let no run wait for a slot, each with the limit that it has or shares, and what is counted."""
    found = await rows.unqueued(tx)
    ids = {shared for _, shared in found if shared}
    limits = await slots.shared(tx, ids, now=now) if ids else {}
    lanes = {id: lane for id, limit in limits.items() if (lane := slots.lane_of(limit)) is not None}
    own = [(lane, "runs are in progress") for lane, shared in found if not shared]
    return own + [(replace(lanes[shared], id=lane.id), "slots are taken") for lane, shared in found if shared in lanes]


async def _cancel(scope: Scope, deployment: Lane, what: str) -> int:
    """Cancel the runs of one deployment for which no slot is left, a page at a time; what has moved on meanwhile stays."""
    message = f"Deployment concurrency limit reached: {deployment.used} of {deployment.limit} {what}."
    state = StateCreate(type=StateType.CANCELLED, message=message)
    cancelled = 0
    while True:
        now = scope.now
        found = await scope.store.read(lambda tx, now=now: rows.colliding(tx, deployment, now=now, limit=_PAGE))  # type: ignore[misc]
        proposals = [Proposal(id, state, now, from_name=name) for id, name in found]
        count = await propose_all(scope, proposals)
        cancelled += count
        if len(found) < _PAGE or not count:
            return cancelled
