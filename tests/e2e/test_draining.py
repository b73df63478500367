"""A worker that is told to drain, from its open claim to the end of its process."""

from datetime import timedelta
from pathlib import Path

from real_system import HEADGATE, System

from headgate import clock
from headgate.schema.states import StateType

QUICK = {"worker_heartbeat_seconds": 0.5, "worker_shutdown_grace_seconds": 0}


def test_a_worker_drains(running: System, tmp_path: Path) -> None:
    """It returns the run that it fetched early, takes no new one, finishes the one under way, and leaves; one that starts
    under its name takes what is left."""
    worker = running.start_worker("--name", "w", "--prefetch-seconds", "600", **QUICK)
    gate = tmp_path / "gate"
    deployment = running.deploy("flows.py:gated")
    under_way = running.create_run(deployment, gate=str(gate))
    running.wait_for_line(under_way, "line 1")
    early = running.create_run(deployment, due=clock.now() + timedelta(seconds=300), gate=str(gate))
    running.until(lambda: running.flow_run(early).infrastructure_pid, "the early run's process")

    waiting = running.start(HEADGATE, "worker", "drain", "w", "--pool", "local", "--wait", name="drain")
    running.wait_for(early, StateType.SCHEDULED)
    new = running.create_run(deployment, gate=str(gate))
    [listed] = running.json("worker", "ls")
    assert (listed["name"], listed["status"], listed["draining"]) == ("w", "ONLINE", True)
    assert worker.process.poll() is None
    assert waiting.process.poll() is None
    gate.touch()
    assert worker.wait() == 0
    assert running.flow_run(under_way).state_type is StateType.COMPLETED
    assert running.flow_run(new).state_type is StateType.SCHEDULED
    assert waiting.wait() == 0
    assert waiting.text.endswith("Worker 'w' of work pool 'local' has left\n")

    running.start_worker("--name", "w", **QUICK)
    running.wait_for(new, StateType.COMPLETED)
    assert [each["draining"] for each in running.json("worker", "ls")] == [False]
