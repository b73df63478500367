"""Cancellations: ends what cancelled runs left behind, and cancellations that nobody carries out.

A run that was cancelled cannot end what went on within it: its process is gone. A flow run within it that has a deployment
has a process of its own and is told to stop; others, and task runs, ran in the process that is gone. What is in turn within
those follows in the next pass.

A run that is being cancelled and that somebody holds is the lifeline's. Clients that poll hold no lease: when their
worker is gone, nobody reports that the run has stopped, and it would keep its slots for ever.
"""

import asyncio
from datetime import datetime, timedelta

from headgate.errors import NotFound
from headgate.schema.states import SetState, StateCreate, StateType
from headgate.services import task_states
from headgate.services.scope import Scope
from headgate.services.states import Proposal, propose_all
from headgate.store import cancellations as rows
from headgate.store.cancellations import LiveRun

_PAGE = 200
_AT_FIRST = timedelta(days=1)
_SLACK = timedelta(minutes=1)
"""How far before the last pass the next one looks: what ended then may have been committed after it, and task runs of
existing clients are known from reports that come a little late."""

_LEFT = "The run that it belongs to was cancelled."
_OVERDUE = "Nobody told in time that the run has stopped; it counts as stopped."


class Cancellations:
    """Remembers when it looked last; the first pass goes a day back."""

    def __init__(self) -> None:
        self._last: datetime | None = None

    async def tick(self, scope: Scope) -> int:
        """End all that was left behind, and what is overdue."""
        now = scope.now
        since = now - _AT_FIRST if self._last is None else self._last - _SLACK
        ended = await _end_children(scope, since) + await _end_tasks(scope, since) + await _end_overdue(scope)
        self._last = now  # only now: what failed is looked at again
        return ended


async def _end_children(scope: Scope, since: datetime) -> int:
    ended = 0
    while True:
        found = await scope.store.read(lambda tx: rows.live_children(tx, since=since, limit=_PAGE))
        count = await propose_all(scope, [_stop(run, scope.now) for run in found])
        ended += count
        if len(found) < _PAGE or not count:
            return ended


def _stop(run: LiveRun, now: datetime) -> Proposal:
    kind = StateType.CANCELLING if run.deployed else StateType.CANCELLED
    return Proposal(run.id, StateCreate(type=kind, message=_LEFT), now, from_state=run.state_id)


async def _end_tasks(scope: Scope, since: datetime) -> int:
    body = SetState(state=StateCreate(type=StateType.CANCELLED, message=_LEFT), force=True)
    ended = 0
    while True:
        found = await scope.store.read(lambda tx: rows.live_tasks(tx, since=since, limit=_PAGE))
        answers = await asyncio.gather(*(task_states.set_state(scope, id, body) for id in found), return_exceptions=True)
        for each in answers:
            if isinstance(each, BaseException) and not isinstance(each, NotFound):
                raise each
        ended += len(found)
        if len(found) < _PAGE:
            return ended


async def _end_overdue(scope: Scope) -> int:
    state = StateCreate(type=StateType.CANCELLED, message=_OVERDUE)
    timeout = timedelta(seconds=scope.settings.server_services_cancellation_cleanup_cancelling_timeout_seconds)
    ended = 0
    while True:
        now = scope.now
        found = await scope.store.read(lambda tx, now=now: rows.overdue(tx, before=now - timeout, limit=_PAGE))  # type: ignore[misc]
        count = await propose_all(scope, [Proposal(run.id, state, now, from_state=run.state_id) for run in found])
        ended += count
        if len(found) < _PAGE or not count:
            return ended
