"""An agent is a worker in all but two things: what it polls, and where it sends a run."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from headgate.client.client import AsyncClient
from headgate.errors import ConfigError, Forbidden
from headgate.schema.states import StateCreate, StateType
from headgate.settings import Settings
from headgate.worker.agent import Poll
from headgate.worker.start_agent import WELCOME, run_agent, start_agent

SLEEP = "import time; time.sleep(60)"


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


# --- where a run goes


async def test_a_run_of_an_untyped_pool_is_a_process_unless_it_says_otherwise(api: Any, agent: Any, tmp_path: Path) -> None:
    """With all of a process's variables; a pool without a template takes them by the type's own."""
    print_facts = "import os; print(os.environ['WORD'], os.getcwd())"
    variables = {"env": {"WORD": "here"}, "working_dir": str(tmp_path)}
    plain = api.add_run(pool="agents", engine=print_facts, job_variables=variables)
    named = api.add_run(pool="agents", engine=print_facts, job_variables={"type": "process", **variables})
    working = agent(once=True)
    await working.ended()
    assert working.output == [f"here {tmp_path}"] * 2
    assert plain.record.infrastructure_pid
    assert named.record.infrastructure_pid


async def test_a_quiet_run_is_quiet(api: Any, agent: Any) -> None:
    api.add_run(pool="agents", engine="print('x')", job_variables={"stream_output": False})
    working = agent(once=True)
    await working.ended()
    assert working.output == []


async def test_a_type_that_is_not_here_crashes_the_run_with_its_name(api: Any, agent: Any) -> None:
    run = api.add_run(pool="agents", engine="pass", job_variables={"type": "docker"})
    odd = api.add_run(pool="agents", engine="pass", job_variables={"type": 5})
    await agent(once=True).ended()
    assert run.types[-1] == odd.types[-1] == "CRASHED"
    wanted = "The job variable 'type' names 'docker', which is not installed where the agent runs; installed: process."
    assert run.record.state.message == wanted
    assert "names 5" in odd.record.state.message


async def test_an_untyped_pools_own_template_is_used(api: Any, agent: Any) -> None:
    """With the variables that it exposes, which may be one called `type`."""
    template: dict[str, Any] = {
        "job_configuration": {"command": "{{ command }}", "env": {"KIND": "{{ type }}"}},
        "variables": {"properties": {"command": {"type": "string"}, "type": {"type": "string"}}},
    }
    api.add_pool("own", type="prefect-agent", template=template)
    template["variables"]["properties"]["type"]["default"] = "elsewhere"
    unnamed = api.add_run(pool="own", engine="pass")
    api.add_run(pool="own", engine="import os; print(os.environ['KIND'])", job_variables={"type": "process"})
    working = agent(once=True, poll=Poll("own"))
    await working.ended()
    assert working.output == ["process"]
    assert "names 'elsewhere'" in unnamed.record.state.message


async def test_a_run_of_a_typed_pool_goes_to_that_type(api: Any, agent: Any) -> None:
    api.add_run(engine="print('typed')")
    working = agent(once=True, poll=Poll("pool"))
    await working.ended()
    assert working.output == ["typed"]


async def test_a_pool_of_a_type_that_is_not_here_is_left_to_others(
    api: Any, agent: Any, caplog: pytest.LogCaptureFixture
) -> None:
    api.add_pool("k8s", type="kubernetes")
    run = api.add_run(pool="k8s", engine="pass")
    working = agent(poll=Poll("k8s"), settings=Settings(agent_query_interval=0.05, worker_heartbeat_seconds=0.1))
    await api.until(lambda: len(api.claims) >= 3)
    assert (run.types, run.worker) == (["SCHEDULED"], None)
    line = "Work pool 'k8s' is of type 'kubernetes', which is not installed here (installed: process): its runs are left to"
    assert sum(text.startswith(line) for text in said(caplog)) == 1
    assert not working.task.done()


# --- what it tells the API


async def test_it_says_what_it_polls(api: Any, agent: Any, settings: Settings) -> None:
    quick = msgspec.structs.replace(settings, agent_query_interval=0.05, agent_prefetch_seconds=7.0)
    first = agent(poll=Poll("agents", ("x", "y")), settings=quick, limit=3)
    second = agent(poll=Poll(match="dev-"), name="b", prefetch_seconds=2.0)
    await api.until(lambda: {claim.name for claim in api.claims} == {"a", "b"})
    by_name = {claim.name: claim for claim in api.claims}
    a, b = by_name["a"], by_name["b"]
    assert (a.agent_id, a.pool, a.queues, a.match, a.room) == (first.worker.id, "agents", ["x", "y"], None, 3)
    assert (a.prefetch_seconds, a.wait_seconds, a.types) == (7.0, 0.05, ["process"])
    assert (b.agent_id, b.pool, b.queues, b.match, b.prefetch_seconds) == (second.worker.id, None, [], "dev-", 2.0)
    assert first.worker.id != second.worker.id


async def test_it_cancels_what_it_is_told_to(api: Any, agent: Any) -> None:
    run = api.add_run(pool="agents", engine=SLEEP)
    agent()
    await api.until_held(run)
    api.enter(run, StateCreate(type=StateType.CANCELLING))
    await api.until(lambda: run.types[-1] == "CANCELLED")


async def test_it_gives_back_what_is_not_begun_and_takes_itself_off_the_list(api: Any, agent: Any) -> None:
    waiting = api.add_run(pool="agents", command="echo never", due_in=30)
    working = agent(prefetch_seconds=60)
    await api.until(lambda: waiting.worker)
    working.worker.stop()
    await working.ended()
    assert (waiting.returned, waiting.types[-1]) == (1, "SCHEDULED")
    assert api.forgotten == [working.worker.id]


async def test_told_to_drain_it_finishes_and_leaves(api: Any, agent: Any, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    wait = f"import os, time; [time.sleep(0.01) for _ in iter(lambda: os.path.exists({str(gate)!r}), True)]"
    run = api.add_run(pool="agents", engine=wait)
    working = agent()
    await api.until_held(run)
    api.tell_to_drain()
    beats = len(api.renewals)
    await api.until(lambda: len(api.renewals) > beats + 2)
    assert not working.task.done()
    gate.touch()
    await working.ended()


async def test_runs_that_outlast_the_shutdown_grace_name_the_agent(api: Any, agent: Any, settings: Settings) -> None:
    run = api.add_run(pool="agents", engine=SLEEP)
    working = agent(settings=msgspec.structs.replace(settings, worker_shutdown_grace_seconds=0.0))
    await api.until_held(run)
    working.worker.stop()
    await working.ended()
    assert run.record.state.message == "Agent 'a' was stopped before the run had ended."


# --- what it says


@pytest.mark.parametrize("kind", ["worker", "agent"])
async def test_what_holds_runs_back_is_said_once(
    api: Any, work: Any, agent: Any, settings: Settings, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    """Each sentence when it first appears; and once when nothing is held back any more."""
    caplog.set_level("INFO")
    start = {"worker": work, "agent": agent}[kind]
    first, second = "2 due runs wait: work pool 'p' has 1 of 1 slots taken.", "1 due run waits: queue 'q' is paused."
    start(settings=msgspec.structs.replace(settings, worker_query_seconds=0.05, agent_query_interval=0.05))
    for held in ([first], [first, second], [second], [], []):
        api.held = held
        claims = len(api.claims)
        await api.until(lambda claims=claims: len(api.claims) > claims + 2)  # type: ignore[misc]
    lines = [line for line in said(caplog) if line in (first, second) or "held back" in line]
    assert lines == [first, second, "No due run is held back any more."]


async def test_a_paused_pool_is_named_once(api: Any, agent: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    api.paused = True
    agent(settings=Settings(agent_query_interval=0.05, worker_heartbeat_seconds=0.1))
    await api.until(lambda: len(api.claims) >= 3)
    api.paused = False
    claims = len(api.claims)
    await api.until(lambda: len(api.claims) >= claims + 3)
    lines = [line for line in said(caplog) if "Work pool 'agents' is" in line]
    assert lines == [
        "Work pool 'agents' is paused: nothing is picked up until it is resumed.",
        "Work pool 'agents' is resumed.",
    ]


# --- `agent start`


@pytest.fixture
def start(api: Any, settings: Settings) -> Any:
    """`start(said, poll=…)`: an agent on the fake API."""

    async def start(said: list[str], **options: Any) -> int:
        client = AsyncClient(api, patience=0.0)
        return await start_agent(settings, client=client, say=said.append, **{"poll": Poll("pool"), **options})

    return start


async def test_it_starts_in_the_documented_words(api: Any, start: Any) -> None:
    lines: list[str] = []
    assert await start(lines, poll=Poll("my-pool"), run_once=True) == 0
    assert lines == [
        "Starting agent with ephemeral API...",
        WELCOME,
        "Agent started! Looking for work from work pool 'my-pool'...",
        "Agent stopped!",
    ]
    assert api.pools["my-pool"].type == "prefect-agent"
    assert [claim.make_pool for claim in api.claims] == [True, False]
    assert api.closed


async def test_it_names_the_api_and_can_do_without_the_welcome(api: Any, settings: Settings) -> None:
    lines: list[str] = []
    there = msgspec.structs.replace(settings, api_url="http://127.0.0.1:4200/api")
    client = AsyncClient(api, patience=0.0)
    await start_agent(there, poll=Poll("pool"), client=client, say=lines.append, run_once=True, hide_welcome=True)
    assert lines[0] == "Starting agent connected to http://127.0.0.1:4200/api..."
    assert WELCOME not in lines


@pytest.mark.parametrize(
    ("poll", "words"),
    [
        (Poll("p"), "work pool 'p'"),
        (Poll(None, ("a",)), "work queue 'a'"),
        (Poll("p", ("a", "b")), "work queues 'a', 'b' of work pool 'p'"),
        (Poll(match="dev-"), "work queues that start with 'dev-'"),
        (Poll("p", match="dev-"), "work queues that start with 'dev-' of work pool 'p'"),
    ],
)
async def test_it_says_what_it_looks_for(api: Any, start: Any, poll: Poll, words: str) -> None:
    lines: list[str] = []
    await start(lines, poll=poll, run_once=True)
    assert f"Agent started! Looking for work from {words}..." in lines


async def test_what_it_cannot_have_ends_it(api: Any, start: Any) -> None:
    lines: list[str] = []
    with pytest.raises(Forbidden, match="reserved"):
        await start(lines, poll=Poll("prefect-pool"))
    assert not any("started" in line for line in lines)


async def test_a_signal_stops_it(api: Any, start: Any) -> None:
    lines: list[str] = []
    task = asyncio.create_task(start(lines))
    await api.until(lambda: len(api.claims) >= 2)
    os.kill(os.getpid(), signal.SIGTERM)
    async with asyncio.timeout(10):
        assert await task == 0
    assert lines[-1] == "Agent stopped!"


async def test_it_waits_for_an_api_that_is_not_up_yet_and_can_be_stopped(api: Any, start: Any) -> None:
    api.away = True
    lines: list[str] = []
    task = asyncio.create_task(start(lines))
    await api.until(lambda: len(api.requests) >= 2)
    os.kill(os.getpid(), signal.SIGTERM)
    async with asyncio.timeout(2):
        assert await task == 0
    assert not any("started" in line for line in lines)


def test_senseless_options_are_refused(settings: Settings) -> None:
    with pytest.raises(ConfigError, match="What is the agent to poll"):
        run_agent(settings, poll=Poll())
    with pytest.raises(ConfigError, match="by their names or by a prefix \\('q'\\), not both"):
        run_agent(settings, poll=Poll(queues=("a",), match="q"))
    with pytest.raises(ConfigError, match="'a/b' cannot be polled"):
        run_agent(settings, poll=Poll("a/b"))
    with pytest.raises(ConfigError, match="An agent's limit is at least 1, not 0"):
        run_agent(settings, poll=Poll("pool"), limit=0)
