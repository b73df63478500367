"""`headgate agent`: its options reach the agent, and agents are listed, drained and forgotten."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from command_line import NOW, Run
from scripted_api import Script

from headgate.cli import leaving
from headgate.client.calls import agents
from headgate.client.client import Client
from headgate.clock import FrozenClock
from headgate.schema.claims import AgentClaimRequest
from headgate.settings import Settings
from headgate.worker.agent import Poll

Started = list[tuple[Settings, dict[str, Any]]]

ONE, TWO = UUID(int=1), UUID(int=2)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    """What agents were started with, in place of starting them; each ends with exit code 7."""
    calls: Started = []

    def run_agent(settings: Settings, **options: Any) -> int:
        calls.append((settings, options))
        return 7

    monkeypatch.setattr("headgate.worker.start_agent.run_agent", run_agent)
    return calls


def test_start_hands_over_its_options(run: Run, started: Started) -> None:
    command = "agent start --api http://x/api --hide-welcome --limit 5 -p local -q a -q b --prefetch-seconds 2.5 --run-once"
    assert run(*command.split()).code == 7
    settings, options = started[0]
    assert options == {
        "poll": Poll("local", ("a", "b")),
        "limit": 5,
        "prefetch_seconds": 2.5,
        "run_once": True,
        "hide_welcome": True,
    }
    assert (settings.api_url, settings.agent_prefetch_seconds) == ("http://x/api", 2.5)


def test_start_has_defaults(run: Run, started: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    """The peer's environment names count, too."""
    monkeypatch.setenv("PREFECT_AGENT_PREFETCH_SECONDS", "3")
    monkeypatch.setenv("PREFECT_AGENT_QUERY_INTERVAL", "4")
    run("agent", "start", "--match", "dev-")
    settings, options = started[0]
    assert options == {
        "poll": Poll(match="dev-"),
        "limit": None,
        "prefetch_seconds": 3.0,
        "run_once": False,
        "hide_welcome": False,
    }
    assert (settings.api_url, settings.agent_query_interval) == (None, 4.0)


def test_options_have_their_short_names_and_no_defaults(run: Run, started: Started) -> None:
    run(*["agent", "start", "-p", "local", "--no-run-once"])
    run(*["agent", "start", "-p", "local", "-m", "foo-", "-l", "2"])
    run(*["agent", "start", "--work-queue", "a"])
    run(*["agent", "start", "--match", "foo-"])
    assert [(options["poll"], options["limit"], options["run_once"]) for _, options in started] == [
        (Poll("local"), None, False),
        (Poll("local", match="foo-"), 2, False),
        (Poll(queues=("a",)), None, False),
        (Poll(match="foo-"), None, False),
    ]


def test_the_api_is_that_of_the_environment_unless_one_is_given(
    run: Run, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("agent", "start", "-p", "local")
    monkeypatch.setenv("HEADGATE_API_URL", "http://here/api")
    run("agent", "start", "-p", "local")
    run("agent", "start", "-p", "local", "--api", "http://there/api")
    assert [settings.api_url for settings, _ in started] == [None, "http://here/api", "http://there/api"]


def test_interval_and_prefetch_may_stand_in_a_profile(run: Run, started: Started) -> None:
    run("config", "set", "HEADGATE_AGENT_QUERY_INTERVAL=4", "HEADGATE_AGENT_PREFETCH_SECONDS=60")
    run("agent", "start", "-p", "local")
    settings, options = started[0]
    assert (settings.agent_query_interval, options["prefetch_seconds"]) == (4.0, 60.0)


def test_a_prefetch_of_more_than_a_year_is_refused(run: Run, started: Started) -> None:
    outcome = run("agent", "start", "-p", "local", "--prefetch-seconds", "1e9")
    assert (outcome.code, started) == (1, [])
    assert "HEADGATE_AGENT_PREFETCH_SECONDS=1000000000.0" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "What is the agent to poll? Give --pool NAME, --work-queue NAME or --match PREFIX"),
        (["-q", "a", "-m", "b"], "Give --work-queue or --match b, not both"),
        (["-p", "local", "--limit", "0"], "--limit 0"),
        (["-p", "local", "--limit", "x"], "--limit"),
    ],
)
def test_a_wrong_option_starts_nothing(run: Run, started: Started, arguments: list[str], said: str) -> None:
    outcome = run("agent", "start", *arguments)
    assert outcome.code == 2
    assert said in outcome.err
    assert started == []


def test_ls_shows_who_is_online_first(
    run: Run, script: Script, frozen: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = {
        "id": ONE,
        "created": NOW,
        "updated": NOW,
        "name": "old",
        "work_pool_name": "local",
        "last_heartbeat_time": NOW - timedelta(hours=2),
        "status": "OFFLINE",
    }
    new = agent | {"id": TWO, "name": None, "work_queue_names": ["a", "b"], "status": "ONLINE", "draining": True}
    script.on("POST", "/agents/filter", [agent, new | {"last_heartbeat_time": NOW - timedelta(seconds=3)}])
    assert [line.split() for line in run("agent", "ls").out.splitlines()] == [
        ["Agents"],
        ["Name", "ID", "Polls", "Status", "Draining"],
        [str(TWO), "local/a,", "local/b", "ONLINE", "yes"],
        ["old", str(ONE), "local", "OFFLINE"],
    ]
    monkeypatch.setenv("COLUMNS", "160")
    assert "3 seconds ago" in run("agent", "ls").out
    assert [each["id"] for each in run("agent", "ls", "-o", "json").json] == [str(TWO), str(ONE)]
    run("agent", "ls", "--pool", "local")
    assert script.requests[-1][2]["agents"]["work_pool_name"]["any_"] == ["local"]


@pytest.fixture
def known(api: Client, run: Run) -> UUID:
    """The agent `quick-fox`, which polls the prefix `dev-`."""
    id = uuid4()
    api.send(agents.claim(AgentClaimRequest(agent_id=id, name="quick-fox", match="dev-", heartbeat_interval_seconds=5)))
    return id


def test_inspect_shows_every_field_by_name_or_id(known: UUID, run: Run) -> None:
    [agent] = run("agent", "ls", "-o", "json").json
    assert (agent["id"], agent["work_queue_prefix"]) == (str(known), "dev-")
    for word in ("quick-fox", str(known)):
        assert run("agent", "inspect", word, "-o", "json").json == agent
    shown = run("agent", "inspect", "quick-fox").out
    assert shown.startswith("Agent(\n    id='")
    assert all(f"\n    {key}=" in shown for key in agent)


def test_drain_asks_an_agent_to_leave(known: UUID, run: Run) -> None:
    outcome = run("agent", "drain", "quick-fox")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == "Agent 'quick-fox' drains: it finishes its runs and leaves\n"
    assert run("agent", "inspect", "quick-fox", "-o", "json").json["draining"]


def test_drain_waits_until_the_agent_is_off_the_list(run: Run, script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaving, "POLL_SECONDS", 0)
    record = {"id": ONE, "created": NOW, "updated": NOW, "name": "a", "status": "ONLINE"}
    script.on("GET", f"/agents/{ONE}", record, record, record | {"status": "OFFLINE"})
    script.on("POST", f"/agents/{ONE}/drain", None)
    assert run("agent", "drain", str(ONE), "--wait").out.endswith("\nAgent 'a' has left\n")
    assert len(script.answers["GET", f"/agents/{ONE}"]) == 1


def test_forget_takes_an_agent_off_the_list(known: UUID, run: Run) -> None:
    outcome = run("agent", "forget", str(known))
    assert (outcome.code, outcome.out) == (0, "Forgot agent 'quick-fox'\n")
    assert outcome.err.startswith("Warning: Agent 'quick-fox' was online a moment ago")
    assert run("agent", "ls", "-o", "json").json == []


def test_forget_warns_of_nothing_when_the_agent_is_offline(run: Run, script: Script) -> None:
    record = {"id": ONE, "created": NOW, "updated": NOW, "status": "OFFLINE"}
    script.on("GET", f"/agents/{ONE}", record)
    script.on("DELETE", f"/agents/{ONE}", None)
    outcome = run("agent", "forget", str(ONE))
    assert (outcome.out, outcome.err) == (f"Forgot agent {ONE}\n", "")


@pytest.mark.parametrize("command", ["inspect", "drain", "forget"])
def test_an_agent_that_is_not_there_is_named(known: UUID, run: Run, command: str) -> None:
    for word in ("nobody", str(ONE)):
        outcome = run("agent", command, word)
        assert (outcome.code, outcome.out) == (1, "")
        assert outcome.err == f"Error: There is no agent {word!r}; `headgate agent ls` lists all.\n"


def test_a_name_that_several_have_needs_an_id(known: UUID, api: Client, run: Run) -> None:
    other = uuid4()
    api.send(agents.claim(AgentClaimRequest(agent_id=other, name="quick-fox", match="dev-")))
    outcome = run("agent", "inspect", "quick-fox")
    assert outcome.code == 2
    assert all(text in outcome.err for text in ("Several agents are named 'quick-fox'", str(known), str(other)))
