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

import pytest

from headgate.client.calls import deployments, flow_runs, flows, logs, work_pools, workers
from headgate.client.client import AsyncClient
from headgate.client.connect import connect_async
from headgate.schema.deployments import DeploymentCreate
from headgate.schema.filters import IdFilter, LogFilter, LogQuery
from headgate.schema.flow_runs import DeploymentFlowRunCreate, FlowRun, FlowRunPolicy
from headgate.schema.flows import FlowCreate
from headgate.schema.states import SetState, StateCreate, StateDetails, StateType
from headgate.schema.work_pools import WorkPoolCreate, WorkPoolUpdate
from headgate.settings import Settings
from headgate.worker.infra.process import ProcessInfrastructure
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
    code = "from headgate.server import serve; from headgate.settings import load; serve(load().settings)"
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
        self.working: dict[Worker, asyncio.Task[None]] = {}

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


async def test_cancel_stops_flow_and_command(town: Town) -> None:
    town.work()
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


async def test_drain_gives_claims_back_and_another_worker_takes_them(town: Town) -> None:
    id = await town.create_run(await town.deploy("wait", command="true"), due_in=2.0)
    first = town.work(name="first")
    await town.until(id, lambda run: run.state_type is StateType.PENDING)
    first.drain()
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
