"""Looking runs up among many."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from bench import backlog
from bench.load import Caller
from bench.shape import Figure, Scenario, latencies
from bench.world import create_pool, create_template, deploy

QUERIES: dict[str, tuple[str, dict[str, Any]]] = {
    "filter, newest 50": ("/flow_runs/filter", {"limit": 50, "sort": "EXPECTED_START_TIME_DESC"}),
    "filter, 50 by state": (
        "/flow_runs/filter",
        {"limit": 50, "sort": "EXPECTED_START_TIME_DESC", "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}},
    ),
    "filter, page at 50,000": ("/flow_runs/filter", {"limit": 50, "offset": 50_000, "sort": "EXPECTED_START_TIME_DESC"}),
    "count, all": ("/flow_runs/count", {}),
    "count, by state": ("/flow_runs/count", {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}),
    "page by start, 50": ("/flow_runs/filter", {"limit": 50, "sort": "START_TIME_DESC"}),
}
HISTORY = "history, 24 hours"


class Queries(Scenario):
    """`/flow_runs/filter` and `/flow_runs/count` with 100,000 runs (quick mode: 10,000); one caller, one call at a time.

    The runs are due in an hour. The queries are those of a page of runs: the newest, those in a state, a page far down, the
    numbers beside them, those that started last, and all of them by the hours of a day.
    """

    name = "queries"
    rounds = 1

    def prepare(self) -> None:
        create_pool(self.system)
        template = create_template(self.system, deploy(self.system))
        due = datetime.now(UTC) + timedelta(hours=1)
        backlog.load(self.system, template, first=1, last=int(self.choose(100_000, 10_000)), due=due)
        backlog.analyze(self.system)

    def run(self) -> None:
        self.loaded = self.system.load("queries:load", callers=1, seconds=self.choose(20, 5), warm_up=1)

    def measure(self) -> list[Figure]:
        return [figure for name in [*QUERIES, HISTORY] for figure in latencies(name, self.loaded.calls.get(name, ()))]


async def load(caller: Caller) -> None:
    """One query after the other."""
    start, hours = datetime.now(UTC) - timedelta(hours=12), timedelta(hours=24)
    span = {"history_start": start, "history_end": start + hours, "history_interval_seconds": 3600}
    queries = QUERIES | {HISTORY: ("/flow_runs/history", span)}
    while caller.goes_on():
        for name, (target, body) in queries.items():
            await caller.call(name, "POST", target, msgspec.json.encode(body))
