"""What explanations say of runs that no limit holds back: a job that cannot be made, and a start under way."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from world import World

from headgate.core.launch_checks import check_launch
from headgate.errors import Invalid
from headgate.ids import made_at, uuid7
from headgate.schema.claims import Grant
from headgate.schema.deployments import Deployment, InfraRetries
from headgate.schema.explanations import Explanation
from headgate.schema.flow_runs import FlowRun
from headgate.schema.logs import LogCreate
from headgate.schema.secrets import SecretCreate
from headgate.schema.states import CrashReason
from headgate.schema.variables import VariableCreate
from headgate.services import logs, secrets, variables
from headgate.services.explanations import explain

KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


def template(**properties: Any) -> dict[str, Any]:
    job = {name: f"{{{{ {name} }}}}" for name in properties}
    return {"job_configuration": job, "variables": {"type": "object", "properties": properties}}


def closed(template: dict[str, Any]) -> dict[str, Any]:
    return template | {"variables": template["variables"] | {"additionalProperties": False}}


@pytest.fixture
async def it(world: World) -> Deployment:
    """A deployment of a pool that a worker just polled."""
    await world.pool(base_job_template=template(size={}, image={}))
    deployment = await world.deploy(job_variables={"size": 3})
    await world.claim(0)
    return deployment


async def told(world: World, run: FlowRun) -> Explanation:
    return await explain(world.scope, run.id)


async def kinds(world: World, run: FlowRun) -> list[str]:
    return [gate.kind for gate in (await told(world, run)).gates]


# --- template error


@pytest.mark.parametrize(
    ("narrow", "words"),
    [
        (template(size={"type": "string"}, image={}), "job variable /size: 3 is not of type"),
        (template(size={}, image={"type": "string"}), "job variable /image: 7 is not of type"),
        (template(size={}, image={}, region={"default": "{{ headgate.variables.region }}"}), "headgate variable set region"),
    ],
)
async def test_a_job_that_cannot_be_made_names_the_variable_and_what_to_do(
    world: World, it: Deployment, narrow: dict[str, Any], words: str
) -> None:
    """Before the run is claimed, in the words that its worker would crash it with."""
    run = await world.run(it, job_variables={"image": 7})
    assert await kinds(world, run) == []
    await world.change_pool(base_job_template=narrow)
    (gate,) = (found := await told(world, run)).gates
    assert (gate.kind, gate.record_id) == ("template error", it.work_pool_id)
    assert words in gate.message
    assert found.summary.startswith("Its job cannot be made of the template of work pool 'local'")
    [grant] = await world.grants()
    with pytest.raises(Invalid) as refused:
        check_launch(narrow, *grant.layers, references=grant.references, unresolved=grant.unresolved)
    assert str(refused.value).rstrip(".") in gate.message


async def test_a_variable_that_the_template_forbids_is_named_with_those_that_it_knows(world: World, it: Deployment) -> None:
    run = await world.run(it)
    await world.change_pool(base_job_template=closed(template(image={})))
    (gate,) = (await told(world, run)).gates
    assert "'size' is unknown to this work pool; its variables are image" in gate.message
    [grant] = await world.grants()
    with pytest.raises(Invalid, match="size"):
        check_launch(closed(template(image={})), *grant.layers, references={}, unresolved={})


async def test_whoever_set_the_value_is_told_to_mend_it(world: World, it: Deployment) -> None:
    run = await world.run(it, job_variables={"image": 7})
    await world.change_pool(base_job_template=template(size={"type": "string"}, image={}))
    assert (await told(world, run)).gates[0].message.endswith("change it in the deployment's job_variables")
    await world.change_pool(base_job_template=template(size={}, image={"type": "string"}))
    assert (await told(world, run)).gates[0].message.endswith("make the run again with another value")


async def test_a_missing_variable_is_no_gate_any_more_once_it_is_there(world: World, it: Deployment) -> None:
    await world.change_pool(base_job_template=template(size={}, image={"default": "{{ headgate.variables.image }}"}))
    run = await world.run(it)
    assert await kinds(world, run) == ["template error"]
    await variables.create(world.scope, VariableCreate(name="image", value="x"))
    assert await kinds(world, run) == []


async def test_what_a_secret_holds_is_not_told(world: World, it: Deployment, tmp_path: Path) -> None:
    settings = structs.replace(world.scope.settings, home=str(tmp_path), server_encryption_key=KEY)
    town = World(replace(world.scope, settings=settings), world.clock)
    await secrets.create(town.scope, SecretCreate(name="token", value="s3cret"))
    run = await town.run(it, job_variables={"image": "{{ headgate.secrets.token }}"})
    await town.change_pool(base_job_template=template(size={}, image={"type": "string", "maxLength": 2}))
    (gate,) = (await told(town, run)).gates
    assert gate.kind == "template error"
    assert "s3cret" not in gate.message


async def test_it_is_told_after_all_that_holds_the_run_back(world: World, it: Deployment) -> None:
    """And nobody can say when such a run starts."""
    run = await world.run(it, due=60)
    await world.change_pool(base_job_template=template(image={}), is_paused=True)
    found = await told(world, run)
    assert [gate.kind for gate in found.gates] == ["pool paused", "not due", "template error"]
    assert found.summary.startswith("Work pool 'local' is paused")
    assert found.earliest_start is None


async def test_a_pool_without_a_type_is_not_judged(world: World) -> None:
    await world.pool("agents", type="prefect-agent", base_job_template=template(size={"type": "string"}))
    it = await world.deploy(work_pool_name="agents")
    await world.poll("agents")
    assert await kinds(world, await world.run(it)) == []


async def test_a_run_that_crashed_for_its_template_says_so_until_that_is_mended(world: World, it: Deployment) -> None:
    run = await world.run(it)
    await world.change_pool(base_job_template=template(image={}))
    [grant] = await world.grants()
    await world.accepted(grant, "CRASHED", message="job variable 'size' is unknown.")
    found = await told(world, run)
    assert found.summary == "It crashed before its code began: job variable 'size' is unknown."
    assert [gate.kind for gate in found.gates] == ["template error"]
    await world.change_pool(base_job_template=template(size={}))
    assert await kinds(world, run) == []


async def test_a_run_that_is_tried_again_after_its_template_failed_says_both(world: World, it: Deployment) -> None:
    await world.change_deployment(it, infra_retries=InfraRetries(max=2, delay_seconds=40, reasons=[CrashReason.OTHER]))
    run = await world.run(it)
    await world.change_pool(base_job_template=template(image={}))
    [grant] = await world.grants()
    await world.propose(grant, "CRASHED", message="job variable 'size' is unknown.")
    found = await told(world, run)
    assert found.state_name == "AwaitingInfraRetry"
    assert [gate.kind for gate in found.gates] == ["not due", "template error"]


async def test_a_run_that_ran_is_not_judged_by_the_template_of_now(world: World, it: Deployment) -> None:
    run = await world.run(it)
    [grant] = await world.grants()
    await world.accepted(grant, "RUNNING", "CRASHED")
    await world.change_pool(base_job_template=template(image={}))
    assert (found := await told(world, run)).gates == []
    assert found.summary == "It is over: Crashed."


# --- infrastructure pending


async def say(world: World, grant: Grant, message: str) -> None:
    line = LogCreate(name="headgate.worker", level=20, message=message, timestamp=world.now, flow_run_id=grant.flow_run.id)
    await logs.create(world.scope, [line])


async def test_a_run_that_is_being_started_says_by_whom_since_when_and_until_when(world: World, it: Deployment) -> None:
    run = await world.run(it)
    [grant] = await world.grants()
    (gate,) = (found := await told(world, run)).gates
    assert gate.kind == "infrastructure pending"
    assert gate.message == (
        "worker 'w' has been starting its infrastructure since 2026-03-02 09:00:00 UTC; "
        f"its lease is good until {grant.lease.expires_at:%Y-%m-%d %H:%M:%S} UTC"
    )
    assert gate.last_word is None
    assert found.summary == "Worker 'w' has claimed it and starts it."


async def test_what_was_logged_last_is_told_since_the_claim_only(world: World, it: Deployment) -> None:
    run = await world.run(it)
    [grant] = await world.grants()
    await say(world, grant, "Pulling image 'busybox'.")
    world.clock.advance(seconds=2)
    await say(world, grant, "No space left on the device.")
    word = (await told(world, run)).gates[0].last_word
    assert word is not None
    assert (word.name, word.message, word.timestamp) == ("headgate.worker", "No space left on the device.", world.now)
    await world.give_back(grant)
    ahead = made_at(uuid7(world.now)) - world.now  # ids of one process rise, whatever clocks its tests had before
    world.clock.advance(seconds=ahead.total_seconds() + 2)
    await world.grants()
    assert (await told(world, run)).gates[0].last_word is None


async def test_a_lease_that_ended_is_told_and_so_is_that_there_is_none(world: World, it: Deployment) -> None:
    run = await world.run(it)
    [grant] = await world.grants()
    world.clock.advance(seconds=3600)
    assert "its lease ended at" in (await told(world, run)).gates[0].message
    await world.accepted(grant, "RUNNING")
    other = await world.run(it)
    await world.poll()
    await world.accepted(other, "PENDING")
    message = (await told(world, other)).gates[0].message
    assert message.startswith("whoever polled for it has been starting its infrastructure since")
    assert message.endswith("no lease says how long it may take")


async def test_a_run_of_an_agent_names_the_agent(world: World, it: Deployment) -> None:
    run = await world.run(it)
    await world.agent_claim(name="mine", queues=["default"], pool="local")
    found = await told(world, run)
    assert found.holder == "mine"
    assert found.summary == "Agent 'mine' has claimed it and starts it."
    assert found.gates[0].message.startswith("agent 'mine' has been starting")


async def test_a_run_started_ahead_of_its_time_waits_for_it(world: World, it: Deployment) -> None:
    run = await world.run(it, due=8)
    [grant] = await world.grants(prefetch_seconds=10)
    await world.name_process(grant, "host:1")
    due = world.now + timedelta(seconds=8)
    assert f"has started it as host:1, ahead of its time, {due:%Y-%m-%d %H:%M:%S} UTC" in (
        (await told(world, run)).gates[0].message
    )
    world.clock.advance(seconds=9)
    assert "which has not reported since 2026-03-02 09:00:00 UTC" in (await told(world, run)).gates[0].message
