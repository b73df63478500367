"""A loop that stalls is noticed by a thread, told with its stacks, and replaced; a holder that cannot be helped leaves."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headgate.worker.agent import Agent
from headgate.worker.watchdog import EXIT_STALLED, Pulse, Watchdog

Start = Callable[..., Any]


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Deaf:
    """An API call that never ends, and does not hear that it is given up."""

    def __init__(self) -> None:
        self.calls = 0
        self.released = asyncio.Event()

    async def __call__(self, *_: Any, **__: Any) -> Any:
        self.calls += 1
        while not self.released.is_set():
            try:
                await self.released.wait()
            except asyncio.CancelledError:
                continue
        raise TimeoutError


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is awaited is another task's
            await asyncio.sleep(0)


class Kennel:
    """A watchdog whose thread is not started, and what it did."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.done: list[str] = []
        self.dog = Watchdog(
            "Worker 'w'",
            logger=logging.getLogger("headgate.worker.test"),
            give_up=lambda: self.done.append("gave up"),
            abort=lambda: self.done.append("aborted"),
            clock=self.clock,
        )

    async def pass_by(self, seconds: float) -> None:
        """Time passes, with the thread's looks in between."""
        for _ in range(int(seconds / 5)):
            self.clock.now += 5
            self.dog.look()
            await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def _ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The event loop says with every turn that it is alive, whatever a test's clock says."""
    monkeypatch.setattr("headgate.worker.watchdog._TICK", 0.0)


@pytest.fixture
def kennel() -> Kennel:
    return Kennel()


async def test_a_loop_that_moves_is_left_alone(kennel: Kennel, caplog: pytest.LogCaptureFixture) -> None:
    turns, turn = 0, asyncio.Event()

    async def body(pulse: Pulse) -> None:
        nonlocal turns
        while turns < 5:
            pulse.expect(60)
            await turn.wait()
            turn.clear()
            turns += 1
            pulse.passed()

    with kennel.dog.watching():
        task = asyncio.create_task(kennel.dog.keep("claim loop", body))
        for _ in range(5):
            await asyncio.sleep(0)
            kennel.clock.now += 5
            kennel.dog.look()
            turn.set()
            await until(lambda: not turn.is_set())
        await task
    assert (turns, kennel.done, caplog.text) == (5, [], "")


async def test_a_stalled_loop_is_replaced_though_it_does_not_end(kennel: Kennel, caplog: pytest.LogCaptureFixture) -> None:
    deaf = Deaf()
    moving = asyncio.Event()

    async def body(pulse: Pulse) -> None:
        pulse.expect(60)
        if not deaf.calls:
            await deaf()
        pulse.passed()
        moving.set()

    with kennel.dog.watching():
        task = asyncio.create_task(kennel.dog.keep("claim loop", body))
        await until(lambda: deaf.calls == 1)
        await kennel.pass_by(85)
        assert not moving.is_set()
        await kennel.pass_by(10)
        async with asyncio.timeout(10):
            await task
    deaf.released.set()
    assert "Worker 'w' stalls: its claim loop has not moved for 95 s. It is started again." in caplog.text
    assert "await deaf()" in caplog.text, "the stack of the loop"
    assert "Thread MainThread" in caplog.text
    assert kennel.done == []


async def test_a_loop_that_stalls_again_is_given_up_once(kennel: Kennel) -> None:
    deaf = Deaf()

    async def body(pulse: Pulse) -> None:
        pulse.expect(0)
        await deaf()

    with kennel.dog.watching():
        task = asyncio.create_task(kennel.dog.keep("heartbeat", body))
        await until(lambda: deaf.calls == 1)
        await kennel.pass_by(35)
        await until(lambda: deaf.calls == 2)
        assert kennel.done == []
        await kennel.pass_by(35)
        async with asyncio.timeout(10):
            await task
    deaf.released.set()
    assert kennel.done == ["gave up"]


async def test_a_loop_that_works_again_is_forgiven(kennel: Kennel) -> None:
    stalls = asyncio.Event()
    begun = 0

    async def body(pulse: Pulse) -> None:
        nonlocal begun
        begun += 1
        pulse.expect(0)
        pulse.passed()
        await stalls.wait()

    with kennel.dog.watching():
        task = asyncio.create_task(kennel.dog.keep("heartbeat", body))
        for count in range(1, 5):
            await until(lambda count=count: begun == count)  # type: ignore[misc]
            await kennel.pass_by(35)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert kennel.done == []


async def test_a_blocked_event_loop_ends_the_process(kennel: Kennel, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing in it can leave in order any more. The test is what blocks it: it does not let the loop turn."""
    with kennel.dog.watching():
        await until(lambda: bool(kennel.dog._pulses))
        for _ in range(13):
            kennel.clock.now += 5
            kennel.dog.look()
        assert kennel.done == []
        assert "its event loop has not moved for 65 s. Something blocks it." in caplog.text
        for _ in range(7):
            kennel.clock.now += 5
            kennel.dog.look()
    assert kennel.done == ["aborted"]


async def test_a_process_that_was_stopped_itself_does_not_stall(kennel: Kennel, caplog: pytest.LogCaptureFixture) -> None:
    """Like after SIGSTOP, or on a machine that was asleep."""
    with kennel.dog.watching():
        await until(lambda: bool(kennel.dog._pulses))
        kennel.dog.look()
        kennel.clock.now += 10_000
        kennel.dog.look()
        kennel.clock.now += 5
        kennel.dog.look()
    assert (kennel.done, caplog.text) == ([], "")


# --- in workers and agents


def time_is_up(working: Any, loop: str) -> None:
    """For one loop of a worker, as if it had not moved for as long as it may."""
    dog = working.worker.watchdog
    dog._pulses[loop].due = -1.0
    dog.look()


@pytest.fixture(params=["worker", "agent"])
def start(request: pytest.FixtureRequest, work: Start, agent: Start) -> Start:
    """Starts a worker or an agent."""
    return work if request.param == "worker" else agent


def pool_of(working: Any) -> str:
    return "agents" if isinstance(working.worker, Agent) else "pool"


async def test_a_claim_that_never_returns_does_not_keep_a_holder_from_claiming(
    api: Any, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """#11747: alive, no errors, no polls."""
    deaf, claim, claim_for_agent = Deaf(), api._claim, api._claim_for_agent
    api._claim = api._claim_for_agent = deaf
    working = start()
    await api.until(lambda: deaf.calls)
    api._claim, api._claim_for_agent = claim, claim_for_agent
    run = api.add_run(command="true", pool=pool_of(working))
    time_is_up(working, "claim loop")
    await api.until(lambda: run.types[-1] == "COMPLETED")
    deaf.released.set()
    assert f"{working.worker.title} stalls: its claim loop has not moved" in caplog.text


async def test_a_heartbeat_that_never_returns_does_not_cost_the_leases(api: Any, start: Start) -> None:
    working = start()
    run = api.add_run(command="sleep 60", pool=pool_of(working))
    await api.until_held(run)
    deaf, renew, renew_for_agent = Deaf(), api._renew, api._renew_for_agent
    api._renew = api._renew_for_agent = deaf
    await api.until(lambda: deaf.calls)
    api._renew, api._renew_for_agent = renew, renew_for_agent
    count = len(api.renewals)
    time_is_up(working, "heartbeat")
    await api.until(lambda: len(api.renewals) > count + 1)
    deaf.released.set()
    assert run.types[-1] == "RUNNING"


async def test_a_holder_that_stalls_again_finishes_what_it_has_and_leaves_with_an_error(
    api: Any, start: Start, tmp_path: Path
) -> None:
    working = start()
    run = api.add_run(command=f"sh -c 'while [ ! -e {tmp_path}/gate ]; do sleep 0.05; done'", pool=pool_of(working))
    await api.until_held(run)
    deaf = Deaf()
    api._claim = api._claim_for_agent = deaf
    api.add_run(command="true", queue="q", pool=pool_of(working))  # the open call is answered
    await api.until(lambda: deaf.calls == 1)
    time_is_up(working, "claim loop")
    await api.until(lambda: deaf.calls == 2)
    time_is_up(working, "claim loop")
    await until(working.worker._stopping.is_set)
    (tmp_path / "gate").touch()
    await working.ended()
    deaf.released.set()
    assert run.types[-1] == "COMPLETED"
    assert working.worker.exit_code == EXIT_STALLED
