"""One order of runs, wherever it stands: in the statements, the walk through queues, the decision, and what is told."""

import random
from uuid import UUID

import pytest
from world import World, ids

from headgate.core.dispatch import Candidate, Lane, Snapshot, dispatch
from headgate.schema.flow_runs import FlowRun
from headgate.services import explanations

QUEUES = ("low", "high", "middle")
RUNS = 45
"""More of each queue and priority than a claim for one run looks at."""


@pytest.fixture(params=[1, 2])
async def ordered(world: World, request: pytest.FixtureRequest) -> list[FlowRun]:
    """Runs of three queues in the order of the documents: queue priority, run priority (higher first), due time, id."""
    dice = random.Random(request.param)
    await world.pool()
    await world.claim(0)
    places = dict(zip(QUEUES, dice.sample([2, 3, 4], 3), strict=True))
    for name, priority in sorted(places.items(), key=lambda item: item[1]):
        await world.queue(name, priority=priority)
    found: list[tuple[tuple[int, int, float, UUID], FlowRun]] = []
    for name, place in places.items():
        it = await world.deploy(f"of-{name}", work_queue_name=name)
        for _ in range(RUNS // len(QUEUES)):
            priority, due = dice.choice([0, 0, 0, 0, 5]), -float(dice.randint(1, 8))
            run = await world.run(it, due=due, priority=priority)
            found.append(((place, -priority, due, run.id), run))
    await world.claim(0)
    return [run for _, run in sorted(found, key=lambda item: item[0])]


async def test_claims_for_one_run_after_the_other(world: World, ordered: list[FlowRun]) -> None:
    """Each sees only a page of what waits: the statements have to bring the best first."""
    assert [(await world.granted(1))[0] for _ in ordered] == ids(ordered)


@pytest.mark.parametrize("room", [4, 11, 100])
async def test_claims_for_several_runs(world: World, ordered: list[FlowRun], room: int) -> None:
    """Pages hold more than are taken: the decision has to choose the best, and to answer them in their order."""
    granted: list[UUID] = []
    while more := await world.granted(room):
        granted += more
    assert granted == ids(ordered)


@pytest.mark.parametrize("limit", [1, 7, None])
async def test_polls_show_the_same(world: World, ordered: list[FlowRun], limit: int | None) -> None:
    assert ids(each.flow_run for each in await world.poll(limit=limit)) == ids(ordered)[:limit]


async def test_the_decision_on_all_at_once(world: World, ordered: list[FlowRun]) -> None:
    """As it is taken in explanations, over all queues; runs come in any order."""
    sql = "SELECT CAST(priority AS TEXT) FROM {} WHERE id = :id"
    runs = []
    for run in ordered:
        assert run.work_queue_id
        priority = int(await world.value(sql.format("flow_run"), id=run.id))
        due = run.next_scheduled_start_time or world.now
        runs.append(Candidate(run.id, run.work_queue_id, due, run.deployment_id, priority))
    queues = {
        run.queue_id: Lane(run.queue_id, priority=int(await world.value(sql.format("work_queue"), id=run.queue_id)))
        for run in runs
    }
    random.Random(3).shuffle(runs)
    decided = dispatch(Snapshot(Lane(UUID(int=1)), queues, {}, runs, world.now, 20))
    assert [run.id for run in decided.admitted] == ids(ordered)[:20]


async def test_explanations_count_those_ahead(world: World, ordered: list[FlowRun]) -> None:
    """A run's position is its place in that order, and with a limit those in front of it have the slots."""
    positions = [(await explanations.explain(world.scope, run.id)).position for run in ordered]
    assert [position and position.ahead for position in positions] == [*range(len(ordered))]
    await world.change_pool(concurrency_limit=10)
    told = [await explanations.explain(world.scope, run.id) for run in ordered]
    assert [bool(each.gates) for each in told] == [False] * 10 + [True] * (len(ordered) - 10)
