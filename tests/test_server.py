"""The server as a whole: what it starts and stops, what it says, what it refuses; and the app in this process."""

import asyncio
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from headgate import server, serving
from headgate.client.calls import admin, claims, flows, work_pools, workers
from headgate.client.client import AsyncClient, Client
from headgate.client.connect import connect
from headgate.client.transport import Request
from headgate.errors import ConfigError, DatabaseError, Unavailable, Unreachable
from headgate.schema.claims import ClaimRequest
from headgate.schema.flows import FlowCreate
from headgate.schema.work_pools import WorkPoolCreate
from headgate.server import (
    InProcess,
    database_revision,
    downgrade_database,
    loops_of,
    open_ephemeral,
    reset_database,
    running,
    upgrade_database,
)
from headgate.serving import serve, state_file
from headgate.settings import Settings
from headgate.store.versions import HEAD
from headgate.telemetry import Event, LoopPassed

PATIENCE = 30.0
"""Seconds after which what has not happened is taken not to happen. Reached by failing tests only."""

LOOPS = (
    "scheduler",
    "late_runs",
    "lifeline",
    "collisions",
    "misfires",
    "pause_expirations",
    "cancellation_cleanup",
    "statuses",
    "pruner",
)
NO_LOOPS = {f"server_services_{loop}_enabled": False for loop in LOOPS}


@pytest.fixture
async def settings(tmp_path: Path, sqlite_template: Any) -> Settings:
    """A home with an up-to-date, empty database."""
    await sqlite_template.copy(tmp_path / "headgate.db")
    return Settings(home=str(tmp_path))


# --- an open system


def background_jobs() -> set[str]:
    return {task.get_name() for task in asyncio.all_tasks()} & {loop.replace("_", " ") for loop in LOOPS}


async def test_background_jobs_run_while_the_system_is_open(settings: Settings) -> None:
    passed: set[str] = set()
    all_passed = asyncio.Event()

    def note(event: Event) -> None:
        if isinstance(event, LoopPassed):
            passed.add(event.loop)
        if len(passed) == len(LOOPS):
            all_passed.set()

    async with running(settings) as system:
        system.scope.telemetry.subscribe(note)
        async with asyncio.timeout(PATIENCE):
            await all_passed.wait()
        assert background_jobs() == passed
    assert background_jobs() == set()


async def test_without_loops_there_are_no_background_jobs(settings: Settings) -> None:
    async with running(settings, with_loops=False):
        assert background_jobs() == set()


@pytest.mark.parametrize("loop", LOOPS)
def test_each_background_job_can_be_left_to_another_server(loop: str) -> None:
    left_out = structs.replace(Settings(), **{f"server_services_{loop}_enabled": False})
    assert {each.name for each in loops_of(Settings())} - {each.name for each in loops_of(left_out)} == {
        loop.replace("_", " ")
    }


async def test_an_error_inside_closes_the_database_and_stops_the_jobs(settings: Settings) -> None:
    with pytest.raises(RuntimeError, match="oh no"):
        async with running(settings) as system:
            raise RuntimeError("oh no")
    assert background_jobs() == set()
    assert system.scope.wakeups.closed
    with pytest.raises(Unavailable):
        await system.scope.store.read(lambda tx: tx.fetch("SELECT 1"))


async def test_a_database_that_cannot_be_opened_leaves_no_thread_behind(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    (tmp_path / "headgate.db").write_text("a shopping list, and certainly no database " * 30)
    with pytest.raises(DatabaseError):
        async with running(Settings(home=str(tmp_path))):
            raise AssertionError("it opened")
    assert {each.name for each in set(threading.enumerate()) - before if each.name.startswith("headgate")} == set()


async def test_a_newer_schema_is_refused_and_nothing_changed(settings: Settings) -> None:
    path = settings.home_path / "headgate.db"
    write(path, "UPDATE alembic_version SET version_num = '9999'")
    before = dump(path)
    with pytest.raises(DatabaseError, match=rf"9999.* is newer than this program \(revision {HEAD}\)") as caught:
        async with running(settings):
            raise AssertionError("it opened")
    assert one_line(caught.value)
    assert dump(path) == before
    for command in (upgrade_database, reset_database, database_revision):
        with pytest.raises(DatabaseError, match="is newer than this program"):
            await asyncio.to_thread(command, settings)
    with pytest.raises(DatabaseError, match="is newer than this program"):
        await asyncio.to_thread(downgrade_database, settings, "base")
    assert dump(path) == before


async def test_a_server_told_not_to_migrate_says_what_to_run(tmp_path: Path) -> None:
    settings = Settings(home=str(tmp_path), server_database_migrate_on_start=False)
    with pytest.raises(DatabaseError, match="headgate server database upgrade"):
        async with running(settings):
            raise AssertionError("it opened")
    await asyncio.to_thread(upgrade_database, settings)
    async with running(settings):
        pass


async def test_an_open_system_tells_the_time_that_it_is_given(settings: Settings, clock: Any) -> None:
    async with running(settings, with_loops=False, now=clock) as system:
        assert system.scope.now == clock.time


# --- the app in this process


@pytest.fixture
def ephemeral(settings: Settings) -> Iterator[InProcess]:
    app = open_ephemeral(settings)
    yield app
    app.close()


def test_the_app_answers_a_thread(ephemeral: InProcess) -> None:
    client = Client(ephemeral, patience=0)
    flow = client.send(flows.create(FlowCreate(name="f")))
    assert client.send(flows.get_by_name("f")) == flow


async def test_the_app_answers_an_event_loop(ephemeral: InProcess) -> None:
    client = AsyncClient(ephemeral, patience=0)
    made = await asyncio.gather(*(client.send(flows.create(FlowCreate(name=f"f{n}"))) for n in range(20)))
    assert len({flow.id for flow in made}) == 20


def test_the_app_answers_many_threads(ephemeral: InProcess) -> None:
    client = Client(ephemeral, patience=0)
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda n: client.send(flows.create(FlowCreate(name=f"f{n % 10}"))), range(80)))
    assert [flow.name for flow in made] == [f"f{n % 10}" for n in range(80)]
    assert len({flow.id for flow in made}) == 10


@pytest.mark.parametrize("name", ["a b", "ü/ö", "100%", "a?b#c"])
def test_names_of_any_letters_arrive(ephemeral: InProcess, name: str) -> None:
    client = Client(ephemeral, patience=0)
    if "/" in name or "%" in name:  # no names of ours; that they arrive is seen by the answer
        with pytest.raises(Exception, match=r"[Nn]ot [Ff]ound"):
            client.send(flows.get_by_name(name))
        return
    client.send(flows.create(FlowCreate(name=name)))
    assert client.send(flows.get_by_name(name)).name == name


def test_closing_stops_everything_and_may_be_repeated(settings: Settings) -> None:
    before = set(threading.enumerate())
    app = open_ephemeral(settings)
    Client(app).send(admin.ready())
    app.close()
    app.close()
    assert set(threading.enumerate()) <= before
    with pytest.raises(Unreachable, match="was closed"):
        Client(app, patience=0).send(admin.health())


async def test_closing_from_an_event_loop_stops_everything_and_may_be_repeated(settings: Settings) -> None:
    app = open_ephemeral(settings)
    await AsyncClient(app).send(admin.ready())
    await app.close_async()
    await app.close_async()
    assert not {each.name for each in threading.enumerate() if each.name.startswith("headgate")}
    with pytest.raises(Unreachable, match="was closed"):
        await AsyncClient(app, patience=0).send(admin.health())


@pytest.mark.parametrize("url", ["mysql://me:s3cret@db/x", "sqlite://", "sqlite:////dev/null/x.db"])
def test_an_app_that_cannot_open_its_database_leaves_nothing_behind(tmp_path: Path, url: str) -> None:
    before = set(threading.enumerate())
    with pytest.raises(DatabaseError) as caught:
        open_ephemeral(Settings(home=str(tmp_path), server_database_connection_url=url))
    assert one_line(caught.value)
    assert "s3cret" not in str(caught.value)
    assert set(threading.enumerate()) <= before


def test_a_call_that_waits_ends_when_the_app_is_closed(settings: Settings) -> None:
    app = open_ephemeral(settings)
    client = Client(app, patience=0)
    client.send(work_pools.create(WorkPoolCreate(name="p", type="process")))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.send, claims.claim("p", ClaimRequest(worker="w", wait_seconds=30)))
        wait_until(lambda: any(app._run(waiters(app))))
        began = time.monotonic()
        app.close()
        error = waiting.exception(PATIENCE)
        assert time.monotonic() - began < 5.0
        assert isinstance(error, Unavailable) or waiting.result().grants == []


async def waiters(app: InProcess) -> list[Any]:
    return [task for task in asyncio.all_tasks() if "_answer" in repr(task.get_coro())]


async def test_a_call_that_takes_too_long_is_unreachable(ephemeral: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []

    async def never(app: Any, request: Request) -> Any:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(request.target)

    monkeypatch.setattr(server, "call_app", never)
    request = Request("GET", "/flows/x", None, {}, 0.01)
    with pytest.raises(Unreachable, match=r"GET /flows/x within 0\.01 s"):
        await ephemeral.send_async(request)
    with pytest.raises(Unreachable, match=r"GET /flows/x within 0\.01 s"):
        await asyncio.to_thread(ephemeral.send, request)
    assert len(ended) == 2


async def test_a_caller_that_is_cancelled_cancels_its_call_alone(
    ephemeral: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, ended = threading.Event(), threading.Event()

    async def never(app: Any, request: Request) -> Any:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with monkeypatch.context() as patch:
        patch.setattr(server, "call_app", never)
        call = asyncio.create_task(AsyncClient(ephemeral).send(admin.health()))
        await asyncio.to_thread(begun.wait, PATIENCE)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await asyncio.to_thread(ended.wait, PATIENCE)
    assert await AsyncClient(ephemeral).send(admin.health()) is True


# --- a server's own words


def test_a_taken_port_is_one_line_with_the_way_out(settings: Settings) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"Cannot listen on 127\.0\.0\.1:{port}: .*--port") as caught:
            serve(structs.replace(settings, server_api_port=port))
    assert one_line(caught.value)
    assert not state_file(settings).exists()


def test_an_address_of_another_machine_is_one_line(settings: Settings) -> None:
    with pytest.raises(ConfigError, match=r"Cannot listen on 192\.0\.2\.1:0: "):
        serve(structs.replace(settings, server_api_host="192.0.2.1", server_api_port=0))


def test_a_wrong_database_url_is_one_line_and_frees_the_port(tmp_path: Path, unused_tcp_port: int) -> None:
    settings = Settings(
        home=str(tmp_path), server_api_port=unused_tcp_port, server_database_connection_url="mysql://me:s3cret@db/x"
    )
    with pytest.raises(DatabaseError, match="is not a database URL") as caught:
        serve(settings)
    assert one_line(caught.value)
    assert "s3cret" not in str(caught.value)
    with socket.socket() as free:
        free.bind(("127.0.0.1", unused_tcp_port))
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_level_of_logging_is_told_with_those_there_are(settings: Settings) -> None:
    with pytest.raises(ConfigError, match=r"HEADGATE_LOGGING_LEVEL='LOUD' is none of .*DEBUG"):
        serve(structs.replace(settings, logging_level="LOUD"))


@pytest.mark.parametrize(
    ("host", "password", "warned"),
    [
        ("0.0.0.0", None, True),
        ("::", None, True),
        ("192.0.2.1", None, True),
        ("0.0.0.0", "me:s3cret", False),
        ("127.0.0.1", None, False),
        ("::1", None, False),
        ("localhost", None, False),
    ],
)
def test_listening_elsewhere_without_authentication_is_warned_of(
    settings: Settings, capsys: pytest.CaptureFixture[str], host: str, password: str | None, warned: bool
) -> None:
    serving._announce(structs.replace(settings, server_api_host=host, server_api_auth_string=password), "http://x:1")
    said = capsys.readouterr().out
    assert ("WARNING" in said and "HEADGATE_SERVER_API_AUTH_STRING" in said and host in said) is warned
    assert "s3cret" not in said


def test_a_password_of_the_database_is_not_announced(capsys: pytest.CaptureFixture[str]) -> None:
    serving._announce(Settings(server_database_connection_url="postgresql://me:s3cret@db/x"), "http://x:1")
    said = capsys.readouterr().out
    assert "db/x" in said
    assert "s3cret" not in said


# --- a server's process


@dataclass
class Served:
    """A started server that has told where it is."""

    process: subprocess.Popen[str]
    home: Path
    lines: list[str] = field(default_factory=list)

    def wait_for_url(self) -> str:
        """Read what it prints up to the last line of its announcement."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip())
            if "Database" in line:
                return self.lines[-3].split()[-1]
        raise AssertionError(f"it ended with {self.process.wait()}: {self.lines}")

    def connect(self) -> Client:
        return connect(Settings(api_url=self.url))

    def __post_init__(self) -> None:
        self.url = self.wait_for_url()

    def end(self, number: int) -> tuple[int, float, str]:
        """Send a signal; exit code, seconds until the end, and all that it printed since the announcement."""
        began = time.monotonic()
        self.process.send_signal(number)
        rest = self.process.communicate(timeout=PATIENCE)[0]
        return self.process.returncode, time.monotonic() - began, rest


@contextmanager
def server_process(home: Path, **settings: object) -> Iterator[subprocess.Popen[str]]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HEADGATE_", "PREFECT_"))}
    named = {f"HEADGATE_{name.upper()}": str(value) for name, value in settings.items()}
    process = subprocess.Popen(
        [sys.executable, "-m", "headgate", "server", "start", "--port", "0"],
        env={**kept, "HEADGATE_HOME": str(home), "PYTHONWARNINGS": "error", **named},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def test_a_server_that_is_told_to_stop_answers_who_waits_and_ends_at_once(tmp_path: Path) -> None:
    with server_process(tmp_path) as process:
        served = Served(process, tmp_path)
        root = served.url.removesuffix("/api")
        assert served.lines[0].startswith("Headgate ")
        assert f"{root}/docs" in served.lines[2]
        assert str(tmp_path / "headgate.db") in served.lines[3]
        assert json.loads((tmp_path / "server.json").read_text()) == {"pid": process.pid, "url": root}
        with served.connect() as client, ThreadPoolExecutor(1) as pool:
            client.send(work_pools.create(WorkPoolCreate(name="p", type="process")))
            waiting = pool.submit(client.send, claims.claim("p", ClaimRequest(worker="w", wait_seconds=30)))
            wait_until(lambda: client.send(workers.query("p")))
            code, seconds, rest = served.end(signal.SIGTERM)
            assert waiting.result(PATIENCE).grants == []
    assert (code, rest) == (0, "")
    assert seconds < 4.5  # 0.3 s where nothing else runs; calls that are cut off after a grace would take 5 s
    assert [path.name for path in tmp_path.iterdir()] == ["headgate.db"]


def test_ctrl_c_ends_a_server_in_good_order_which_leaves_the_word_of_another_alone(tmp_path: Path) -> None:
    other = '{"pid": 1, "url": "http://127.0.0.1:1"}'
    with server_process(tmp_path) as process:
        served = Served(process, tmp_path)
        (tmp_path / "server.json").write_text(other)
        code, _, rest = served.end(signal.SIGINT)
    assert (code, rest) == (0, "")
    assert (tmp_path / "server.json").read_text() == other


def test_a_server_that_cannot_write_about_itself_warns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "server.json").mkdir()
    serving._note(tmp_path / "server.json", "http://x:1")
    said = capsys.readouterr().out
    assert said.startswith(f"WARNING: cannot write {tmp_path / 'server.json'}: Is a directory.")
    assert one_line(said.strip())
    serving._withdraw(tmp_path / "server.json")


def test_two_servers_that_start_at_once_share_one_file(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    homes = [tmp_path / "a", tmp_path / "b"]
    for home in homes:
        home.mkdir()
    with (
        server_process(homes[0], server_database_connection_url=url) as first,
        server_process(homes[1], server_database_connection_url=url) as second,
    ):
        both = [Served(first, homes[0]), Served(second, homes[1])]
        with both[0].connect() as one, both[1].connect() as other, ThreadPoolExecutor(8) as pool:
            names = [f"flow {n}" for n in range(40)]
            clients = [one, other] * 40
            made = list(
                pool.map(
                    lambda pair: pair[0].send(flows.create(FlowCreate(name=pair[1]))), zip(clients, names * 2, strict=True)
                )
            )
            assert [flow.name for flow in made] == names * 2
            assert len({flow.id for flow in made}) == 40
            assert one.send(flows.count()) == other.send(flows.count()) == 40
        assert [served.end(signal.SIGTERM)[::2] for served in both] == [(0, ""), (0, "")]


# --- the database commands


async def test_the_database_commands_say_what_they_did(empty_url: str, open_url: Any) -> None:
    settings = Settings(server_database_connection_url=empty_url)

    async def said(command: Callable[..., str], *arguments: str) -> str:
        return await asyncio.to_thread(command, settings, *arguments)

    assert await said(database_revision) == f"The database is at revision none; this program's is {HEAD}."
    assert await said(downgrade_database, "base") == "The database is empty already."
    assert await said(upgrade_database) == f"Upgraded the database from nothing to revision {HEAD}."
    assert await said(upgrade_database) == f"The database is at revision {HEAD} already."
    assert await said(database_revision) == f"The database is at revision {HEAD}; this program's is {HEAD}."
    await fill(settings)
    assert await said(reset_database) == f"Reset the database; it is empty, at revision {HEAD}."
    assert await count(settings) == 0
    assert await said(downgrade_database, "base") == f"Downgraded the database from {HEAD} to base."
    assert await said(database_revision) == f"The database is at revision none; this program's is {HEAD}."
    assert await said(reset_database) == f"Reset the database; it is empty, at revision {HEAD}."


@pytest.mark.parametrize("command", [upgrade_database, downgrade_database])
async def test_a_revision_that_does_not_exist_is_told_and_nothing_changed(
    settings: Settings, command: Callable[..., str]
) -> None:
    await fill(settings)
    before = dump(settings.home_path / "headgate.db")
    with pytest.raises(DatabaseError, match=rf"There is no revision 'nonsense'; there are .*{HEAD}"):
        await asyncio.to_thread(command, settings, "nonsense")
    assert dump(settings.home_path / "headgate.db") == before


async def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "headgate.db"
    write(path, "CREATE TABLE recipes (name TEXT)")
    before = dump(path)
    for command in (upgrade_database, reset_database, database_revision):
        with pytest.raises(DatabaseError, match="another program"):
            await asyncio.to_thread(command, Settings(home=str(tmp_path)))
    assert dump(path) == before


def test_a_developer_may_draft_a_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    drafted: list[str] = []

    def write_revision(message: str) -> Path:
        drafted.append(message)
        return Path("versions/0002_more.py")

    monkeypatch.setattr("headgate.store.migrating.write_revision", write_revision)
    assert database_revision(Settings(), "more") == "Drafted versions/0002_more.py."
    assert drafted == ["more"]


# --- helpers


async def fill(settings: Settings) -> None:
    await with_client(settings, lambda client: client.send(flows.create(FlowCreate(name="f"))))
    assert await count(settings) == 1


async def count(settings: Settings) -> int:
    number: int = await with_client(settings, lambda client: client.send(flows.count()))
    return number


async def with_client(settings: Settings, ask: Callable[[AsyncClient], Awaitable[Any]]) -> Any:
    app = await asyncio.to_thread(open_ephemeral, structs.replace(settings, **NO_LOOPS))
    async with AsyncClient(app, patience=0) as client:
        return await ask(client)


def one_line(text: object) -> bool:
    return "\n" not in str(text)


def write(path: Path, sql: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute(sql)
    connection.commit()
    connection.close()


def dump(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    content = list(connection.iterdump())
    connection.close()
    return content


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)
