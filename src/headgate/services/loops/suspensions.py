"""Suspensions: fails paused runs that nobody resumed in time. Their processes may be gone, and would not do it."""

from uuid import UUID

from headgate.schema.states import StateCreate, StateType
from headgate.services.scope import Scope
from headgate.services.states import Proposal, propose_all
from headgate.store import suspensions as rows

_PAGE = 500


async def tick(scope: Scope) -> int:
    """Fail all whose time is up, a page at a time."""
    state = StateCreate(type=StateType.FAILED, message="The flow was paused and never resumed.")
    failed, after = 0, UUID(int=0)
    while True:
        now = scope.now
        page = await scope.store.read(lambda tx, after=after: rows.paused(tx, after=after, limit=_PAGE))  # type: ignore[misc]
        over = [run for run in page if run.until is not None and run.until < now]
        failed += await propose_all(scope, [Proposal(run.id, state, now, from_state=run.state_id) for run in over])
        if len(page) < _PAGE:
            return failed
        after = page[-1].id
