"""What the documents say of workers and agents alike: how often they ask, how far ahead, and how much they take."""

from typing import Any

import pytest

from headgate.settings import Settings
from headgate.worker.worker import default_name

KINDS = {"worker": "pool", "agent": "agents"}
"""The pool that each polls."""


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def start(work: Any, agent: Any, kind: str) -> Any:
    """`start(once=True, limit=…)`: a worker or an agent on the fake API."""
    return {"worker": work, "agent": agent}[kind]


async def test_by_default_it_asks_every_15_seconds_for_what_is_due_within_10(api: Any, start: Any) -> None:
    start(settings=Settings())
    await api.until(lambda: api.claims)
    assert (api.claims[-1].wait_seconds, api.claims[-1].prefetch_seconds) == (15.0, 10.0)


async def test_with_nothing_due_it_keeps_one_call_open(api: Any, start: Any) -> None:
    """Whatever time passes, and however many heartbeats."""
    start()
    await api.until(lambda: api.claims and len(api.renewals) >= 5)
    assert len(api.claims) == 1
    assert not [request for request in api.requests if "claim" not in request and "renew" not in request]


async def test_no_more_runs_at_a_time_than_its_limit(api: Any, start: Any, kind: str) -> None:
    """And a slot that becomes free is used."""
    code = "import time; print('+', flush=True); time.sleep(0.1); print('-', flush=True)"
    for _ in range(5):
        api.add_run(pool=KINDS[kind], engine=code)
    working = start(limit=2)
    await api.until(lambda: len(working.output) == 10)
    running = [sum(1 if sign == "+" else -1 for sign in working.output[: n + 1]) for n in range(10)]
    assert max(running) <= 2
    assert max(claim.room for claim in api.claims) == 2


async def test_without_a_limit_all_that_is_due_is_taken(api: Any, start: Any, kind: str) -> None:
    runs = [api.add_run(pool=KINDS[kind], engine="import time; time.sleep(60)") for _ in range(6)]
    start()
    await api.until_held(*runs)
    assert api.claims[-1].room == api.claims[0].room, "what it has takes nothing from what it asks for"


async def test_a_flow_where_headgate_is_not_installed_says_so(api: Any, start: Any, kind: str) -> None:
    """Here a Python that sees no installed packages takes the place of the environment without them."""
    command = "python3 -I -S -m headgate.flows.engine"
    run = api.add_run(pool=KINDS[kind], job_variables={"command": command})
    await start(once=True).ended()
    assert run.types[-1] == "CRASHED"
    assert any("No module named" in message and "headgate" in message for message in api.messages(run))


def test_names_that_are_made_up_are_different() -> None:
    names = [default_name("process") for _ in range(100)]
    assert len(set(names)) == 100
    assert all(name.startswith("ProcessWorker ") for name in names)
