"""What a use case works with."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime

from headgate.clock import Clock
from headgate.schema.collections import WorkerCollections
from headgate.services.event_streams import EventStreams
from headgate.services.fronts import Fronts
from headgate.services.habits import Habits
from headgate.services.log_streams import LogStreams
from headgate.services.wakeups import Wakeups
from headgate.settings import Settings
from headgate.store.database import Database
from headgate.telemetry import Telemetry


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks. Names are for people; permissions will hang here."""

    name: str = "anonymous"


SYSTEM = Actor("headgate")
"""The server's own background jobs."""


async def _stays() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Scope:
    """The database, the time, the settings, the people who wait, and the one who asks.

    `is_gone` says whether the caller hung up: a call that waits for work looks before it claims any. `worker_types` imports
    and describes those that are installed where the server runs. `header` gives a header of the request, `address` says
    where it comes from, as far as that is known.
    """

    store: Database
    clock: Clock
    settings: Settings
    wakeups: Wakeups
    telemetry: Telemetry
    actor: Actor = SYSTEM
    is_gone: Callable[[], Awaitable[bool]] = field(default=_stays)
    worker_types: Callable[[], WorkerCollections] = dict
    log_streams: LogStreams = field(default_factory=LogStreams)
    event_streams: EventStreams = field(default_factory=EventStreams)
    habits: Habits = field(default_factory=Habits)
    fronts: Fronts = field(default_factory=Fronts)
    base_url: Callable[[], str] = lambda: "http://localhost/"
    header: Callable[[str], str | None] = lambda name: None
    address: str = ""

    @property
    def now(self) -> datetime:
        """The present, aware, in UTC."""
        return self.clock()
