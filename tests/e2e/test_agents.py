"""Agents as processes: beside workers and other agents, killed, drained, and for local debugging."""

import os
import signal
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
from real_system import HEADGATE, System, pid_of

from headgate import clock
from headgate.schema.states import StateType

LEASE = {"server_leases_seconds": 2, "server_leases_grace_seconds": 2, "server_services_lifeline_loop_seconds": 0.25}


@pytest.fixture
def hasty(system: System) -> System:
    """A running system whose leases are short."""
    system.start_server(**LEASE)
    return system


def test_two_agents_and_three_workers_share_the_queues_of_a_pool(system: System, empty_url: str, tmp_path: Path) -> None:
    """On either database every run is executed exactly once, whoever polls its queue."""
    system.start_server(server_database_connection_url=empty_url)
    system.headgate("work-pool", "create", "local", "--type", "process")
    executions = tmp_path / "executions"
    deployed = [system.deploy("flows.py:note", "--work-queue", queue, name=queue) for queue in ("a", "b", "c-1", "d")]
    system.start_agent("-p", "local", "-q", "a", "-q", "b")
    system.start_agent("--pool", "local", "--match", "c-")
    for queue in ("a", "b", "d"):
        system.start_worker("--work-queue", queue)
    ids = [system.create_run(each, executions=str(executions)) for each in deployed * 3]
    for id in ids:
        system.wait_for(id, StateType.COMPLETED)
    assert Counter(executions.read_text().split()) == Counter(map(str, ids))
    assert [each["status"] for each in system.json("agent", "ls")] == ["ONLINE", "ONLINE"]
    assert len({each["id"] for each in system.json("agent", "ls")}) == 2


def test_the_runs_of_a_killed_agent_are_recovered(hasty: System, tmp_path: Path) -> None:
    """One that it had not begun goes to another agent, one that was going on ends as it would have."""
    gate, executions = tmp_path / "gate", tmp_path / "executions"
    agent = hasty.start_agent("-p", "mine", "--prefetch-seconds", "60", worker_heartbeat_seconds=0.5)
    under_way = hasty.create_run(hasty.deploy("flows.py:gated", pool="mine"), gate=str(gate))
    hasty.wait_for_line(under_way, "line 1")
    soon = clock.now() + timedelta(seconds=6)
    early = hasty.create_run(hasty.deploy("flows.py:note", pool="mine"), due=soon, executions=str(executions))
    run = hasty.until(lambda: (run := hasty.flow_run(early)).infrastructure_pid and run, "the early run's process")
    agent.kill()
    os.kill(pid_of(run), signal.SIGKILL)
    hasty.start_agent("-p", "mine")
    gate.touch()
    hasty.wait_for(under_way, StateType.COMPLETED)
    hasty.wait_for(early, StateType.COMPLETED)
    assert executions.read_text().split() == [str(early)]
    statuses = ["ONLINE", "OFFLINE"]
    hasty.until(lambda: [each["status"] for each in hasty.json("agent", "ls")] == statuses, "the killed one to be OFFLINE")
    [new, gone] = hasty.json("agent", "ls")
    hasty.headgate("agent", "forget", gone["id"])
    assert [each["id"] for each in hasty.json("agent", "ls")] == [new["id"]]


def test_a_queue_that_starts_to_match_is_served_without_a_restart(hasty: System, tmp_path: Path) -> None:
    hasty.headgate("work-pool", "create", "mine")
    agent = hasty.start_agent("--match", "dev-")
    assert "Looking for work from work queues that start with 'dev-'..." in agent.text
    deployment = hasty.deploy("flows.py:note", "--work-queue", "dev-new", pool="mine")
    hasty.wait_for(hasty.create_run(deployment, executions=str(tmp_path / "x")), StateType.COMPLETED)


def test_a_deployment_is_debugged_on_ones_own_machine(running: System, tmp_path: Path) -> None:
    """Point it at a pool of one's own, start an agent for that pool, and point it back."""
    worker = running.start_worker("--name", "there")
    deployment = running.deploy("flows.py:talkative", "--job-variable", 'env={"WORD": "x"}')
    agent = running.start_agent("-p", "my-local-machine")
    assert "Looking for work from work pool 'my-local-machine'..." in agent.text
    running.headgate("deployment", "set-pool", deployment, "--pool", "my-local-machine")
    here = running.create_run(deployment, count=2)
    run = running.wait_for(here, StateType.COMPLETED)
    assert run.work_pool_name == "my-local-machine"
    assert "line 2" in agent.text
    assert "line 2" not in worker.text

    running.headgate("deployment", "set-pool", deployment, "--pool", "local")
    running.wait_for(running.create_run(deployment, count=2), StateType.COMPLETED)
    assert "line 2" in worker.text

    [listed] = running.json("agent", "ls")
    drain = running.start(HEADGATE, "agent", "drain", listed["name"], "--wait", name="drain")
    assert (drain.wait(), agent.wait()) == (0, 0)
    assert drain.text.endswith("has left\n")
    assert agent.text.endswith("Agent stopped!\n")
    assert running.json("agent", "ls") == []


def test_an_agent_works_without_a_server(system: System) -> None:
    """The API runs in its own process, and so does the run's."""
    system.env["HEADGATE_API_URL"] = ""
    system.headgate("work-pool", "create", "mine")
    deployment = system.deploy("flows.py:talkative", pool="mine")
    system.headgate("deployment", "run", deployment, "--param", "count=2")
    shown = system.headgate("agent", "start", "-p", "mine", "--run-once", "--hide-welcome")
    assert shown.startswith(
        "Starting agent with ephemeral API...\nAgent started! Looking for work from work pool 'mine'...\n"
    )
    assert "line 2" in shown
    [run] = system.json("flow-run", "ls")
    assert run["state_name"] == "Completed"
