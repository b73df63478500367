"""Calls about logs."""

from headgate.client.call import Call
from headgate.schema.filters import LogQuery
from headgate.schema.logs import Log, LogCreate


def create(body: list[LogCreate]) -> Call[None]:
    """Write log lines."""
    return Call("POST", "/logs/", body=body)


def query(body: LogQuery | None = None) -> Call[list[Log]]:
    """Log lines that match."""
    return Call("POST", "/logs/filter", body=body or LogQuery(), returns=list[Log])
