"""For a command the worker waits, reports and logs; no shell ever sees a parameter."""

import asyncio
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from headgate.schema.states import StateCreate, StateType

PYTHON = sys.executable


def script(tmp_path: Path, code: str) -> str:
    file = tmp_path / "script.py"
    file.write_text(code)
    return f"{PYTHON} {file}"


async def test_a_command_completes_and_its_lines_are_the_runs_logs(api: Any, work: Any, tmp_path: Path) -> None:
    run = api.add_run(command=script(tmp_path, "import sys; print('out'); print('err', file=sys.stderr, flush=True)"))
    working = work(once=True)
    await working.ended()
    assert run.types == ["SCHEDULED", "PENDING", "RUNNING", "COMPLETED"]
    assert sorted(line.message for line in api.logs if line.name == "headgate.flow_runs") == ["err", "out"]
    assert sorted(working.output) == ["err", "out"]
    assert any("started as" in line.message for line in api.logs if line.name == "headgate.flow_runs.worker")


async def test_parameters_are_arguments_and_environment(api: Any, work: Any, tmp_path: Path) -> None:
    code = "import json, os, sys; print(json.dumps([sys.argv[1:], json.loads(os.environ['HEADGATE_PARAMETERS'])]))"
    parameters = {"text": "a b; rm -rf $HOME `x` {{ n }}", "n": 3, "list": [1, "x"], "yes": True, "none": None}
    command = script(tmp_path, code) + " --text={{ text }} {{n}} '{{ list }}' {{ yes }} {{ none }} 'a  b' $HOME"
    working = work(once=True)
    api.add_run(command=command, parameters=parameters)
    await working.ended()
    argv, env = json.loads(working.output[0])
    assert argv == [f"--text={parameters['text']}", "3", '[1, "x"]', "true", "null", "a  b", "$HOME"]
    assert env == parameters


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("echo {{ missing }}", "parameter 'missing', which the run does not have; it has: n"),
        ("echo 'open", "cannot be read: No closing quotation"),
        (" ", "The command is empty"),
    ],
)
async def test_a_command_that_makes_no_sense_is_crashed_with_the_reason(
    api: Any, work: Any, command: str, said: str
) -> None:
    run = api.add_run(command=command, parameters={"n": 1})
    await work(once=True).ended()
    assert run.types == ["SCHEDULED", "PENDING", "CRASHED"]
    assert said in run.record.state.message


async def test_exits_become_states_with_a_cause(api: Any, work: Any) -> None:
    wrong = api.add_run(command=f"{PYTHON} -c 'exit(126)'")
    killed = api.add_run(command=f"{PYTHON} -c 'import os; os.kill(os.getpid(), 9)'")
    missing = api.add_run(command="no-such-program")
    await work(once=True).ended()
    assert wrong.types[-1] == "FAILED"
    assert wrong.record.state.message == (
        "The command ended with exit code 126: the command was found but may not be executed."
    )
    assert killed.types[-1] == "CRASHED"
    assert "killed (SIGKILL), often out of memory" in killed.record.state.message
    assert missing.types[-1] == "CRASHED"
    assert "'no-such-program' was not found" in missing.record.state.message


async def test_a_command_starts_at_its_time_not_before(api: Any, work: Any) -> None:
    run = api.add_run(command=f"{PYTHON} -c 'import time; print(time.time())'", due_in=0.6)
    working = work(prefetch_seconds=30)
    await api.until(lambda: run.types[-1] == "PENDING")
    await api.until(lambda: run.types[-1] == "COMPLETED")
    assert run.record.expected_start_time.timestamp() <= float(working.output[0]) < datetime.now(UTC).timestamp()


async def test_a_worker_whose_clock_is_ahead_asks_again_until_it_is_time(api: Any, work: Any) -> None:
    run = api.add_run(command="true", due_in=0.5)
    work(prefetch_seconds=30, clock=lambda: datetime(2100, 1, 1, tzinfo=UTC))
    await api.until(lambda: run.types[-1] == "COMPLETED")


async def test_a_failed_command_is_tried_again_under_the_same_claim(api: Any, work: Any, tmp_path: Path) -> None:
    code = f"import os, sys; p = '{tmp_path}/once'; seen = os.path.exists(p); open(p, 'w').close(); sys.exit(not seen)"
    run = api.add_run(command=script(tmp_path, code), retries=1)
    await work(once=True).ended()
    assert run.types == ["SCHEDULED", "PENDING", "RUNNING", "SCHEDULED", "RUNNING", "COMPLETED"]
    assert run.record.fence == 1


async def test_where_a_command_runs(api: Any, work: Any, tmp_path: Path) -> None:
    for name in ("path", "pulled", "configured", "configured/below"):
        (tmp_path / name).mkdir()
    command = f"{PYTHON} -c 'import os; print(os.getcwd())'"
    pull = [
        {"some.steps.set_working_directory": {"directory": str(tmp_path)}},
        {"set_working_directory": {"directory": "pulled"}},
    ]
    configured = {"working_dir": str(tmp_path / "configured")}
    working = work(limit=1)
    api.add_run(command=command, path=str(tmp_path / "path"))
    api.add_run(command=command, path=str(tmp_path / "path"), pull_steps=pull, job_variables=configured)
    api.add_run(command=command, path=str(tmp_path / "path"), job_variables=configured)
    below = [{"set_working_directory": {"directory": "below"}}]
    api.add_run(command=command, pull_steps=below, job_variables=configured)
    git = api.add_run(command=command, pull_steps=[{"prefect.deployments.steps.git_clone": {"repository": "x"}}])
    await api.until(lambda: git.types[-1] == "CRASHED")
    assert working.output == [str(tmp_path / name) for name in ("path", "pulled", "configured", "configured/below")]
    assert "pull step not understood: prefect.deployments.steps.git_clone" in git.record.state.message


async def test_cancel_before_its_time_and_in_mid_run(api: Any, work: Any) -> None:
    waiting = api.add_run(command="echo never", due_in=30)
    running = api.add_run(command=f"{PYTHON} -c 'import time; print(1, flush=True); time.sleep(60)'")
    working = work(prefetch_seconds=60)
    await api.until(lambda: working.output == ["1"] and waiting.types[-1] == "PENDING")
    for run in (waiting, running):
        api.enter(run, StateCreate(type=StateType.CANCELLING))
    await api.until(lambda: waiting.types[-1] == running.types[-1] == "CANCELLED")
    assert working.output == ["1"]


async def test_a_run_cancelled_while_it_was_about_to_start_is_concluded(api: Any, work: Any, settings: Any) -> None:
    """The first that the worker hears of the cancel is the answer to its Running."""
    deaf = msgspec.structs.replace(settings, worker_heartbeat_seconds=60)
    run = api.add_run(command="echo never", due_in=0.5)
    api._cancels = lambda worker: []
    working = work(prefetch_seconds=60, settings=deaf)
    await api.until(lambda: run.types[-1] == "PENDING")
    api.enter(run, StateCreate(type=StateType.CANCELLING))
    await api.until(lambda: run.types[-1] == "CANCELLED")
    assert working.output == []


async def test_a_claim_made_anew_elsewhere_is_left_alone(api: Any, work: Any) -> None:
    run = api.add_run(command="echo never", due_in=0.5)
    working = work(prefetch_seconds=60)
    await api.until(lambda: run.types[-1] == "PENDING")
    run.record.fence += 1
    await api.until(lambda: any("set_state" in request for request in api.requests))
    await api.until_held()
    assert run.types == ["SCHEDULED", "PENDING"]
    assert working.output == []


async def test_an_outage_does_not_disturb_a_command_and_its_result_is_delivered(api: Any, work: Any, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    code = (
        f"import os, time\nprint('before', flush=True)\nwhile not os.path.exists('{gate}'): time.sleep(0.01)\nprint('after')"
    )
    run = api.add_run(command=script(tmp_path, code))
    working = work()
    await api.until(lambda: "before" in api.messages(run))
    api.away = True
    gate.touch()
    async with asyncio.timeout(10):
        while "after" not in working.output:  # noqa: ASYNC110 - the API that would tell is away
            await asyncio.sleep(0.01)
    assert run.types[-1] == "RUNNING"
    api.away = False
    await api.until(lambda: run.types[-1] == "COMPLETED")
    assert [message for message in api.messages(run) if message in ("before", "after")] == ["before", "after"]


async def test_a_flood_of_output_neither_blocks_nor_loses_the_last_lines(
    api: Any, work: Any, settings: Any, tmp_path: Path
) -> None:
    small = msgspec.structs.replace(settings, logging_to_api_max_buffered=1000, logging_to_api_batch_size=50_000)
    run = api.add_run(command=script(tmp_path, "for i in range(50_000): print(i)"), job_variables={"stream_output": False})
    await work(once=True, settings=small).ended()
    assert run.types[-1] == "COMPLETED"
    messages = api.messages(run)
    assert "49999" in messages
    gaps = [int(message.split()[0]) for message in messages if "were dropped" in message]
    assert len(messages) - len(gaps) + sum(gaps) == 50_000 + 1, "all lines, and the worker's own about the start"
    numbers = [int(message) for message in messages if message.isdigit()]
    assert numbers == sorted(numbers)
    assert max(api.log_batches) < 250_000
