"""Workers and engines with the real app: in this process on a shared SQLite file, and over HTTP."""

import asyncio
import os
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest

from headgate.client.calls import agents, deployments, flow_runs, flows, logs, secrets, variables, work_pools, workers
from headgate.client.client import AsyncClient
from headgate.client.connect import connect_async
from headgate.errors import NotFound
from headgate.schema.deployments import DeploymentCreate, InfraRetries
from headgate.schema.filters import IdFilter, LogFilter, LogQuery
from headgate.schema.flow_runs import DeploymentFlowRunCreate, FlowRun, FlowRunPolicy
from headgate.schema.flows import FlowCreate
from headgate.schema.secrets import SecretCreate
from headgate.schema.states import CrashReason, SetState, StateCreate, StateDetails, StateType
from headgate.schema.variables import VariableCreate
from headgate.schema.work_pools import WorkPoolCreate, WorkPoolUpdate
from headgate.settings import Settings
from headgate.worker.agent import Agent, Poll
from headgate.worker.holder import Holder
from headgate.worker.infra.process import ProcessInfrastructure
from headgate.worker.types import WorkerType
from headgate.worker.worker import Worker

FLOWS = """
import os
import time

from headgate import flow, get_run_logger


@flow
def good(n: int = 1):
    get_run_logger().info("n is %d", n)


@flow
def bad():
    raise ValueError("on purpose")


@flow
def long():
    get_run_logger().info("long began")
    time.sleep(60)


@flow
def dies():
    os.kill(os.getpid(), 9)
"""


@pytest.fixture(scope="module")
def http_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server process on a free port."""
    home = tmp_path_factory.mktemp("server")
    code = "from headgate.serving import serve; from headgate.settings import load; serve(load().settings)"
    env = os.environ | {"HEADGATE_HOME": str(home), "HEADGATE_SERVER_API_PORT": "0"}
    with subprocess.Popen([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        line = next(line for line in server.stdout if line.split()[0] == "API")
        yield line.split()[1]
        server.terminate()


@pytest.fixture(params=["in-process", "http", "http, cold"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    url = None if request.param == "in-process" else request.getfixturevalue("http_url")
    return Settings(
        home=str(tmp_path / "home"),
        api_url=url,
        worker_warm_processes=not request.param.endswith("cold"),
        worker_heartbeat_seconds=0.2,
        worker_query_seconds=5.0,
        worker_cancel_grace_seconds=5.0,
        logging_to_api_batch_interval=0.1,
    )


class Town:
    """A client with a pool of its own, a deployed file of flows, and a worker."""

    def __init__(self, client: AsyncClient, settings: Settings, directory: Path) -> None:
        self.client = client
        self.settings = settings
        self.directory = directory
        self.pool = f"pool-{os.urandom(4).hex()}"
        self.working: dict[Holder, asyncio.Task[None]] = {}

    async def deploy(self, name: str, **fields: Any) -> UUID:
        """A deployment of the flow of that name, or of a `command`."""
        flow = await self.client.send(flows.create(FlowCreate(name=name)))
        if "command" not in fields:
            fields["entrypoint"] = f"flows.py:{name}"
        body = DeploymentCreate(
            name=self.pool, flow_id=flow.id, work_pool_name=self.pool, path=str(self.directory), **fields
        )
        return (await self.client.send(deployments.create(body))).id

    async def create_run(self, deployment: UUID, *, due_in: float = 0.0, **fields: Any) -> UUID:
        details = StateDetails(scheduled_time=datetime.now(UTC) + timedelta(seconds=due_in))
        state = StateCreate(type=StateType.SCHEDULED, state_details=details)
        body = DeploymentFlowRunCreate(state=state, **fields)
        return (await self.client.send(deployments.create_flow_run(deployment, body))).id

    def work(self, *, once: bool = False, name: str = "w", **options: Any) -> Worker:
        worker = Worker(
            pool=self.pool,
            infrastructure=ProcessInfrastructure(self.settings),
            client=self.client,
            settings=self.settings,
            name=name,
            **options,
        )
        self.working[worker] = asyncio.create_task(worker.run(once=once))
        return worker

    def work_as_agent(self) -> Agent:
        types: dict[str, WorkerType] = {"process": ProcessInfrastructure()}
        agent = Agent(poll=Poll(self.pool), types=types, client=self.client, settings=self.settings)
        self.working[agent] = asyncio.create_task(agent.run())
        return agent

    async def until(self, id: UUID, condition: Callable[[FlowRun], Any], seconds: float = 20.0) -> FlowRun:
        async with asyncio.timeout(seconds):
            while not condition(run := await self.client.send(flow_runs.get(id))):  # noqa: ASYNC110 - the API is polled
                await asyncio.sleep(0.02)
            return run

    async def ended(self, id: UUID) -> FlowRun:
        final = (StateType.COMPLETED, StateType.FAILED, StateType.CRASHED, StateType.CANCELLED)
        return await self.until(id, lambda run: run.state_type in final)

    async def messages(self, id: UUID) -> list[str]:
        query = LogQuery(logs=LogFilter(flow_run_id=IdFilter(any_=[id])))
        return [line.message for line in await self.client.send(logs.query(query))]


@pytest.fixture
async def town(settings: Settings, tmp_path: Path) -> AsyncIterator[Town]:
    (tmp_path / "flows.py").write_text(textwrap.dedent(FLOWS))
    async with connect_async(settings, patience=0.0) as client:
        town = Town(client, settings, tmp_path)
        template = ProcessInfrastructure().default_base_job_template()
        await client.send(work_pools.create(WorkPoolCreate(name=town.pool, type="process", base_job_template=template)))
        yield town
        for worker, task in town.working.items():
            worker.halt()
            async with asyncio.timeout(20):
                await task


async def test_a_flow_completes_with_its_logs(town: Town) -> None:
    town.work()
    id = await town.create_run(await town.deploy("good"), parameters={"n": 5})
    run = await town.ended(id)
    assert (run.state_type, run.run_count) == (StateType.COMPLETED, 1)
    assert run.infrastructure_pid is not None
    messages = await town.messages(id)
    assert "n is 5" in messages
    online = await town.client.send(workers.query(town.pool))
    assert [(worker.name, worker.status) for worker in online] == [("w", "ONLINE")]


async def test_a_failing_flow_stays_failed_with_its_traceback(town: Town) -> None:
    town.work()
    id = await town.create_run(await town.deploy("bad"))
    run = await town.ended(id)
    assert run.state_type is StateType.FAILED
    assert any("ValueError: on purpose" in message for message in await town.messages(id))


async def test_a_run_is_launched_with_what_it_refers_to_and_nothing_else_shows_a_secret(town: Town, tmp_path: Path) -> None:
    """A flow and a command get a variable and a secret by reference; one that refers to nothing crashes and says so."""
    unique = town.pool.removeprefix("pool-")
    await town.client.send(variables.create(VariableCreate(name=f"region-{unique}", value="eu")))
    await town.client.send(secrets.create(SecretCreate(name=f"token-{unique}", value="s3cret-value")))
    told = tmp_path / "told"
    env = {
        "TOKEN": f"{{{{ prefect.blocks.secret.token-{unique} }}}}",
        "REGION": f"in {{{{ headgate.variables.region-{unique} }}}}",
    }
    deployment = await town.deploy(
        "refers", command=f"sh -c 'echo $REGION $TOKEN; printf %s $TOKEN > {told}'", job_variables={"env": env}
    )
    town.work()
    run = await town.ended(await town.create_run(deployment))
    assert run.state_type is StateType.COMPLETED
    assert told.read_text() == "s3cret-value"
    assert "in eu ********" in await town.messages(run.id)
    lost = await town.ended(await town.create_run(deployment, job_variables={"env": {"A": "{{ headgate.secrets.lost }}"}}))
    assert lost.state_type is StateType.CRASHED
    assert lost.state is not None
    assert "/job_variables/env/A, cannot be resolved: there is no secret 'lost'" in str(lost.state.message)


async def test_an_engine_that_is_killed_is_crashed_with_its_cause(town: Town) -> None:
    town.work()
    run = await town.ended(await town.create_run(await town.deploy("dies")))
    assert run.state_type is StateType.CRASHED
    assert run.state is not None
    assert "killed (SIGKILL), often out of memory" in str(run.state.message)


async def test_a_prefetched_flow_starts_at_its_time(town: Town) -> None:
    town.work()
    run = await town.ended(await town.create_run(await town.deploy("good"), due_in=3.0))
    assert run.state_type is StateType.COMPLETED
    assert run.start_time is not None
    assert run.expected_start_time is not None
    assert timedelta(0) <= run.start_time - run.expected_start_time < timedelta(seconds=0.5)


@pytest.mark.parametrize("holder", [Town.work, Town.work_as_agent], ids=["worker", "agent"])
async def test_cancel_stops_flow_and_command(town: Town, holder: Callable[[Town], Holder]) -> None:
    holder(town)
    command = f"{sys.executable} -c 'import time; time.sleep(60)'"
    ids = [
        await town.create_run(await town.deploy("long")),
        await town.create_run(await town.deploy("sleep", command=command)),
    ]
    for id in ids:
        await town.until(id, lambda run: run.state_type is StateType.RUNNING and run.infrastructure_pid)
        await town.client.send(flow_runs.set_state(id, SetState(state=StateCreate(type=StateType.CANCELLING))))
    for id in ids:
        assert (await town.ended(id)).state_type is StateType.CANCELLED


async def test_a_command_reports_retries_and_logs(town: Town, tmp_path: Path) -> None:
    script = f"import os, sys; p = '{tmp_path}/once'; seen = os.path.exists(p); open(p, 'w').close(); print('seen', seen)"
    (tmp_path / "script.py").write_text(script + "; sys.exit(not seen)")
    deployment = await town.deploy("cmd", command=f"{sys.executable} script.py")
    id = await town.create_run(deployment, empirical_policy=FlowRunPolicy(retries=1, retry_delay=0))
    town.work()
    run = await town.ended(id)
    assert (run.state_type, run.run_count, run.fence) == (StateType.COMPLETED, 2, 1)
    messages = await town.messages(id)
    assert ("seen False" in messages, "seen True" in messages) == (True, True)


async def test_two_workers_never_run_the_same_run(town: Town, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    command = f"{sys.executable} -c 'import os, sys; open(sys.argv[1] + str(os.getpid()), chr(120))' {out}/{{{{ n }}}}-"
    deployment = await town.deploy("many", command=command)
    ids = [await town.create_run(deployment, parameters={"n": n}) for n in range(20)]
    for name in ("a", "b"):
        town.work(name=name, limit=2)
    assert {(await town.ended(id)).state_type for id in ids} == {StateType.COMPLETED}
    assert sorted(int(file.name.split("-")[0]) for file in out.iterdir()) == list(range(20))


async def test_an_agent_is_listed_until_it_leaves(town: Town) -> None:
    agent = town.work_as_agent()
    run = await town.ended(await town.create_run(await town.deploy("good")))
    assert run.state_type is StateType.COMPLETED
    known = await town.client.send(agents.get(agent.id))
    assert (known.name, known.work_pool_name, known.status) == (agent.name, town.pool, "ONLINE")
    agent.stop()
    async with asyncio.timeout(10):
        await town.working[agent]
    with pytest.raises(NotFound):
        await town.client.send(agents.get(agent.id))


async def test_a_worker_that_is_told_to_drain_hears_of_it_at_once(town: Town) -> None:
    """By its open call: its next heartbeat would be far away."""
    far = msgspec.structs.replace(town.settings, worker_heartbeat_seconds=600.0, worker_query_seconds=30.0)
    town.settings = far
    worker = town.work()
    await town.ended(await town.create_run(await town.deploy("quick", command="true")))
    await town.client.send(workers.drain(town.pool, "w"))
    async with asyncio.timeout(5):
        await town.working[worker]


async def test_drain_gives_claims_back_and_another_worker_takes_them(town: Town) -> None:
    id = await town.create_run(await town.deploy("wait", command="true"), due_in=2.0)
    first = town.work(name="first")
    await town.until(id, lambda run: run.state_type is StateType.PENDING)
    first.stop()
    await town.until(id, lambda run: run.state_type is StateType.SCHEDULED)
    town.work(name="second")
    run = await town.ended(id)
    assert (run.state_type, run.run_count) == (StateType.COMPLETED, 1)


async def test_a_paused_pool_delivers_nothing_until_it_is_resumed(town: Town) -> None:
    await town.client.send(work_pools.update(town.pool, WorkPoolUpdate(is_paused=True)))
    id = await town.create_run(await town.deploy("good"))
    town.work(once=True)
    await asyncio.gather(*town.working.values())
    assert (await town.client.send(flow_runs.get(id))).state_type is StateType.SCHEDULED
    town.working.clear()
    town.work()
    await town.client.send(work_pools.update(town.pool, WorkPoolUpdate(is_paused=False)))
    assert (await town.ended(id)).state_type is StateType.COMPLETED


async def test_a_run_that_lost_its_infrastructure_is_given_other(town: Town) -> None:
    """As its deployment says: killed, it waits to be claimed anew; and the crash stands once the policy is used up."""
    policy = InfraRetries(max=1, delay_seconds=0)
    deployment = await town.deploy("dies", infra_retries=policy)
    town.work()
    run = await town.ended(await town.create_run(deployment))
    assert (run.state_name, run.run_count) == ("Crashed", 2)
    history = [state.name for state in await town.client.send(flow_runs.get_states(run.id))]
    assert history.count("AwaitingInfraRetry") == 1
    assert run.state
    assert run.state.state_details.crash_reason is CrashReason.OUT_OF_MEMORY


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"command": "no-such-program"}, CrashReason.LAUNCH_ERROR),
        ({"command": "sh -c 'kill -TERM $$'"}, CrashReason.PREEMPTED),
        ({"command": "sh -c 'kill -KILL $$'"}, CrashReason.OUT_OF_MEMORY),
        ({"command": "sh -c 'kill -SEGV $$'"}, CrashReason.OTHER),
    ],
)
async def test_a_crash_tells_its_reason(town: Town, fields: dict[str, Any], reason: CrashReason) -> None:
    town.work()
    run = await town.ended(await town.create_run(await town.deploy("crashes", **fields)))
    assert run.state
    assert (run.state_type, run.state.state_details.crash_reason) == (StateType.CRASHED, reason)


async def test_a_command_that_was_killed_does_not_wait_at_its_worker(town: Town) -> None:
    """Its next attempt is anybody's: this worker is free meanwhile, and takes it as it takes any other run."""
    policy = InfraRetries(max=2, delay_seconds=0)
    deployment = await town.deploy("killed", command="sh -c 'kill -KILL $$'", infra_retries=policy)
    town.work(limit=1)
    run = await town.ended(await town.create_run(deployment))
    assert (run.state_name, run.run_count, run.fence) == ("Crashed", 3, 5)
