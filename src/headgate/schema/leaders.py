"""Records of background jobs: which a server runs, and which server leads at each."""

from datetime import datetime

from msgspec import Struct


class Leader(Struct, kw_only=True):
    """The server that runs a job; `place` is its host and process, `expires_at` when another may take over."""

    place: str
    since: datetime
    expires_at: datetime


class Service(Struct, kw_only=True):
    """A background job. `enabled`: the server that answers runs it when it is its turn.

    Without a leader nobody runs it at present; on SQLite there are no leaders, the one server runs what is enabled.
    """

    name: str
    enabled: bool
    loop_seconds: float
    leader: Leader | None = None
