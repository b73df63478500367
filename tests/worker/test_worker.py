"""A worker claims within its limit and queues, isolates runs from each other, and survives an API that is away."""

import asyncio
import logging
import os
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from headgate.client.transport import Response
from headgate.schema.states import StateCreate, StateType
from headgate.worker.infra.process import ProcessInfrastructure
from headgate.worker.types import Job, Running

SLEEP = "import time; time.sleep(60)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"


def alive(identifier: str) -> bool:
    pid = identifier.rpartition(":")[2]
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def until_gone(identifier: str) -> None:
    async with asyncio.timeout(10):
        while alive(identifier):  # noqa: ASYNC110 - the API that would tell is away
            await asyncio.sleep(0.01)


async def test_a_granted_run_is_started_at_once_with_its_identity(api: Any, work: Any, settings: Any) -> None:
    working = work()
    await api.until(lambda: api.claims)
    names = ["HEADGATE__FLOW_RUN_ID", "HEADGATE__FENCE", "HEADGATE_HOME"]
    run = api.add_run(engine=f"import os; print(*(os.environ[name] for name in {names!r}))".replace('"', "'"))
    await api.until(lambda: working.output)
    assert working.output == [f"{run.record.id} 1 {settings.home}"]
    await api.until(lambda: run.record.infrastructure_pid is not None)
    await until_gone(run.record.infrastructure_pid)
    assert run.types == ["SCHEDULED", "PENDING"], "the engine reports for itself"


async def test_an_engine_is_started_before_its_time(api: Any, work: Any) -> None:
    working = work(prefetch_seconds=60)
    api.add_run(engine="print('up')", due_in=30)
    await api.until(lambda: working.output == ["up"])


async def test_output_is_not_streamed_when_the_template_says_so(api: Any, work: Any) -> None:
    working = work(once=True)
    run = api.add_run(engine="print('secret')", job_variables={"stream_output": False})
    await working.ended()
    assert run.record.infrastructure_pid is not None
    assert working.output == []


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("import sys; print('why'); sys.exit(3)", "exit code 3"),
        ("import os; print('why', flush=True); os.kill(os.getpid(), 9)", "137: killed (SIGKILL), often out of memory"),
        ("import os; print('why', flush=True); os.kill(os.getpid(), 11)", "139: segmentation fault"),
    ],
)
async def test_an_engine_that_dies_is_reported_with_its_cause_and_last_output(
    api: Any, work: Any, code: str, cause: str
) -> None:
    run = api.add_run(engine=code)
    await work(once=True).ended()
    assert run.types[-1] == "CRASHED"
    assert cause in run.record.state.message
    assert any("last lines of output:\nwhy" in message and cause in message for message in api.messages(run))


async def test_a_state_that_the_engine_reported_stays(api: Any, work: Any) -> None:
    run = api.add_run(engine="import sys, time; time.sleep(0.5); sys.exit(1)")
    working = work(once=True)
    await api.until(lambda: run.record.infrastructure_pid is not None)
    api.enter(run, StateCreate(type=StateType.FAILED))
    await working.ended()
    assert run.types[-1] == "FAILED"
    assert not any("last lines" in message for message in api.messages(run))


async def test_what_an_engine_leaves_behind_when_it_dies_is_removed(api: Any, work: Any, tmp_path: Path) -> None:
    code = (
        "import os, subprocess; p = subprocess.Popen(['sleep', '60']); "
        f"open('{tmp_path}/pid', 'w').write(str(p.pid)); os._exit(9)"
    )
    run = api.add_run(engine=code)
    await work(once=True).ended()
    assert run.types[-1] == "CRASHED"
    assert not alive((tmp_path / "pid").read_text())


async def test_runs_get_a_directory_of_their_own_that_is_removed(api: Any, work: Any) -> None:
    for _ in range(2):
        api.add_run(engine="import os; print(os.getcwd())")
    working = work(once=True)
    await working.ended()
    assert len(set(working.output)) == 2
    assert not any(map(os.path.exists, working.output))


async def test_one_wrong_run_does_not_touch_the_others(api: Any, work: Any) -> None:
    template = {
        "job_configuration": {"command": "{{ command }}", "working_dir": "{{ place }}"},
        "variables": {
            "type": "object",
            "properties": {"command": {"type": "string"}, "place": {"type": "string"}},
            "required": ["place"],
        },
    }
    api.add_pool(template=template)
    unset = api.add_run(engine="print('never')")
    nowhere = api.add_run(engine="print('never')", job_variables={"place": "/no/such/place"})
    not_there = api.add_run(job_variables={"place": "/", "command": "no-such-program"})
    good = api.add_run(engine="print('good')", job_variables={"place": "/"})
    working = work(once=True)
    await working.ended()
    assert working.output == ["good"]
    assert good.types == ["SCHEDULED", "PENDING"]
    assert [run.types[-1] for run in (unset, nowhere, not_there)] == ["CRASHED"] * 3
    assert "place" in unset.record.state.message
    assert "'/no/such/place' does not exist" in nowhere.record.state.message
    assert "'no-such-program' was not found" in not_there.record.state.message
    assert any("'/no/such/place' does not exist" in message for message in api.messages(nowhere))


async def test_the_limit_is_never_exceeded_and_a_freed_slot_is_used_at_once(api: Any, work: Any) -> None:
    for _ in range(6):
        api.add_run(engine="import time; print('+', flush=True); time.sleep(0.1); print('-', flush=True)")
    working = work(limit=2)
    await api.until(lambda: len(working.output) == 12)
    running = 0
    for sign in working.output:
        running += 1 if sign == "+" else -1
        assert 0 <= running <= 2
    assert max(claim.room for claim in api.claims) == 2


class Slow(ProcessInfrastructure):
    """Starts nothing before it is let, and knows how many starts it was asked for at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.let = asyncio.Event()
        self.starting, self.most = 0, 0

    async def start(self, job: Job) -> Running:
        self.starting += 1
        self.most = max(self.most, self.starting)
        await self.let.wait()
        self.starting -= 1
        return await super().start(job)


async def test_no_more_than_the_launch_limit_are_started_at_a_time(api: Any, work: Any, settings: Any) -> None:
    """What it may not start yet it does not claim; a start that is over makes room at once."""
    runs = [api.add_run(engine="print('x')") for _ in range(6)]
    slow = Slow()
    settings = msgspec.structs.replace(settings, worker_launch_limit=2, worker_heartbeat_seconds=60)
    working = work(infrastructure=slow, settings=settings)
    await api.until(lambda: slow.starting == 2 and api.claims[-1].room == 0)
    assert [run.types[-1] for run in runs] == ["PENDING"] * 2 + ["SCHEDULED"] * 4
    slow.let.set()
    await api.until(lambda: len(working.output) == 6)
    assert slow.most == 2
    assert {claim.room for claim in api.claims} <= {0, 1, 2}


async def test_a_worker_that_looks_once_starts_all_that_it_took_in_turns(api: Any, work: Any, settings: Any) -> None:
    for _ in range(5):
        api.add_run(engine="print('x')")
    slow = Slow()
    working = work(infrastructure=slow, settings=msgspec.structs.replace(settings, worker_launch_limit=2), once=True)
    await api.until(lambda: slow.starting == 2)
    slow.let.set()
    await working.ended()
    assert (len(working.output), slow.most) == (5, 2)


async def test_a_command_that_waits_for_its_time_is_not_being_started(api: Any, work: Any, settings: Any) -> None:
    later = api.add_run(command="echo later", due_in=300.0)
    work(settings=msgspec.structs.replace(settings, worker_launch_limit=1), prefetch_seconds=600.0)
    await api.until(lambda: later.types[-1] == "PENDING")
    now = api.add_run(command="echo now")
    await api.until(lambda: now.types[-1] == "COMPLETED")


async def test_a_full_worker_still_listens_for_cancels(api: Any, work: Any, settings: Any) -> None:
    run = api.add_run(engine=SLEEP)
    work(limit=1, settings=msgspec.structs.replace(settings, worker_heartbeat_seconds=60))
    await api.until(lambda: api.claims and api.claims[-1].room == 0)
    api.enter(run, StateCreate(type=StateType.CANCELLING))
    await api.until(lambda: run.types[-1] == "CANCELLED")


async def test_only_the_given_queues_are_served_and_missing_ones_created(api: Any, work: Any) -> None:
    other = api.add_run(engine="print('other')", queue="other")
    api.add_run(engine="print('a')", queue="a")
    api.add_run(engine="print('b')", queue="b")
    working = work(queues=["a", "b"], once=True)
    await working.ended()
    assert sorted(working.output) == ["a", "b"]
    assert other.types == ["SCHEDULED"]
    assert list(api.queues) == ["a", "b"]


async def test_run_once_leaves_when_nothing_is_there(api: Any, work: Any) -> None:
    await work(once=True).ended()
    assert [claim.wait_seconds for claim in api.claims] == [0.0]


async def test_heartbeats_carry_all_leases(api: Any, work: Any) -> None:
    runs = [api.add_run(engine=SLEEP) for _ in range(3)]
    work()
    await api.until_held(*runs)
    assert {lease.fence for lease in api.renewals[-1].leases} == {1}
    assert api.renewals[-1].worker == "w"
    assert api.renewals[-1].worker_type == "process"
    assert api.renewals[-1].heartbeat_interval_seconds == 0.1


async def test_a_run_whose_lease_is_lost_is_killed_without_a_report(api: Any, work: Any) -> None:
    run = api.add_run(engine=DEAF)
    working = work()
    await api.until(lambda: "deaf" in working.output and run.record.infrastructure_pid)
    run.record.fence += 1
    api.lost.add(run.record.id)
    await api.until_held()
    assert not alive(run.record.infrastructure_pid)
    assert run.types == ["SCHEDULED", "PENDING"]


async def test_a_finished_run_may_wind_down_after_its_lease_is_gone(api: Any, work: Any) -> None:
    run = api.add_run(engine="import time; time.sleep(1.0); print('hooks are over')")
    working = work()
    await api.until_held(run)
    api.enter(run, StateCreate(type=StateType.COMPLETED))
    api.lost.add(run.record.id)
    await api.until(lambda: working.output == ["hooks are over"])
    assert run.types[-1] == "COMPLETED"


async def test_a_deleted_run_is_killed(api: Any, work: Any) -> None:
    run = api.add_run(engine=SLEEP)
    work()
    await api.until_held(run)
    api.lost.add(run.record.id)
    del api.runs[run.record.id]
    await api.until_held()
    assert not alive(run.record.infrastructure_pid)


async def test_a_run_that_comes_back_is_started_only_when_its_earlier_start_is_gone(api: Any, work: Any) -> None:
    run = api.add_run(engine="import os, time; print(os.environ['HEADGATE__FENCE'], flush=True); time.sleep(60)")
    working = work()
    await api.until(lambda: working.output == ["1"] and run.record.infrastructure_pid)
    first = run.record.infrastructure_pid
    run.worker = None
    api.enter(run, StateCreate(type=StateType.SCHEDULED))
    await api.until(lambda: working.output == ["1", "2"])
    assert not alive(first)


async def test_cancel_lets_the_run_clean_up_then_kills_its_group(api: Any, work: Any, settings: Any) -> None:
    polite = api.add_run(
        engine="import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: (print('bye', flush=True), sys.exit(0)));"
        "print('polite', flush=True); time.sleep(60)"
    )
    deaf = api.add_run(engine=DEAF)
    working = work(settings=msgspec.structs.replace(settings, worker_cancel_grace_seconds=0.3))
    await api.until(lambda: {"polite", "deaf"} <= set(working.output))
    for run in (polite, deaf):
        api.enter(run, StateCreate(type=StateType.CANCELLING))
    await api.until(lambda: polite.types[-1] == deaf.types[-1] == "CANCELLED")
    assert "bye" in working.output
    assert not alive(polite.record.infrastructure_pid)
    assert not alive(deaf.record.infrastructure_pid)


async def test_a_cancel_that_comes_as_the_run_ends_is_concluded(api: Any, work: Any) -> None:
    """The engine was refused its last state because of the cancel, and left."""
    run = api.add_run(engine="pass")
    work()
    await api.until(lambda: run.record.infrastructure_pid is not None)
    await api.until_held()
    api.enter(run, StateCreate(type=StateType.CANCELLING))
    await api.until(lambda: run.types[-1] == "CANCELLED")


async def test_an_answer_repeated_at_once_does_not_make_a_storm_of_calls(api: Any, work: Any) -> None:
    """While a cancelled run takes its grace the API answers every claim at once with that cancel."""
    run = api.add_run(engine=DEAF)
    working = work()
    await api.until(lambda: "deaf" in working.output)
    api.enter(run, StateCreate(type=StateType.CANCELLING))
    before = len(api.claims)
    await asyncio.sleep(0.7)
    assert len(api.claims) - before < 15


async def test_a_worker_outlives_an_outage_and_delivers_what_happened_meanwhile(
    api: Any, work: Any, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    run = api.add_run(
        engine=f"import os, time; [time.sleep(0.01) for _ in iter(lambda: os.path.exists('{gate}'), True)]; os._exit(5)"
    )
    caplog.set_level(logging.INFO)
    work()
    await api.until(lambda: run.record.infrastructure_pid is not None)
    api.away = True
    gate.touch()
    pid = run.record.infrastructure_pid
    await until_gone(pid)
    seen = len(api.requests)
    await api.until(lambda: len(api.requests) > seen + 6)
    assert run.types[-1] == "PENDING"
    api.away = False
    await api.until(lambda: run.types[-1] == "CRASHED")
    assert "exit code 5" in run.record.state.message
    later = api.add_run(engine="print('later')")
    await api.until(lambda: later.record.infrastructure_pid is not None)
    said = [record.getMessage() for record in caplog.records]
    assert sum("API is away" in line for line in said) == 1
    assert sum("API is back" in line for line in said) == 1


async def test_no_answer_of_the_api_ends_the_worker(api: Any, work: Any) -> None:
    work()
    await api.until(lambda: api.claims)
    api.failures += [
        Response(500, b"oops"),
        Response(200, b"<html>a proxy's page</html>"),
        Response(401, b'{"exception_message":"Unauthorized"}'),
        Response(404, b'{"detail":"Work pool not found."}'),
        Response(503, b"{}"),
        RuntimeError("a bug in a transport"),
    ]
    await api.until(lambda: not api.failures)
    run = api.add_run(engine="pass")
    await api.until(lambda: run.record.infrastructure_pid is not None)


async def test_a_report_whose_answer_was_lost_counts_once(api: Any, work: Any) -> None:
    run = api.add_run(command="true")
    original = api._set_state

    async def answer_lost(body: bytes, id: str) -> Response:
        await original(body, id)
        api._set_state = original
        api.failures.append(Response(503, b"{}"))
        return Response(503, b"{}")

    api._set_state = answer_lost
    await work(once=True).ended()
    assert run.types == ["SCHEDULED", "PENDING", "RUNNING", "COMPLETED"]


async def test_it_is_said_once_why_nothing_is_picked_up(
    api: Any, work: Any, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    api.paused = True
    run = api.add_run(engine="pass")
    work(settings=msgspec.structs.replace(settings, worker_query_seconds=0.05))
    await api.until(lambda: len(api.claims) > 5)
    api.paused = False
    await api.until(lambda: run.record.infrastructure_pid is not None)
    said = [record.getMessage() for record in caplog.records]
    assert sum("is paused: nothing is picked up until it is resumed" in line for line in said) == 1
    assert sum("is resumed" in line for line in said) == 1


async def test_a_deleted_pool_is_named_as_the_cause_once(api: Any, work: Any, caplog: pytest.LogCaptureFixture) -> None:
    del api.pools["pool"]
    work()
    await api.until(lambda: sum("claim" in request for request in api.requests) >= 3)
    said = [record.getMessage() for record in caplog.records]
    assert sum("Nothing is picked up: Work pool not found." in line for line in said) == 1


async def test_the_first_heartbeat_joins_before_anything_is_claimed(api: Any, work: Any) -> None:
    """With the process's id, and again with the same one until it is answered; then never again."""
    api.failures = [Response(503, b"{}"), Response(500, b"{}")]
    first, second = work(), work(name="w2")
    await api.until(lambda: len(api.claims) >= 2 and len(api.renewals) >= 6)
    calls = [request for request in api.requests if "leases/renew" in request or "claim" in request]
    assert "leases/renew" in calls[0]
    for working in (first, second):
        beats = [beat for beat in api.renewals if beat.worker == working.worker.name]
        assert [beat.joins_as is not None for beat in beats] == [True, *[False] * (len(beats) - 1)]
    assert len({beat.joins_as for beat in api.renewals if beat.joins_as}) == 2


async def test_told_to_drain_it_returns_what_has_not_begun_and_finishes_the_rest(
    api: Any, work: Any, settings: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """However long that takes: the grace for a signal does not cut it short."""
    caplog.set_level("INFO")
    gate = tmp_path / "gate"
    running = api.add_run(
        engine=f"import os, time; [time.sleep(0.01) for _ in iter(lambda: os.path.exists({str(gate)!r}), True)]"
    )
    waiting = api.add_run(command="echo never", due_in=30)
    working = work(prefetch_seconds=60, settings=msgspec.structs.replace(settings, worker_shutdown_grace_seconds=0.0))
    await api.until(lambda: running.record.infrastructure_pid and waiting.worker)
    api.tell_to_drain()
    claims = len(api.claims)
    await api.until(lambda: waiting.returned == 1)
    beats = len(api.renewals)
    await api.until(lambda: len(api.renewals) > beats + 3)
    assert (len(api.claims), working.task.done(), running.types[-1]) == (claims, False, "PENDING")
    gate.touch()
    await working.ended()
    assert running.types[-1] == "PENDING"  # this stand-in for an engine reports nothing
    said = [record.getMessage() for record in caplog.records]
    assert sum(line.startswith("Told to drain:") for line in said) == 1


async def test_a_signal_cuts_a_drain_short(api: Any, work: Any, settings: Any) -> None:
    run = api.add_run(engine=SLEEP)
    working = work(settings=msgspec.structs.replace(settings, worker_shutdown_grace_seconds=0.0))
    await api.until_held(run)
    api.tell_to_drain()
    beats = len(api.renewals)
    await api.until(lambda: len(api.renewals) > beats + 2)
    assert not working.task.done()
    working.worker.stop()
    await working.ended(5)
    assert run.types[-1] == "CRASHED"


async def test_a_signal_waits_for_runs_and_returns_what_has_not_begun(api: Any, work: Any) -> None:
    running = api.add_run(engine="import time; time.sleep(0.5); print('done')")
    waiting = api.add_run(command="echo never", due_in=30)
    early = api.add_run(engine="import time; print('early', flush=True); time.sleep(60)", due_in=30)
    working = work(prefetch_seconds=60)
    await api.until(lambda: "early" in working.output and running.record.infrastructure_pid)
    claims = len(api.claims)
    working.worker.stop()
    await working.ended()
    assert "done" in working.output
    assert len(api.claims) == claims
    assert (running.returned, waiting.returned, early.returned) == (0, 1, 1)
    assert waiting.types[-1] == early.types[-1] == "SCHEDULED"
    assert not alive(early.record.infrastructure_pid)


async def test_runs_that_outlast_the_shutdown_grace_are_crashed(api: Any, work: Any, settings: Any) -> None:
    run = api.add_run(engine=SLEEP)
    quick = msgspec.structs.replace(settings, worker_shutdown_grace_seconds=0.2)
    working = work(settings=quick)
    await api.until(lambda: run.record.infrastructure_pid is not None)
    working.worker.stop()
    await working.ended()
    assert run.types[-1] == "CRASHED"
    assert run.record.state.message == "Worker 'w' was stopped before the run had ended."
    assert not alive(run.record.infrastructure_pid)


async def test_a_halt_kills_at_once(api: Any, work: Any) -> None:
    run = api.add_run(engine=DEAF)
    working = work()
    await api.until(lambda: "deaf" in working.output)
    working.worker.stop()
    await asyncio.sleep(0)
    working.worker.halt()
    await working.ended(5)
    assert run.types[-1] == "CRASHED"
    assert not alive(run.record.infrastructure_pid)


async def test_stopping_an_idle_worker_takes_no_time(api: Any, work: Any) -> None:
    working = work()
    await api.until(lambda: api.claims)
    working.worker.stop()
    await working.ended(1)


async def test_an_idle_worker_can_be_stopped_while_the_api_is_away(api: Any, work: Any) -> None:
    api.away = True
    working = work(queues=["q"])
    await api.until(lambda: len(api.requests) > 2)
    working.worker.stop()
    await working.ended(1)


async def test_a_killed_pid_is_not_signalled_again(api: Any, work: Any) -> None:
    """Someone kills the engine by hand: the run is Crashed, the worker goes on."""
    run = api.add_run(engine=SLEEP)
    work()
    await api.until(lambda: run.record.infrastructure_pid is not None)
    os.kill(int(run.record.infrastructure_pid.rpartition(":")[2]), signal.SIGKILL)
    await api.until(lambda: run.types[-1] == "CRASHED")
    after = api.add_run(engine="pass")
    await api.until(lambda: after.record.infrastructure_pid is not None)
    assert datetime.now(UTC) > after.record.expected_start_time
