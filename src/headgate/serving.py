"""The server as a process: it listens, says where it is, serves until it is told to stop, and ends in good order."""

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import uvicorn

from headgate import __version__
from headgate.errors import ConfigError
from headgate.garbage import collect_rarely
from headgate.server import loops_of, open_store, running
from headgate.services.wakeups import Wakeups
from headgate.settings import Settings, database_url
from headgate.store.opening import locate
from headgate.supervisor import Run, Supervisor


def state_file(settings: Settings) -> Path:
    """Where a running server says its pid and URL."""
    return settings.home_path / "server.json"


def serve(settings: Settings) -> int:
    """Serve until told to stop; the exit code. Prints where the API and its documentation are."""
    logging.basicConfig(level=_level(settings), format="%(asctime)s | %(levelname)-7s | %(name)s - %(message)s")
    try:
        runner: Callable[..., Any] = import_module("uvloop").run
    except ModuleNotFoundError:
        runner = asyncio.run
    if settings.server_api_workers > 1:
        check_many(settings)
    path = state_file(settings)
    with _listen(settings.server_api_host, settings.server_api_port) as listener:
        url = _url(listener)
        announced = False

        def tell(processes: Sequence[int] = ()) -> None:
            nonlocal announced
            _note(path, url, processes)
            if not announced:
                announced = True
                _announce(settings, url)

        try:
            if settings.server_api_workers == 1:
                runner(_serve(settings, listener, tell))
            else:
                asyncio.run(_prepare(settings))  # so that what is wrong is told once, and the schema is made once
                serve_one: Run = lambda ready, leash: runner(_serve(settings, listener, ready, leash))  # noqa: E731
                Supervisor(settings.server_api_workers, serve_one, tell).run()
        finally:
            _withdraw(path)
    return 0


def check_many(settings: Settings) -> None:
    """`ConfigError` where several server processes cannot share the database."""
    if (location := locate(database_url(settings))).dialect == "sqlite":
        raise ConfigError(
            f"{settings.server_api_workers} server processes cannot share the SQLite file {location}: it serves one. "
            "Leave --workers at 1, or use PostgreSQL (--database-url postgresql://USER:PASSWORD@HOST/DB)."
        )


async def _prepare(settings: Settings) -> None:
    store = await open_store(settings, wait_seconds=settings.server_database_wait_seconds)
    await store.close()


def _level(settings: Settings) -> int:
    levels = logging.getLevelNamesMapping()
    if (level := levels.get(settings.logging_level.upper())) is None:
        raise ConfigError(f"HEADGATE_LOGGING_LEVEL={settings.logging_level!r} is none of {', '.join(levels)}.")
    return level


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"Cannot listen on {host}:{port}: {error.strerror}. Choose another with --port, or stop what uses it "
            "(`headgate server status`)."
        ) from None
    return listener


async def _serve(settings: Settings, listener: socket.socket, tell: Callable[[], None], leash: int | None = None) -> None:
    """Until told to stop, or until `leash` is closed, by whose end the supervisor's is known."""
    async with running(settings, wait_seconds=settings.server_database_wait_seconds) as system:
        collect_rarely()
        config = uvicorn.Config(
            system.app,
            log_level="warning",
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=5,
            ws=_websocket,  # type: ignore[arg-type]
            ws_max_size=settings.server_api_max_body_bytes,
            ws_per_message_deflate=False,  # its windows would cost every idle worker's connection 300 kB
        )
        await _Server(config, system.scope.wakeups, tell, leash).serve(sockets=[listener])


def _websocket(**given: Any) -> asyncio.Protocol:
    """What speaks websocket on a connection; imported by the first that asks, since most servers never see one."""
    protocol: asyncio.Protocol = import_module("uvicorn.protocols.websockets.wsproto_impl").WSProtocol(**given)
    return protocol


class _Server(uvicorn.Server):
    """Answers the calls that wait for work as soon as it is told to stop, and leaves the rest of the exit to us.

    `tell` is called once it answers, and can be stopped in good order.
    """

    def __init__(self, config: uvicorn.Config, wakeups: Wakeups, tell: Callable[[], None], leash: int | None) -> None:
        super().__init__(config)
        self._wakeups = wakeups
        self._tell = tell
        self._leash = leash

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # The inherited one raises the signal again when it is done, which would end the process before the
        # database is closed.
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        if self._leash is not None:
            loop.add_reader(self._leash, self.handle_exit, signal.SIGTERM, None)
        try:
            yield
        finally:
            if self._leash is not None:
                loop.remove_reader(self._leash)
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._tell()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._wakeups.close()
        await super().shutdown(sockets)


def _note(path: Path, url: str, processes: Sequence[int] = ()) -> None:
    """Write the state file; a server that cannot serves all the same."""
    facts: dict[str, Any] = {"pid": os.getpid(), "url": url} | ({"processes": [*processes]} if processes else {})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        draft.write_text(json.dumps(facts))
        draft.replace(path)  # whole at any moment: commands read it meanwhile
    except OSError as error:
        hint = "`headgate server status` and `headgate server stop` will not find this server."
        print(f"WARNING: cannot write {path}: {error.strerror}. {hint}", flush=True)


def _withdraw(path: Path) -> None:
    """Remove the state file if it is still this server's."""
    with contextlib.suppress(OSError, ValueError):
        if json.loads(path.read_text())["pid"] == os.getpid():
            path.unlink()


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _announce(settings: Settings, url: str) -> None:
    lines = [
        f"Headgate {__version__}",
        f"  API       {url}/api",
        f"  OpenAPI   {url}/docs",
        f"  Database  {locate(database_url(settings))}",
    ]
    if settings.server_api_host not in ("127.0.0.1", "::1", "localhost") and not settings.server_api_auth_string:
        lines.append(
            f"WARNING: listening on {settings.server_api_host} without authentication: whoever reaches this port can run "
            "commands on your workers. Set HEADGATE_SERVER_API_AUTH_STRING."
        )
    print("\n".join(lines), flush=True)


# --- the background jobs as a process of their own


def services_file(settings: Settings) -> Path:
    """Where a process of background jobs says its pid."""
    return settings.home_path / "services.json"


def serve_services(settings: Settings) -> int:
    """Run the background jobs until told to stop; the exit code."""
    logging.basicConfig(level=_level(settings), format="%(asctime)s | %(levelname)-7s | %(name)s - %(message)s")
    if not (names := [loop.name for loop in loops_of(settings)]):
        raise ConfigError("Every background job is switched off (HEADGATE_SERVER_SERVICES_*_ENABLED): nothing is to run.")
    path = services_file(settings)
    try:
        asyncio.run(_serve_services(settings, lambda: _announce_services(settings, names, path)))
    finally:
        _withdraw(path)
    return 0


async def _serve_services(settings: Settings, tell: Callable[[], None]) -> None:
    stopped = asyncio.Event()
    async with running(settings, wait_seconds=settings.server_database_wait_seconds):
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stopped.set)
        tell()
        await stopped.wait()


def _announce_services(settings: Settings, names: Sequence[str], path: Path) -> None:
    _note(path, "")
    print(f"Headgate {__version__}, background jobs\n  Jobs      {', '.join(names)}")
    print(f"  Database  {locate(database_url(settings))}", flush=True)
