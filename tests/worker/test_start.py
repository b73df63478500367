"""`run_worker` joins the right pool, says what it does in the documented words, and obeys signals."""

import asyncio
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import structs

from headgate.client.client import AsyncClient
from headgate.errors import ConfigError, NotFound, Unreachable
from headgate.settings import Settings
from headgate.worker.start import run_worker, start_worker


@pytest.fixture
def start(api: Any, settings: Settings) -> Any:
    """`start(said, pool=…)`: a worker on the fake API."""

    async def start(said: list[str], **options: Any) -> int:
        client = AsyncClient(api, patience=0.0)
        return await start_worker(settings, client=client, say=said.append, **{"pool": "pool", **options})

    return start


async def test_the_type_is_discovered_from_the_pool(api: Any, start: Any) -> None:
    said: list[str] = []
    assert await start(said, run_once=True) == 0
    assert said[0] == "Discovered worker type 'process' for work pool 'pool'."
    assert said[1].startswith("Worker 'ProcessWorker ")
    assert said[1].endswith("' started!")
    assert len(said[1].split("'")[1]) == len("ProcessWorker 65716280-96f8-420b-9300-7e94417f2673")
    assert api.claims[0].worker == said[1].split("'")[1]
    assert api.closed


async def test_with_a_type_a_missing_pool_is_created(api: Any, start: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    said: list[str] = []
    assert await start(said, pool="new", type="process", name="n", run_once=True) == 0
    assert said[0] == "Worker 'n' started!"
    assert ("headgate.worker.process.n", "Worker pool 'new' created.") in [
        (record.name, record.getMessage()) for record in caplog.records
    ]
    assert api.pools["new"].type == "process"
    assert "stream_output" in api.pools["new"].base_job_template["variables"]["properties"]


async def test_the_documents_two_starts(api: Any, start: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Of a pool that is there, and, with a type, of one that is not."""
    caplog.set_level("INFO")
    api.add_pool("my-pool")
    for given, discovered in (
        ({}, ["Discovered worker type 'process' for work pool 'my-pool'."]),
        ({"type": "process"}, []),
    ):
        said: list[str] = []
        await start(said, pool="my-pool", run_once=True, **given)
        assert said[:-2] == discovered
        started = re.fullmatch(r"Worker 'ProcessWorker ([0-9a-f-]{36})' started!", said[-2])
        assert started is not None
        created = f"headgate.worker.process.processworker {started[1]}", "Worker pool 'my-pool' created."
        logged = [(record.name, record.getMessage()) for record in caplog.records]
        assert (created in logged) is bool(given)
        del api.pools["my-pool"]


async def test_without_a_type_a_missing_pool_is_an_error_that_names_the_others(api: Any, start: Any) -> None:
    with pytest.raises(NotFound, match=r"'new' does not exist; pools: 'pool'\. Add `--type process`"):
        await start([], pool="new")


async def test_types_must_match(api: Any, start: Any) -> None:
    api.add_pool("k8s", type="kubernetes")
    with pytest.raises(ConfigError, match="'k8s' is of type 'kubernetes', the worker of type 'process'"):
        await start([], pool="k8s", type="process")
    with pytest.raises(ConfigError, match="There is no worker type 'kubernetes' here; installed: process"):
        await start([], pool="k8s")


async def test_pools_of_agents_are_refused_with_advice(api: Any, start: Any) -> None:
    api.add_pool("agents", type="prefect-agent")
    for type in (None, "process"):
        with pytest.raises(
            ConfigError, match=r"not workers\. Start an agent: `headgate agent start -p '\w+'`; or create a pool"
        ):
            await start([], pool="agents", type=type)
    with pytest.raises(ConfigError, match="which agents poll"):
        await start([], pool="new", type="prefect-agent")


async def test_two_workers_may_create_the_pool_at_once(api: Any, start: Any) -> None:
    results = await asyncio.gather(*(start([], pool="new", type="process", run_once=True) for _ in range(3)))
    assert results == [0, 0, 0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_drains_and_a_second_one_halts(api: Any, start: Any, number: int) -> None:
    run = api.add_run(engine="import time; time.sleep(60)")
    said: list[str] = []
    task = asyncio.create_task(start(said, name="n"))
    await api.until_held(run)
    os.kill(os.getpid(), number)
    claims = len(api.claims)
    beats = len(api.renewals)
    await api.until(lambda: len(api.renewals) > beats + 2)
    assert len(api.claims) == claims
    assert not task.done()
    os.kill(os.getpid(), number)
    async with asyncio.timeout(10):
        assert await task == 0
    assert run.types[-1] == "CRASHED"
    assert said[-1] == "Worker 'n' stopped."
    assert signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler)


async def test_a_signal_that_comes_with_the_first_answer_is_obeyed(
    api: Any, start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no worker yet that could be told."""
    get_pool = api._get_pool

    async def get_pool_and_signal(*arguments: Any) -> Any:
        answer = await get_pool(*arguments)
        os.kill(os.getpid(), signal.SIGTERM)
        return answer

    monkeypatch.setattr(api, "_get_pool", get_pool_and_signal)
    async with asyncio.timeout(10):
        assert await start([]) == 0
    assert api.claims == []


async def test_it_waits_for_an_api_that_is_not_up_yet(api: Any, start: Any) -> None:
    api.away = True
    said: list[str] = []
    task = asyncio.create_task(start(said, run_once=True))
    await api.until(lambda: len(api.requests) >= 2)
    assert said == []
    api.away = False
    async with asyncio.timeout(10):
        assert await task == 0
    assert api.claims


@pytest.mark.parametrize("bound", [0.0, 0.01])
async def test_it_says_that_it_waits_for_an_api_that_is_not_there_and_for_how_long(
    api: Any, settings: Settings, caplog: pytest.LogCaptureFixture, bound: float
) -> None:
    """#16977: for ever by default; bounded, it ends with the reason."""
    api.away = True
    settings = structs.replace(settings, worker_wait_for_api_seconds=bound)
    if bound:
        with pytest.raises(Unreachable, match="No answer from the API"):
            await start_worker(settings, pool="pool", client=AsyncClient(api, patience=0.0))
    else:
        task = asyncio.create_task(start_worker(settings, pool="pool", client=AsyncClient(api, patience=0.0), run_once=True))
        await api.until(lambda: len(api.requests) >= 2)
        api.away = False
        async with asyncio.timeout(10):
            assert await task == 0
    until = "0.01 s have passed" if bound else "it is there"
    assert f"The API is not there; it is waited for until {until}. No answer from the API at fake: away." in caplog.text


async def test_it_can_be_stopped_while_it_waits_for_the_api(api: Any, start: Any) -> None:
    api.away = True
    task = asyncio.create_task(start([]))
    await api.until(lambda: len(api.requests) >= 2)
    os.kill(os.getpid(), signal.SIGTERM)
    async with asyncio.timeout(2):
        assert await task == 0


def test_senseless_options_are_refused(settings: Settings) -> None:
    with pytest.raises(ConfigError, match="limit is at least 1, not 0"):
        run_worker(settings, pool="pool", limit=0)
    with pytest.raises(ConfigError, match="'a/b' cannot be a worker's name"):
        run_worker(settings, pool="pool", name="a/b")
    with pytest.raises(ConfigError, match="HEADGATE_LOGGING_LEVEL='LOUD' is none of"):
        run_worker(msgspec.structs.replace(settings, logging_level="LOUD"), pool="pool")


PROGRAM = """
import sys
from headgate.settings import load
from headgate.worker.start import run_worker
sys.exit(run_worker(load().settings, pool="pool", type="process", name="n"))
"""


async def test_a_worker_process_without_a_url_starts_and_leaves_on_sigterm(tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("HEADGATE_", "PREFECT_"))}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, env=env | {"HEADGATE_HOME": str(tmp_path)}, stdout=PIPE, stderr=PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    async with asyncio.timeout(30):
        assert await process.stdout.readline() == b"Worker 'n' started!\n"
        created = (await process.stderr.readline()).decode()
        process.terminate()
        rest, errors = await process.communicate()
    line = r"\d\d:\d\d:\d\d\.\d{3} \| INFO    \| headgate\.worker\.process\.n - Worker pool 'pool' created\.\n"
    assert re.fullmatch(line, created)
    assert (rest, errors, process.returncode) == (b"Worker 'n' stopped.\n", b"", 0)
