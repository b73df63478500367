"""Task workers: each task run that was put off goes to one of them, and to another one when that leaves without a word."""

import asyncio
from typing import Any

import pytest

PATH = "/task_runs/subscriptions/scheduled"


async def put_off(api: Any, name: str, task: str = "mytasks.a", **details: Any) -> str:
    """A task run that waits for a task worker; its id."""
    state = {"type": "SCHEDULED", "state_details": {"deferred": True, "task_parameters_id": PARAMETERS, **details}}
    made = await api.post("/task_runs/", {"name": name, "task_key": task, "dynamic_key": name, "state": state})
    assert made.status == 201
    id: str = made.json["id"]
    return id


PARAMETERS = "01a200d8-0000-7000-8000-00000000000a"


async def subscribe(socket: Any, *tasks: str, name: str = "worker") -> None:
    await socket.send({"type": "subscribe", "keys": tasks or ["mytasks.a"], "client_id": name})


async def take(socket: Any, answer: str = "ack") -> str:
    """The id of the next task run, acknowledged."""
    run = await socket.next()
    await socket.send({"type": answer})
    id: str = run["id"]
    return id


async def test_what_waits_is_given_whole_and_in_its_order(api: Any) -> None:
    first, second = await put_off(api, "one"), await put_off(api, "two")
    await put_off(api, "of another", task="theirs")
    async with api.socket(PATH) as socket:
        await subscribe(socket)
        run = await socket.next()
        assert run == (await api.get(f"/task_runs/{first}")).json
        assert run["state"]["state_details"]["task_parameters_id"] == PARAMETERS
        await socket.send({"type": "ack"})
        assert await take(socket) == second
        third = await put_off(api, "three")
        assert await take(socket, "quit") == third
        assert await socket.next() is None
        assert socket.closed == (1000, "")


async def test_no_two_are_given_the_same_one(api: Any) -> None:
    ids = [await put_off(api, f"run {number}") for number in range(6)]
    async with api.socket(PATH) as one, api.socket(PATH) as other:
        given: list[str] = []

        async def work(socket: Any) -> None:
            await subscribe(socket)
            while len(given) < len(ids):
                given.append(await take(socket))

        both = [asyncio.create_task(work(socket)) for socket in (one, other)]
        await asyncio.wait(
            both, return_when=asyncio.FIRST_COMPLETED
        )  # the other one waits for more: who is given how many is open
        for task in both:
            task.cancel()
        await asyncio.gather(*both, return_exceptions=True)
    assert sorted(given) == sorted(ids)


@pytest.mark.parametrize("word", [None, {"type": "what"}, "nonsense"])
async def test_what_was_not_acknowledged_is_given_to_the_next(api: Any, word: Any) -> None:
    id = await put_off(api, "one")
    async with api.socket(PATH) as socket:
        await subscribe(socket)
        assert (await socket.next())["id"] == id
        if word is not None:
            await socket.send(word)
            assert await socket.next() is None
            assert socket.closed == (4001, "Protocol violation: expected 'ack' message")
    async with api.socket(PATH) as socket:
        await subscribe(socket)
        assert await take(socket, "quit") == id


async def test_what_does_not_wait_is_not_given(api: Any) -> None:
    """It was cancelled, deleted, or never put off: what a flow run has scheduled, or will be tried again by who ran it."""
    cancelled, deleted, last = await put_off(api, "one"), await put_off(api, "two"), await put_off(api, "four")
    await api.post(f"/task_runs/{cancelled}/set_state", {"state": {"type": "CANCELLED"}, "force": True})
    await api.delete(f"/task_runs/{deleted}")
    state, retried = {"type": "SCHEDULED"}, {"type": "SCHEDULED", "name": "AwaitingRetry"}
    flow_run = (await api.post("/flow_runs/", {"flow_id": (await api.post("/flows/", {"name": "f"})).json["id"]})).json["id"]
    for body in ({"flow_run_id": flow_run, "state": state}, {"state": retried}):
        made = await api.post("/task_runs/", {"name": "three", "task_key": "mytasks.a", "dynamic_key": "three", **body})
        assert made.status == 201
    async with api.socket(PATH) as socket:
        await subscribe(socket)
        assert await take(socket, "quit") == last


async def test_a_task_run_without_a_flow_run_waits_once_it_is_scheduled(api: Any) -> None:
    """So clients of 2.20 submit a task that is to run in the background; they know no `deferred`."""
    body = {"name": "r", "task_key": "mytasks.a", "dynamic_key": "r", "state": {"type": "SCHEDULED", "name": "Scheduled"}}
    made = (await api.post("/task_runs/", body)).json
    async with api.socket(PATH) as socket:
        await subscribe(socket)
        assert await take(socket, "quit") == made["id"]


async def test_one_that_is_put_off_again_is_given_again(api: Any) -> None:
    id = await put_off(api, "one")
    async with api.socket(PATH) as socket:
        await subscribe(socket)
        assert await take(socket) == id
        state = {"type": "SCHEDULED", "name": "AwaitingRetry", "state_details": {"deferred": True}}
        assert (await api.post(f"/task_runs/{id}/set_state", {"state": state, "force": True})).status == 201
        assert (await socket.next())["state_name"] == "AwaitingRetry"


async def test_no_task_waits_for_ever_behind_another(api: Any) -> None:
    for number in range(3):
        await put_off(api, f"run {number}")
    id = await put_off(api, "b", task="mytasks.b")
    async with api.socket(PATH) as socket:
        await subscribe(socket, "mytasks.a", "mytasks.b")
        assert id in [await take(socket) for _ in range(2)]


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        ("nonsense", "'subscribe' message"),
        ({"type": "ack"}, "'subscribe' message"),
        ({"type": "subscribe", "client_id": "w"}, "'keys' in subscribe message"),
        ({"type": "subscribe", "keys": ["a"]}, "'client_id' in subscribe message"),
    ],
)
async def test_who_does_not_subscribe_is_sent_away(api: Any, frame: Any, expected: str) -> None:
    async with api.socket(PATH) as socket:
        await socket.send(frame)
        assert await socket.next() is None
        assert socket.closed == (4001, f"Protocol violation: expected {expected}")


async def test_who_is_connected_is_listed(api: Any) -> None:
    async def names(*tasks: str) -> list[str]:
        found = (await api.post("/task_workers/filter", {"task_worker_filter": {"task_keys": tasks}})).json
        return [each["identifier"] for each in found]

    async with api.socket(PATH) as one, api.socket(PATH) as other:
        await subscribe(one, "a", "b", name="one")
        await subscribe(other, "b", name="other")
        await one.taken()
        await other.taken()
        assert (await api.post("/task_workers/filter", {})).json == [
            {"identifier": "one", "task_keys": ["a", "b"], "timestamp": api.clock().isoformat().replace("+00:00", "Z")},
            {"identifier": "other", "task_keys": ["b"], "timestamp": api.clock().isoformat().replace("+00:00", "Z")},
        ]
        assert (await names("a"), await names("b"), await names("c")) == (["one"], ["one", "other"], [])
        api.clock.advance(seconds=3600)
        assert await names() == []  # nobody heard of them for long
    assert await names() == []
