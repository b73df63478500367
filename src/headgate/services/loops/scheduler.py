"""The scheduler: keeps runs ahead for every active schedule. Several may run at once: a fire time has one run."""

from collections.abc import Sequence
from uuid import UUID

from headgate.services.scheduling import materialise
from headgate.services.scope import Scope
from headgate.services.wakeups import place_of_new
from headgate.store import deployment_schedules as rows
from headgate.store import deployments as deployment_rows
from headgate.store.database import Tx
from headgate.store.deployment_schedules import ActiveSchedule

_PAGE = 100


async def tick(scope: Scope) -> int:
    """Make the missing runs of all active schedules, a page of schedules per transaction."""
    made, after = 0, UUID(int=0)
    while page := await scope.store.read(lambda tx, after=after: rows.active(tx, after=after, limit=_PAGE)):  # type: ignore[misc]
        made += await _schedule(scope, page)
        after = page[-1].id
    return made


async def _schedule(scope: Scope, page: Sequence[ActiveSchedule]) -> int:
    ids, chosen = sorted({schedule.deployment_id for schedule in page}), {schedule.id for schedule in page}

    async def unit(tx: Tx) -> tuple[int, list[UUID]]:
        # Read again, under the lock of those who change them: what was changed meanwhile makes no runs of its old kind.
        await deployment_rows.lock(tx, ids)
        deployments = await deployment_rows.get_many(tx, ids, now=scope.now)
        made, places = 0, []
        for deployment in sorted(deployments.values(), key=lambda each: each.id):
            active = await rows.active_of_deployment(tx, deployment.id)
            if count := await materialise(scope, tx, deployment, [each for each in active if each.id in chosen]):
                made += count
                places.append(place_of_new(deployment))
        return made, places

    made, places = await scope.store.write(unit)
    scope.wakeups.wake(places)
    return made
