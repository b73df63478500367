"""What the demo asks the API, and how it shows the answers: one line for each new state and log line of a run."""

import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self
from uuid import UUID

from headgate.client.calls import admin, deployments, flow_runs, logs, work_pools
from headgate.client.connect import connect
from headgate.errors import HeadgateError, NotFound
from headgate.schema.filters import (
    FlowRunFilter,
    FlowRunQuery,
    FlowRunSort,
    IdFilter,
    LogFilter,
    LogQuery,
    LogSort,
    NullableIdFilter,
    StateFilter,
    StateTypeFilter,
    TimeFilter,
)
from headgate.schema.flow_runs import FlowRun
from headgate.schema.states import SetState, State, StateCreate, StateType
from headgate.settings import load

FINAL = [StateType.COMPLETED, StateType.FAILED, StateType.CRASHED, StateType.CANCELLED]
COLOURS = {"COMPLETED": 32, "FAILED": 31, "CRASHED": 31, "CANCELLED": 33, "RUNNING": 36}


class News(NamedTuple):
    """Something that happened to a run."""

    at: datetime
    run: str
    text: str
    colour: int | None = None


class Watch:
    """One deployment's runs, seen through the API."""

    def __init__(self, environment: Mapping[str, str], *, flow: str, deployment: str) -> None:
        self._client = connect(load(environ=environment).settings, patience=10)
        self._probe = connect(load({"api_request_timeout": 2.0}, environ=environment).settings, patience=0)
        self._names = flow, deployment
        self._since = datetime.now(UTC)
        self._deployment_id: UUID | None = None
        self._seen: dict[UUID, set[UUID]] = {}
        self._over: set[UUID] = set()
        self.completed = 0
        """How many runs were completed since the watch began."""

    def is_up(self) -> bool:
        """Whether the API answers."""
        try:
            return self._probe.send(admin.health())
        except HeadgateError:
            return False

    def has_pool(self, name: str) -> bool:
        """Whether there is such a work pool."""
        try:
            self._client.send(work_pools.get(name))
        except NotFound:
            return False
        return True

    def cancel_stale_runs(self) -> int:
        """Cancel the runs whose time has passed and that are not over; answers how many there were.

        Nothing executes them: no worker of this pool is running yet.
        """
        cancelled = StateCreate(type=StateType.CANCELLED, message="Left behind by an earlier demo.")
        count = 0
        while stale := self._runs(StateTypeFilter(not_any_=FINAL), until=self._since):
            for run in stale:
                self._client.send(flow_runs.set_state(run.id, SetState(state=cancelled, force=True)))
            count += len(stale)
        return count

    def show_news(self) -> None:
        """Print what happened since the last call."""
        kinds = StateTypeFilter(not_any_=[StateType.SCHEDULED])
        runs = [run for run in self._runs(kinds, since=self._since) if run.id not in self._over]
        for news in sorted((news for run in runs for news in self._news_of(run)), key=lambda news: news.at):
            say(f"{news.at.astimezone():%H:%M:%S}  {news.run:<20.20}  {coloured(news.text, news.colour)}")
        for run in runs:
            if run.state_type in FINAL:
                self._over.add(run.id)
                self._seen.pop(run.id)
                self.completed += run.state_type is StateType.COMPLETED

    def _runs(
        self, kinds: StateTypeFilter, *, since: datetime | None = None, until: datetime | None = None
    ) -> list[FlowRun]:
        """The deployment's runs in these states, by their time; the latest when there are more than fit a page."""
        if self._deployment_id is None:
            try:
                self._deployment_id = self._client.send(deployments.get_by_name(*self._names)).id
            except NotFound:
                return []
        wanted = FlowRunFilter(
            deployment_id=NullableIdFilter(any_=[self._deployment_id]),
            state=StateFilter(type=kinds),
            expected_start_time=TimeFilter(after_=since, before_=until),
        )
        return self._client.send(flow_runs.query(FlowRunQuery(flow_runs=wanted, sort=FlowRunSort.EXPECTED_START_TIME_DESC)))

    def _news_of(self, run: FlowRun) -> list[News]:
        """States and log lines of a run that were not shown before."""
        states = self._client.send(flow_runs.get_states(run.id))
        lines = self._client.send(
            logs.query(LogQuery(logs=LogFilter(flow_run_id=IdFilter(any_=[run.id])), sort=LogSort.TIMESTAMP_ASC))
        )
        news = {state.id: News(state.timestamp, run.name, told(state), COLOURS.get(state.type)) for state in states}
        news |= {line.id: News(line.timestamp, run.name, f"| {line.message}") for line in lines}
        seen = self._seen.setdefault(run.id, set())
        fresh = [item for id, item in news.items() if id not in seen]
        seen.update(news)
        return fresh

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._client.close()
        self._probe.close()


def told(state: State) -> str:
    """A state in words."""
    due = state.state_details.scheduled_time
    if state.type is StateType.SCHEDULED and due is not None and due > state.timestamp:
        return f"{state.name} for {due.astimezone():%H:%M:%S}"
    wordy = state.type is not StateType.SCHEDULED and state.message
    return f"{state.name}: {state.message}" if wordy else state.name


def short(path: Path) -> str:
    """A path as one would type it here."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def say(line: str) -> None:
    """Print at once, also into a pipe."""
    print(line, flush=True)


def coloured(text: str, colour: int | None) -> str:
    """The text in a colour, when a terminal shows it."""
    wanted = colour is not None and sys.stdout.isatty() and "NO_COLOR" not in os.environ
    return f"\x1b[{colour}m{text}\x1b[0m" if wanted else text
