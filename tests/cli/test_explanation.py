"""`headgate flow-run explain`, and what `inspect` says of waiting."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from command_line import NOW, Run, lines
from scripted_api import Script

from headgate.client.calls import agents, claims
from headgate.client.client import Client
from headgate.clock import FrozenClock
from headgate.schema.claims import AgentClaimRequest, ClaimRequest
from headgate.schema.explanations import Explanation

ID, OTHER = (f"00000000-0000-0000-0000-00000000000{n}" for n in (1, 2))


@pytest.fixture
def otter(api: Client, run: Run) -> None:
    """A run `otter` of a pool that a worker just polled and has no slot left: `busy` is pending there."""
    run("work-pool", "create", "local", "--type", "process", "--concurrency-limit", "1")
    run("deploy", "--command", "true", "-n", "a", "-p", "local")
    run("deployment", "run", "a/a", "--flow-run-name", "busy")
    api.send(claims.claim("local", ClaimRequest(worker="w", worker_type="process", room=1)))
    run("deployment", "run", "a/a", "--flow-run-name", "otter")


def test_a_waiting_run_is_explained_with_the_holders_of_the_slots(otter: None, run: Run) -> None:
    shown = lines(run("flow-run", "explain", "otter").out)
    assert shown[0] == "Work pool 'local' has its only slot in use."
    assert shown[2].startswith("flow run     otter of a/a (")
    assert shown[3].startswith("state        Scheduled for 0 seconds")
    assert shown[4].startswith("work queue   local/default (last polled just now)")
    start = shown.index("What blocks it:")
    assert shown[start + 1] == "    work pool 'local' has its only slot in use"
    assert shown[start + 2].startswith("        busy  Pending for 0 seconds  ")
    assert "    w  ONLINE, heartbeat just now, has 1 run" in shown


def test_json_is_the_apis_record(otter: None, api: Client, run: Run) -> None:
    record = run("flow-run", "explain", "otter", "-o", "json").json
    assert [gate["kind"] for gate in record["gates"]] == ["pool limit"]
    assert record["gates"][0]["holders"][0]["name"] == "busy"
    assert record.keys() == set(Explanation.__struct_fields__)


def test_a_run_that_is_not_there_is_named(api: Client, run: Run) -> None:
    outcome = run("flow-run", "explain", "nobody")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.startswith("Error: There is no flow run 'nobody'")


def test_inspect_says_what_a_run_waits_for_and_its_states(otter: None, run: Run) -> None:
    shown = lines(run("flow-run", "inspect", "otter").out)
    start = shown.index("Waiting:")
    assert shown[start - 1] == ")"
    assert shown[start + 1] == "    work pool 'local' has its only slot in use"
    assert shown[shown.index("History:") + 1].endswith("  Scheduled")
    assert "waits" not in run("flow-run", "inspect", "otter", "-o", "json").json


def test_inspect_of_a_run_that_is_under_way_has_its_history_and_no_gates(otter: None, run: Run) -> None:
    shown = lines(run("flow-run", "inspect", "busy").out)
    assert "Waiting:" not in shown
    assert [line.split()[2] for line in shown[shown.index("History:") + 1 :]] == ["Scheduled", "Pending"]


@pytest.fixture
def scripted(script: Script, frozen: FrozenClock) -> dict[str, Any]:
    """The explanation of a run that has waited for two minutes behind others; to be changed by tests."""

    def at(seconds: float) -> str:
        return f"{NOW + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%SZ}"

    run = {"id": ID, "created": at(-200), "updated": at(-200), "name": "otter", "flow_id": OTHER}
    explanation: dict[str, Any] = {
        "flow_run_id": ID,
        "name": "otter",
        "summary": "Work queue 'high' has 1 of 3 slots in use, and the free 2 slots go to runs ahead of it.",
        "waiting": True,
        "state_type": "SCHEDULED",
        "state_name": "Late",
        "since": at(-105),
        "due_at": at(-120),
        "work_pool_name": "local",
        "work_queue_name": "high",
        "deployment_name": "etl/nightly",
        "gates": [
            {
                "kind": "queue limit",
                "message": "work queue 'high' has 1 of 3 slots in use, and the free 2 slots go to runs ahead of it",
                "limit": 3,
                "used": 12,
                "ahead": 2,
                "holders": [{"flow_run_id": OTHER, "name": "heron", "state_name": "Running", "since": at(-3600)}],
            }
        ],
        "position": {"ahead": 5, "starting": 2, "more": False},
        "workers": [],
        "waits": [
            {"state_name": "Scheduled", "since": at(-120), "seconds": 15.0},
            {"state_name": "Late", "since": at(-105), "seconds": 105.0, "message": "Work queue 'high' was full."},
        ],
        "waited_seconds": 120.0,
    }
    script.on("GET", f"/flow_runs/{ID}", run)
    script.on("GET", f"/flow_runs/{ID}/explain", explanation)
    state = {"id": ID, "type": "SCHEDULED", "name": "Late", "timestamp": at(-105), "message": "Work queue 'high' was full."}
    script.on("GET", f"/flow_run_states/?flow_run_id={ID}", [state | {"name": "Scheduled", "message": None}, state])
    return explanation


def test_everything_that_an_explanation_says(scripted: dict[str, Any], run: Run) -> None:
    due = (NOW - timedelta(seconds=120)).astimezone()
    assert (
        run("flow-run", "explain", ID).out
        == f"""\
Work queue 'high' has 1 of 3 slots in use, and the free 2 slots go to runs ahead of it.

flow run     otter of etl/nightly ({ID})
state        Late for 1 minute
work queue   local/high (never polled)
due          {due:%Y-%m-%d %H:%M:%S}.000 (2 minutes ago)

What blocks it:
    work queue 'high' has 1 of 3 slots in use, and the free 2 slots go to runs ahead of it
        heron  Running for 1 hour  {OTHER}
        and 9 more
    5 runs go before it; of these 2 can start now

Workers of local:
    none

It has waited 2 minutes beyond its time:
    Scheduled 15 seconds
    Late 1 minute: Work queue 'high' was full.
"""
    )


@pytest.mark.parametrize(
    ("ahead", "starting", "more", "text"),
    [
        (1, 0, False, "1 run goes before it; of these none can start now"),
        (10_000, 800, True, "at least 10000 runs go before it; of these at least 800 can start now"),
    ],
)
def test_the_place_of_a_run(
    scripted: dict[str, Any], run: Run, script: Script, ahead: int, starting: int, more: bool, text: str
) -> None:
    place = {"ahead": ahead, "starting": starting, "more": more}
    script.on("GET", f"/flow_runs/{ID}/explain", scripted | {"position": place})
    assert f"    {text}\n" in run("flow-run", "explain", ID).out


def test_the_workers_of_its_pool(scripted: dict[str, Any], run: Run, script: Script) -> None:
    beat = f"{NOW - timedelta(seconds=3):%Y-%m-%dT%H:%M:%SZ}"
    leaving = {"name": "w", "status": "ONLINE", "last_heartbeat_time": beat, "runs": 1, "draining": True}
    silent = {"name": "v", "status": "OFFLINE", "last_heartbeat_time": None, "runs": 0}
    script.on("GET", f"/flow_runs/{ID}/explain", scripted | {"workers": [leaving, silent]})
    shown = run("flow-run", "explain", ID).out
    assert "    w  ONLINE, draining, heartbeat 3 seconds ago, has 1 run\n" in shown
    assert "    v  OFFLINE, never heard of, has 0 runs\n" in shown


def test_holders_stand_in_columns(scripted: dict[str, Any], run: Run, script: Script) -> None:
    (gate,) = scripted["gates"]
    (heron,) = gate["holders"]
    since = f"{NOW - timedelta(seconds=5):%Y-%m-%dT%H:%M:%SZ}"
    both = [heron, heron | {"name": "nightingale", "state_name": "Pending", "since": since}]
    script.on("GET", f"/flow_runs/{ID}/explain", scripted | {"gates": [gate | {"holders": both}]})
    first, second = (line for line in run("flow-run", "explain", ID).out.splitlines() if OTHER in line)
    assert first == f"        heron        Running for 1 hour     {OTHER}"
    assert second == f"        nightingale  Pending for 5 seconds  {OTHER}"


def test_inspect_of_the_same_run(scripted: dict[str, Any], run: Run) -> None:
    since = (NOW - timedelta(seconds=105)).astimezone()
    shown = run("flow-run", "inspect", ID).out
    assert (
        shown[shown.index("Waiting:") :]
        == f"""\
Waiting:
    work queue 'high' has 1 of 3 slots in use, and the free 2 slots go to runs ahead of it
        heron  Running for 1 hour  {OTHER}
        and 9 more
    5 runs go before it; of these 2 can start now
Waited so far: 2 minutes beyond its time
    Scheduled 15 seconds
    Late 1 minute: Work queue 'high' was full.
History:
    {since:%Y-%m-%d %H:%M:%S}.000  Scheduled
    {since:%Y-%m-%d %H:%M:%S}.000  Late       Work queue 'high' was full.
"""
    )


def test_a_run_that_runs_is_told_with_its_holder(scripted: dict[str, Any], run: Run, script: Script) -> None:
    lease = f"{NOW + timedelta(seconds=20):%Y-%m-%dT%H:%M:%SZ}"
    scripted |= {
        "summary": "It is running; worker 'w' started it.",
        "waiting": False,
        "state_type": "RUNNING",
        "state_name": "Running",
        "due_at": None,
        "gates": [],
        "position": None,
        "holder": "w",
        "lease_expires_at": lease,
    }
    script.on("GET", f"/flow_runs/{ID}/explain", scripted)
    shown = run("flow-run", "explain", ID).out
    assert shown.startswith("It is running; worker 'w' started it.\n")
    assert "held by      w (lease ends in 20 seconds)\n" in shown
    assert "What blocks it" not in shown
    assert "It waited 2 minutes beyond its time:" in shown


def test_a_run_that_nothing_blocks_says_so_in_inspect(scripted: dict[str, Any], run: Run, script: Script) -> None:
    free = "Nothing blocks it: the next poll with room for a run takes it."
    script.on("GET", f"/flow_runs/{ID}/explain", scripted | {"gates": [], "summary": free})
    assert f"Waiting:\n    {free}\n" in run("flow-run", "inspect", ID).out


# --- a pool


def test_a_pool_is_explained_queue_by_queue(otter: None, run: Run) -> None:
    run("work-queue", "create", "high", "--pool", "local", "--priority", "1", "--limit", "3", "--paused")
    shown = lines(run("work-pool", "explain", "local").out)
    assert shown[0] == "Work pool 'local' (process): 1 of 1 slot in use, 1 worker online."
    table = [[cell.strip() for cell in line.strip("│").split("│")] for line in shown if line.startswith("│")]
    assert table == [["high **", "1", "0/3", "0", "0", "never"], ["default", "2", "1", "1", "0", "just now"]]
    assert shown[-1].startswith("default: work pool 'local' has its only slot in use (otter, due ")


def test_a_pools_explanation_as_json(otter: None, run: Run) -> None:
    record = run("work-pool", "explain", "local", "-o", "json").json
    assert [queue["oldest"]["name"] for queue in record["queues"]] == ["otter"]


def test_a_pool_that_is_not_there_cannot_be_explained(api: Client, run: Run) -> None:
    assert run("work-pool", "explain", "nowhere").err == (
        "Error: There is no work pool 'nowhere'; `headgate work-pool ls` lists all.\n"
    )


def test_a_pool_for_agents_has_no_workers_to_count(api: Client, run: Run) -> None:
    run("work-pool", "create", "agents")
    assert lines(run("work-pool", "explain", "agents").out)[0] == "Work pool 'agents' (prefect-agent): 0 slots in use."


def test_a_paused_pool_is_explained_with_what_was_said_about_it(api: Client, run: Run) -> None:
    run("work-pool", "create", "local", "--type", "process")
    run("work-pool", "pause", "local", "--by", "ann", "--reason", "move")
    assert lines(run("work-pool", "explain", "local").out)[0] == (
        "Work pool 'local' (process): 0 slots in use, 0 workers online. It is paused since just now by ann: move."
    )


def test_a_backlog_beyond_counting_and_a_run_that_nothing_blocks(script: Script, frozen: FrozenClock, run: Run) -> None:
    blank = {"id": ID, "created": "2026-03-01T12:00:00Z", "updated": "2026-03-01T12:00:00Z", "default_queue_id": ID}
    script.on("GET", "/work_pools/local", blank | {"name": "local"})
    oldest = {"flow_run_id": ID, "name": "heron", "due_at": "2026-03-01T11:58:00Z"}
    queue = {"name": "high", "priority": 1, "is_paused": False, "active_slots": 2, "served": True, "due": 10000, "late": 9}
    pool = {"name": "local", "type": "process", "is_paused": False, "active_slots": 2, "workers": []}
    explained = pool | {"queues": [queue | {"more": True, "oldest": oldest}]}
    script.on("GET", "/work_pools/local/explain", explained)
    shown = run("work-pool", "explain", "local").out
    assert "│ 10000+ │" in shown
    assert shown.endswith(
        "high: nothing blocks its oldest run; the next poll with room takes it (heron, due 2 minutes ago)\n"
    )


def test_agents_the_last_failure_and_the_earliest_start(api: Client, run: Run) -> None:
    """A run that waits for another attempt says after what, and who could take it."""
    run("work-pool", "create", "local", "--type", "process")
    run("deploy", "--command", "true", "-n", "a", "-p", "local")
    run("deployment", "run", "a/a", "--flow-run-name", "otter", "--start-in", "2m")
    api.send(agents.claim(AgentClaimRequest(agent_id=UUID(ID), name="night", pool="local", room=0)))
    shown = lines(run("flow-run", "explain", "otter").out)
    [line] = [line for line in shown if line.startswith("can start    ")]
    assert " at the earliest (" in line, shown
    assert shown[shown.index("Agents that poll default:") + 1] == "    night  ONLINE, heartbeat just now, has 0 runs"


def test_a_run_that_is_being_started_is_told_with_what_was_logged_last(
    scripted: dict[str, Any], run: Run, script: Script
) -> None:
    word = {"timestamp": "2026-03-01T08:00:00Z", "name": "headgate.worker", "message": "Pulling image 'x'.\nIt is large."}
    gate = {
        "kind": "infrastructure pending",
        "message": "worker 'w' has been starting its infrastructure",
        "last_word": word,
    }
    scripted |= {
        "summary": "It starts.",
        "waiting": False,
        "state_type": "PENDING",
        "state_name": "Pending",
        "gates": [gate],
    }
    script.on("GET", f"/flow_runs/{ID}/explain", scripted | {"position": None})
    shown = run("flow-run", "explain", ID).out
    assert "What it waits for:\n    worker 'w' has been starting its infrastructure\n" in shown
    assert "by headgate.worker: Pulling image 'x'.\n" in shown


def test_a_likely_start_says_on_what_it_rests(scripted: dict[str, Any], run: Run, script: Script) -> None:
    at = f"{NOW + timedelta(minutes=4):%Y-%m-%dT%H:%M:%SZ}"
    estimate = {"start_time": at, "runs": 40, "deployments": ["a/1", "b/1", "c/1", "d/1"], "ahead": 2}
    script.on("GET", f"/flow_runs/{ID}/explain", scripted | {"estimate": estimate})
    shown = run("flow-run", "explain", ID).out
    assert "(in 4 minutes), by the last 40 runs of a/1, b/1, c/1, 1 more, 2 runs ahead\n" in shown


def test_a_run_of_no_pool_says_when_the_process_that_serves_it_polled(
    scripted: dict[str, Any], run: Run, script: Script
) -> None:
    polled = f"{NOW - timedelta(seconds=2):%Y-%m-%dT%H:%M:%SZ}"
    served = {"work_pool_name": None, "work_queue_name": None, "gates": [], "workers": [], "process_polled": polled}
    script.on("GET", f"/flow_runs/{ID}/explain", scripted | served | {"deployment_name": "etl/nightly"})
    shown = run("flow-run", "explain", ID).out
    assert "served by    a process of its own (last polled 2 seconds ago)\n" in shown
