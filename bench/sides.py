"""The two sides: what differs between Headgate and the peer for whoever starts them, and nothing else does."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

OURS, PEER = "headgate", "prefect"


@dataclass(frozen=True, slots=True)
class Side:
    """A product under measurement. Both have the same commands, settings (under `prefix`), calls and flow decorator."""

    name: str
    program: tuple[str, ...]
    prefix: str
    driver: str
    """The scheme of its PostgreSQL URLs."""
    calls_a_second: int
    """More than it ever answers; so many runs have to lie ready for a load."""
    upgrade: tuple[str, ...] = ("server", "database", "upgrade")
    """The command that makes the tables in a database."""
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def environment_path(self) -> Path:
        """The virtual environment that its program is in."""
        return Path(self.program[0]).parents[1]

    @property
    def is_ours(self) -> bool:
        """Whether it is the one that is built here."""
        return self.name == OURS

    def environment(self, home: Path, *, api_url: str, database_url: str) -> dict[str, str]:
        """The environment of its programs: a home of its own, and nobody's settings."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("HEADGATE_", "PREFECT_"))}
        marks = {key: value for key, value in os.environ.items() if key == "HEADGATE_BENCH"}
        own = {"HOME": str(home), "API_URL": api_url, "SERVER_DATABASE_CONNECTION_URL": database_url, **self.settings}
        return kept | marks | {f"{self.prefix}{name}": value for name, value in own.items()}

    def sqlite_url(self, file: Path) -> str:
        """The URL of a SQLite file."""
        return f"sqlite{'' if self.is_ours else '+aiosqlite'}:///{file}"

    def postgresql_url(self, url: str) -> str:
        """The URL of a PostgreSQL database, as this side writes it."""
        return f"{self.driver}://{url.partition('://')[2]}"


def ours(program: Path) -> Side:
    """Headgate, of this clone."""
    return Side(OURS, (str(program),), "HEADGATE_", "postgresql", calls_a_second=12_000)


def peer(program: Path) -> Side:
    """The peer, with default settings; it only keeps its usage to itself."""
    quiet = {"SERVER_ANALYTICS_ENABLED": "false"}
    return Side(
        PEER,
        (str(program),),
        "PREFECT_",
        "postgresql+asyncpg",
        calls_a_second=400,
        upgrade=("server", "database", "upgrade", "-y"),
        settings=quiet,
    )
