"""Prefetch: a run's process is there before its time, its code begins at its time and never before."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from real_system import Program, System

from headgate import clock
from headgate.schema.states import StateType

AHEAD = 6.0
"""Seconds: longer than a process takes to start, even on a busy machine."""

START: dict[str, Callable[[System], Program]] = {
    "worker": lambda system: system.start_worker("--prefetch-seconds", "60"),
    "agent": lambda system: system.start_agent("-p", "local", "--prefetch-seconds", "60"),
}


@pytest.mark.parametrize("who", START)
def test_user_code_begins_at_its_time_and_never_before(running: System, tmp_path: Path, who: str) -> None:
    START[who](running)
    deployment = running.deploy("flows.py:stamp")
    due = clock.now() + timedelta(seconds=AHEAD)
    files = {running.create_run(deployment, due=due, file=str(tmp_path / str(n))): tmp_path / str(n) for n in range(3)}
    running.until(lambda: all(running.flow_run(id).infrastructure_pid for id in files), "all processes")
    assert clock.now() < due, "the processes were to be started ahead of their time"
    for id, file in files.items():
        run = running.wait_for(id, StateType.COMPLETED)
        late = float(file.read_text()) - due.timestamp()
        assert 0 <= late < 10
        assert run.start_time is not None
        assert run.start_time >= due
