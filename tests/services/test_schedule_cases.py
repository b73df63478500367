"""What users of work pools reported about schedules, reproduced under the number of the report."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from world import World, cron, every

from headgate.schema.deployments import Deployment, DeploymentScheduleCreate
from headgate.schema.schedules import Schedule
from headgate.services.loops import late, scheduler


async def deploy(world: World, schedule: Schedule, **fields: object) -> Deployment:
    return await world.deploy(schedules=[DeploymentScheduleCreate(schedule=schedule, slug="default")], **fields)


async def dates(world: World, deployment: Deployment, zone: str) -> list[datetime]:
    """When the runs of a deployment were to start, as a clock of the zone shows it."""
    runs = await world.runs_of(deployment)
    return [
        run.expected_start_time.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for run in runs if run.expected_start_time
    ]


async def test_17764_a_redeploy_keeps_runs_that_are_late_or_wait_for_a_slot(world: World) -> None:
    """Every ten seconds, and no worker for a minute: what piled up is still there after the next deploy, and is run."""
    await world.pool()
    schedule = every(10, world.now)
    it = await deploy(world, schedule, concurrency_limit=1)
    for _ in range(6):
        world.clock.advance(seconds=10)
        await scheduler.tick(world.scope)
    world.clock.advance(seconds=5)
    await late.tick(world.scope)
    waiting = [run for run in await world.runs_of(it) if run.state_name == "Late"]
    first, second, *_ = waiting
    await world.accepted(first, "PENDING", "RUNNING")
    await world.propose(second, "PENDING")
    assert (await world.get(second)).state_name == "AwaitingConcurrencySlot"
    await deploy(world, schedule, concurrency_limit=1)
    assert {run.id for run in waiting} <= {run.id for run in await world.runs_of(it)}
    done = [first.id]
    await world.accepted(first, "COMPLETED")
    world.clock.advance(seconds=60)
    while len(done) < len(waiting):
        (grant,) = await world.grants()
        await world.accepted(grant, "RUNNING", "COMPLETED")
        done.append(grant.flow_run.id)
    assert set(done) == {run.id for run in waiting}


@pytest.mark.parametrize(
    ("zone", "end"), [("America/New_York", datetime(2026, 11, 1)), ("Europe/London", datetime(2026, 10, 25))]
)
@pytest.mark.parametrize("text", ["0 0 * * *", "30 1 * * *", "0 6 * * *", "0 */4 * * *"])
async def test_7461_the_end_of_summer_time_doubles_no_run(world: World, zone: str, end: datetime, text: str) -> None:
    """Runs made ahead in summer time, and a scheduler that looks every 20 minutes until two days after its end."""
    await world.pool()
    world.clock.time = (end - timedelta(days=2)).replace(hour=9, tzinfo=UTC)
    begin = world.now.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    it = await deploy(world, cron(text, zone))
    for _ in range(3 * 24 * 4):
        world.clock.advance(minutes=20)
        await scheduler.tick(world.scope)
    found = await dates(world, it, zone)
    hours = range(0, 24, 4) if "*/4" in text else [int(text.split()[1])]
    minute = int(text.split()[0])
    days = [(begin + timedelta(days=day)).replace(minute=minute, second=0) for day in range(8)]
    wanted = [each for day in days for hour in hours if (each := day.replace(hour=hour)) > begin]
    assert found == wanted[: len(found)]
    assert len(found) > 3 * len(hours)


async def test_22455_a_rule_without_a_start_misses_nothing_on_the_day_of_its_deploy(world: World) -> None:
    """Deployed and deployed again in the morning of Chicago: what its hours name comes on that very day, by that clock."""
    await world.pool()
    rule = Schedule(rrule="FREQ=MINUTELY;INTERVAL=30;BYHOUR=9,10,11,12", timezone="America/Chicago")
    world.clock.time = datetime(2026, 7, 8, 13, 40, tzinfo=UTC)  # 08:40 there
    it = await deploy(world, rule)
    world.clock.time = datetime(2026, 7, 8, 13, 54, tzinfo=UTC)
    await deploy(world, rule)
    for _ in range(4):
        world.clock.advance(hours=1)
        await scheduler.tick(world.scope)
    day = [time for time in await dates(world, it, "America/Chicago") if time.day == 8]
    assert day == [datetime(2026, 7, 8, hour, minute) for hour in (9, 10, 11, 12) for minute in (0, 30)]
