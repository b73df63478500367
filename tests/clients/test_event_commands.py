"""Events and automations, raw requests, and what is moved from one server to another, by the commands about them."""

import json
import signal
from pathlib import Path
from typing import Any

from prefect_client import Prefect
from project_files import with_project
from real_system import System
from scenario import NEWEST, OLDER, THREE, TWO, scenario

from headgate.client.calls import (
    automations,
    concurrency_limits,
    deployments,
    events,
    flows,
    variables,
    work_pools,
    work_queues,
)
from headgate.schema.automations import AutomationCreate
from headgate.schema.events import Event

AUTOMATION: dict[str, Any] = {
    "name": "told",
    "description": "of failures",
    "trigger": {"type": "event", "posture": "Reactive", "expect": ["order.*"], "threshold": 1, "within": 0},
    "actions": [{"type": "do-nothing"}],
}


EVENTS = {"PREFECT_EXPERIMENTAL_EVENTS": "true"}
"""Without this, 2.x knows nothing of them."""


def named(system: System, name: str) -> list[Event]:
    """The events of this name that the server keeps."""
    return [each for each in system.client.send(events.query()).events if each.event == name]


@scenario("event emit", on=THREE)
def test_an_event_is_sent(prefect: Prefect) -> None:
    more = ("--payload", '{"n": 3}', "--related", '{"prefect.resource.id": "shop", "prefect.resource.role": "seller"}')
    prefect("event", "emit", "order.shipped", "--resource-id", "order-1", *more)
    [kept] = prefect.system.until(lambda: named(prefect.system, "order.shipped"), "the event")
    assert kept.resource["prefect.resource.id"] == "order-1"
    assert kept.payload == {"n": 3}
    assert [each["prefect.resource.role"] for each in kept.related] == ["seller"]
    prefect("event", "emit", "order.lost", code=1)
    assert not named(prefect.system, "order.lost")


@scenario("event stream", on=(NEWEST, OLDER, TWO))
def test_events_are_followed(prefect: Prefect) -> None:
    """Those of clients, and those that are read off the states of runs."""
    with_project(prefect)
    follower = prefect.start("event", "stream", "--format", "text", env=EVENTS)
    prefect.system.wait_for_text(follower, "Subscribing")
    made: list[str] = []

    def is_shown() -> bool:
        """It says that it follows before it does: what happens until then it does not show."""
        made.append(f"prefect.flow-run.Scheduled prefect.flow-run.{prefect.system.create_run('family/one')}")
        return any(line in follower.text for line in made)

    prefect.system.until(is_shown, "the event of a run")
    follower.signal(signal.SIGINT)
    follower.wait()


def kept(prefect: Prefect) -> list[tuple[str, bool]]:
    """The automations on the server, and whether they are on."""
    return [(each.name, each.enabled) for each in prefect.system.client.send(automations.query())]


def switches_and_deletes(prefect: Prefect) -> None:
    """What is there can be seen, switched and deleted, by its name and by its id."""
    assert "told" in prefect("automation", "ls").text
    shown = prefect("automation", "inspect", "told", "--json").json
    [shown] = shown if isinstance(shown, list) else [shown]
    assert shown["trigger"]["expect"] == ["order.*"]
    prefect("automation", "pause", "told")
    assert kept(prefect) == [("told", False)]
    prefect("automation", "resume", "--id", shown["id"])
    assert kept(prefect) == [("told", True)]
    assert "not found" in prefect("automation", "inspect", "other", code=1).text
    prefect("automation", "delete", "--id", shown["id"], answers="y\n")
    assert kept(prefect) == []


AUTOMATIONS = tuple(f"automation {verb}" for verb in ("ls", "inspect", "pause", "resume", "delete"))


@scenario("automation create", *AUTOMATIONS, on=THREE)
def test_an_automation_is_kept(prefect: Prefect) -> None:
    (prefect.directory / "told.json").write_text(json.dumps(AUTOMATION))
    prefect("automation", "create", "--from-file", "told.json")
    wrong = AUTOMATION | {"name": "wrong", "actions": [{"type": "run-deployment", "source": "selected"}]}
    prefect("automation", "create", "--from-json", json.dumps(wrong), code=1)
    assert kept(prefect) == [("told", True)]
    switches_and_deletes(prefect)


@scenario("automation update", on=(NEWEST,))
def test_an_automation_is_replaced(prefect: Prefect) -> None:
    made = prefect.system.client.send(automations.create(AutomationCreate(**AUTOMATION)))
    prefect("automation", "update", "--id", str(made.id), "--from-json", json.dumps(AUTOMATION | {"name": "renamed"}))
    assert kept(prefect) == [("renamed", True)]


@scenario(*AUTOMATIONS, on=(TWO,))
def test_an_automation_is_switched_by_version_2(prefect: Prefect) -> None:
    prefect.env |= EVENTS
    prefect.system.client.send(automations.create(AutomationCreate(**AUTOMATION)))
    switches_and_deletes(prefect)


@scenario("api", on=THREE)
def test_requests_are_made_by_hand(prefect: Prefect) -> None:
    """What the server refuses is an exit code of its own, with the reason."""
    made = prefect("api", "POST", "/flows/", "--data", '{"name": "by-hand"}').json
    assert prefect.system.client.send(flows.get_by_name("by-hand")).id.hex == made["id"].replace("-", "")
    assert [each["id"] for each in prefect("api", "POST", "/flows/filter").json] == [made["id"]]
    assert "422" in prefect("api", "POST", "/flows/", "--data", "{}", code=4).text
    prefect("api", "DELETE", f"/flows/{made['id']}")
    assert prefect.system.client.send(flows.query()) == []
    assert "404" in prefect("api", "GET", f"/flows/{made['id']}", code=4).text


BEFORE = """
from prefect.blocks.system import Secret
from prefect.variables import Variable
Variable.set("v", {"n": 1})
Secret(value="hidden").save("mine")
"""

AFTER = """
from prefect.blocks.system import Secret
assert Secret.load("mine").get() == "hidden"
"""


@scenario("transfer", on=THREE, extended=True)
def test_everything_is_transferred_to_another_server(prefect: Prefect, tmp_path: Path) -> None:
    """Pools, queues, flows, deployments, limits, variables, blocks and automations; a second time nothing is made twice.

    These clients pass over a pool's first queue, which comes with its pool, and with it over the deployments in that queue.
    """
    with_project(prefect)
    prefect.script(BEFORE)
    prefect("global-concurrency-limit", "create", "g", "--limit", "3")
    prefect("work-pool", "set-concurrency-limit", "local", "7")
    prefect("work-queue", "create", "extra", "--pool", "local", "--limit", "2")
    prefect.system.client.send(automations.create(AutomationCreate(**AUTOMATION)))
    root = tmp_path / "target"
    root.mkdir()
    with System(root) as target:
        target.start_server()
        prefect.profiles(here=prefect.system.url, there=target.url)
        for _ in range(2):
            done = prefect.alone("transfer", "--from", "here", "--to", "there")
            assert "Failed" not in done, done
        ask = target.client.send
        assert ask(work_pools.get("local")).concurrency_limit == 7
        queues = {queue.name: queue.concurrency_limit for queue in ask(work_queues.query("local"))}
        assert queues == {"default": None, "special": None, "extra": 2}
        moved = ask(deployments.get_by_name("family", "one"))
        assert (moved.work_pool_name, moved.work_queue_name, moved.parameters) == ("local", "special", {"n": 5})
        assert len(moved.schedules) == 2
        assert ask(variables.get_by_name("v")).value == {"n": 1}
        assert ask(concurrency_limits.get("g")).limit == 3
        assert [each.name for each in ask(automations.query())] == ["told"]
        target.until(lambda: len(named(target, "prefect.workspace.transfer.completed")) == 2, "the word that it is over")
        prefect.env["PREFECT_API_URL"] = target.url
        prefect.script(AFTER)
