"""A worker looks after the processes of another that died: watches them, stops them when told to, touches no others."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from msgspec import structs

from headgate.schema.claims import Lease, Stray
from headgate.schema.states import StateCreate, StateType
from headgate.worker.infra.process import ProcessInfrastructure
from headgate.worker.infra.remnants import Remnant, find, identify, site

Start = Callable[..., "Orphan"]

DEAF = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import os, time; os.write(1, b'up\\\\n'); time.sleep(600)"])
os.write(1, b"%d\\n" % child.pid)
time.sleep(600)
"""
LEAVES = """
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import os, time; os.write(1, b'up\\\\n'); time.sleep(600)"])
os.write(1, b"%d\\n" % child.pid)
sys.stdin.read()
os._exit(0)
"""


class Orphan:
    """A run's process in a session of its own, started by nobody who looks after it."""

    def __init__(self, code: str, run_id: UUID, *, marked: bool = True, lines: int = 0) -> None:
        env = dict(os.environ) | ({"HEADGATE__FLOW_RUN_ID": str(run_id)} if marked else {})
        self.process = subprocess.Popen(
            [sys.executable, "-c", code], env=env, start_new_session=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self.process.stdout is not None
        said = [self.process.stdout.readline().decode().strip() for _ in range(lines)]
        self.child = next((int(line) for line in said if line.isdigit()), 0)
        self.run_id = run_id
        self.handle = identify(self.process.pid) or ""

    def end(self) -> None:
        """Have it leave by itself."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[Orphan] = []

    def make(code: str = "import time; time.sleep(600)", run_id: UUID | None = None, **options: Any) -> Orphan:
        started.append(Orphan(code, run_id or uuid4(), **options))
        return started[-1]

    yield make
    for each in started:
        for pid in (each.process.pid, each.child):
            if pid and alive(pid):
                os.kill(pid, signal.SIGKILL)
        each.process.wait()
        for pipe in (each.process.stdin, each.process.stdout):
            assert pipe is not None
            pipe.close()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_what_is_stopped_is_gone_with_all_that_it_started(start: Start) -> None:
    orphan = start(DEAF, lines=2)
    remnant = find(orphan.handle, orphan.run_id)
    assert remnant is not None
    await remnant.stop(0.1)
    assert not alive(orphan.process.pid)
    assert not alive(orphan.child)
    assert find(orphan.handle, orphan.run_id) is None


async def test_a_number_that_is_another_process_by_now_is_never_signalled(start: Start) -> None:
    """Also where the remnant was found while the number was still the run's."""
    run_id, other = uuid4(), start(marked=False)
    pid, started = map(int, other.handle.split())
    remnant = Remnant(pid, started - 1, run_id)
    assert find(f"{pid} {started - 1}", run_id) is None
    assert find("what is this", run_id) is None
    await remnant.stop(0.0)
    await remnant.stop(1.0)
    await remnant.gone()
    assert alive(pid)


@pytest.mark.parametrize("marked", [True, False])
async def test_what_a_run_left_in_its_group_is_its_own_only_where_it_says_so(start: Start, marked: bool) -> None:
    """Its leader is gone, so the number of the group proves nothing."""
    orphan = start(LEAVES, lines=2, marked=marked)
    orphan.end()
    remnant = find(orphan.handle, orphan.run_id)
    assert (remnant is not None) is marked
    if remnant is not None:
        await remnant.gone()
        await remnant.stop(5.0)
    assert alive(orphan.child) is not marked


async def test_the_end_of_what_is_watched_is_seen(start: Start) -> None:
    orphan = start("import sys; sys.stdin.read()")
    remnant = find(orphan.handle, orphan.run_id)
    assert remnant is not None
    watching = asyncio.create_task(remnant.gone())
    await asyncio.sleep(0)
    assert not watching.done()
    orphan.end()
    async with asyncio.timeout(10):
        await watching


# --- a worker on the fake API


def stray_of(api: Any, orphan: Orphan, run: Any, *kinds: StateType) -> None:
    """Have the API hand a run over, whose infrastructure is that process."""
    for kind in (StateType.PENDING, *kinds):
        api.enter(run, StateCreate(type=kind))
    run.worker, run.record.fence = "w", 3
    lease = Lease(flow_run_id=run.record.id, fence=3, expires_at=datetime.now(UTC))
    api.strays.append(Stray(lease=lease, name=run.record.name, handle=orphan.handle))


async def test_it_stops_a_cancelled_run_and_reports_once_nothing_is_left(
    api: Any, work: Any, start: Start, settings: Any
) -> None:
    """#21616: the first worker died; SIGTERM, the grace, SIGKILL, and only then Cancelled, under the run's fence."""
    run = api.add_run()
    orphan = start(DEAF, run.record.id, lines=2)
    stray_of(api, orphan, run, StateType.RUNNING, StateType.CANCELLING)
    seen: list[bool] = []
    enter = api.enter

    def watch(entered: Any, state: StateCreate) -> None:
        seen.append(alive(orphan.process.pid) or alive(orphan.child))
        enter(entered, state)

    api.enter = watch
    work(settings=structs.replace(settings, worker_cancel_grace_seconds=0.2))
    await api.until(lambda: run.types[-1] == "CANCELLED")
    assert seen == [False]
    assert any("looks after it" in message for message in api.messages(run))


async def test_a_run_that_lives_is_kept_until_it_ends(api: Any, work: Any, start: Start) -> None:
    """Its lease is renewed here; what ends without a report of its own is Crashed as lost."""
    run = api.add_run()
    orphan = start("import sys; sys.stdin.read()", run.record.id)
    stray_of(api, orphan, run, StateType.RUNNING)
    work()
    await api.until(lambda: any(lease.fence == 3 for renewal in api.renewals for lease in renewal.leases))
    assert run.types[-1] == "RUNNING"
    count = len(api.claims)
    orphan.end()
    await api.until(lambda: run.types[-1] == "CRASHED")
    assert run.record.state.state_details.crash_reason == "lost"
    assert len(api.claims) <= count + 2, "it is not told again of what it looks after"


async def test_a_run_that_is_gone_is_reported_at_once(api: Any, work: Any, start: Start) -> None:
    run = api.add_run()
    orphan = start("", run.record.id)
    orphan.end()
    stray_of(api, orphan, run, StateType.RUNNING)
    work()
    await api.until(lambda: run.types[-1] == "CRASHED")
    assert "was no longer there" in run.record.state.message


async def test_a_run_that_reported_its_end_is_left_as_it_is(api: Any, work: Any, start: Start) -> None:
    run = api.add_run()
    orphan = start("import sys; sys.stdin.read()", run.record.id)
    stray_of(api, orphan, run, StateType.RUNNING)
    working = work()
    await api.until(lambda: api.renewals and api.renewals[-1].leases)
    api.enter(run, StateCreate(type=StateType.COMPLETED))
    orphan.end()
    await api.until(lambda: api.renewals and not api.renewals[-1].leases)
    working.worker.stop()
    await working.ended()
    assert run.types[-1] == "COMPLETED"


async def test_a_watched_run_is_cancelled_here(api: Any, work: Any, start: Start) -> None:
    run = api.add_run()
    orphan = start(run_id=run.record.id)
    stray_of(api, orphan, run, StateType.RUNNING)
    work()
    await api.until(lambda: api.renewals and api.renewals[-1].leases)
    api.enter(run, StateCreate(type=StateType.CANCELLING))
    await api.until(lambda: run.types[-1] == "CANCELLED")
    assert not alive(orphan.process.pid)


@pytest.mark.parametrize("how", ["stop", "drain", "halt"])
async def test_a_worker_that_leaves_lets_go_of_what_it_only_watches(api: Any, work: Any, start: Start, how: str) -> None:
    run = api.add_run()
    orphan = start(run_id=run.record.id)
    stray_of(api, orphan, run, StateType.RUNNING)
    working = work()
    await api.until(lambda: api.renewals and api.renewals[-1].leases)
    getattr(working.worker, how)()
    await working.ended()
    assert alive(orphan.process.pid)
    assert run.types[-1] == "RUNNING"


async def test_its_heartbeats_say_where_it_finds_processes_and_its_runs_how_they_are_found(api: Any, work: Any) -> None:
    here = site()
    assert here == ProcessInfrastructure().site
    assert here is not None
    bodies: list[Any] = []
    update = api._update_run

    async def keep(body: bytes, id: str) -> Any:
        bodies.append(body)
        return await update(body, id)

    api._update_run = keep
    run = api.add_run(engine="import time; time.sleep(60)")
    work()
    await api.until_held(run)
    assert {renewal.site for renewal in api.renewals} == {here}
    pid = run.record.infrastructure_pid.rpartition(":")[2]
    assert f'"handle":"{identify(int(pid))}","fence":1'.encode() in bodies[0]
