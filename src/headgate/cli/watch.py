"""Following a flow run: its states and log lines as they come."""

import logging
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from uuid import UUID

from headgate.cli.output import local
from headgate.client.calls import flow_runs, logs
from headgate.client.client import Client
from headgate.core.states import TERMINAL
from headgate.schema.filters import MAX_PAGE, IdFilter, LogFilter, LogQuery, LogSort, TimeFilter
from headgate.schema.logs import Log
from headgate.schema.states import State

POLL_SECONDS = 0.5

_OVERLAP = timedelta(seconds=2)
"""Writers send their lines in batches, so a line may arrive after a later one of another writer."""

Sleep = Callable[[float], None]


def watch(client: Client, id: UUID, *, sleep: Sleep = time.sleep) -> Iterator[State | Log]:
    """The run's states and lines in the order of their times, each once, until a final state was given."""
    lines, known = Lines(client, id), set[UUID]()
    while True:
        # States first: lines are flushed before the final state, so none is missed.
        states = client.send(flow_runs.get_states(id))
        is_over = bool(states) and max(states, key=_time).type in TERMINAL
        written = [*lines.fresh()]
        if written and not is_over:
            # What the run entered since stands before the lines that followed, not behind them in the next turn.
            last = max(line.timestamp for line in written)
            states += [state for state in client.send(flow_runs.get_states(id)) if state.timestamp <= last]
        fresh: dict[UUID, State | Log] = {state.id: state for state in states if state.id not in known}
        known.update(fresh)
        yield from sorted([*fresh.values(), *written], key=_time)
        if is_over:
            return
        sleep(POLL_SECONDS)


def follow_lines(client: Client, id: UUID, *, sleep: Sleep = time.sleep) -> Iterator[Log]:
    """The run's lines as they come, until it is in a final state."""
    lines = Lines(client, id)
    while True:
        over = client.send(flow_runs.get(id)).state_type in TERMINAL
        yield from lines.fresh()
        if over:
            return
        sleep(POLL_SECONDS)


class Lines:
    """The log lines of a run that were not given yet."""

    def __init__(self, client: Client, id: UUID) -> None:
        self._client = client
        self._id = id
        self._since: datetime | None = None
        self._given: dict[UUID, datetime] = {}

    def fresh(self) -> Iterator[Log]:
        """Lines that came since the last call, oldest first."""
        for line in all_lines(self._client, self._id, since=self._since):
            if line.id not in self._given:
                self._given[line.id] = line.timestamp
                yield line
        if self._given:
            since = self._since = max(self._given.values()) - _OVERLAP
            self._given = {id: time for id, time in self._given.items() if time >= since}


def all_lines(client: Client, id: UUID, *, since: datetime | None = None) -> Iterator[Log]:
    """The run's lines from `since` on, oldest first. By time: offsets would cost the square of a log's length."""
    offset, last = 0, set[UUID]()
    while True:
        window = TimeFilter(after_=since) if since else None
        filter = LogFilter(flow_run_id=IdFilter(any_=[id]), timestamp=window)
        query = LogQuery(logs=filter, sort=LogSort.TIMESTAMP_ASC, limit=MAX_PAGE, offset=offset)
        page = client.send(logs.query(query))
        yield from (line for line in page if line.id not in last)
        if len(page) < MAX_PAGE:
            return
        offset = offset + len(page) if page[-1].timestamp == since else 0
        since = page[-1].timestamp
        last = {line.id for line in page if line.timestamp == since}


def log_text(line: Log) -> str:
    """A log line as one line of text: local time, level, message."""
    return f"{local(line.timestamp)} | {logging.getLevelName(line.level):<7} | {line.message}"


def watched_text(item: State | Log) -> str:
    """A state or a log line as one line of text."""
    match item:
        case Log():
            return log_text(item)
        case State():
            message = f": {item.message}" if item.message else ""
            return f"{local(item.timestamp)} | {'STATE':<7} | {item.name}{message}"


def _time(item: State | Log) -> datetime:
    return item.timestamp
