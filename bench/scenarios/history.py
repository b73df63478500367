"""Whether what is over slows down what goes on, and those who look at it."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from bench import backlog, ended
from bench.load import Caller, Loaded
from bench.numbers import percentile
from bench.scenarios.poll import AHEAD, claim_and_return
from bench.shape import Better, Figure, Scenario
from bench.system import POOL
from bench.world import create_pool, create_template, deploy

SMALL, FULL, QUICK = 10_000, 1_000_000, 20_000
DAYS = timedelta(days=30)
LONG_AGO = timedelta(days=120)
"""Longer than ended runs are kept."""
WAITING = 300
DEPLOYMENTS = 10

BY_TIME, BY_START = "EXPECTED_START_TIME_DESC", "START_TIME_DESC"

CLAIM, HISTORY = "claim", "history, 24 hours"
"""What has a target: how much longer a claim may take with all runs than with few, and the milliseconds of a history."""
CLAIM_TARGET, HISTORY_TARGET = 1.2, 300.0


class History(Scenario):
    """The same calls with 10,000 ended runs and with a million (quick mode: 20,000; or as many as `--ended-runs` says).

    The runs ended in the past 30 days, evenly, so that the last 24 hours hold a thirtieth of them; each has its four states;
    nine of ten are Completed, the others Failed, Cancelled and Crashed; they are of ten deployments. 300 runs wait. One
    caller makes one call at a time: it claims ten runs and gives them back, over and over, and then asks what the dashboard,
    the page of runs and those of flows and deployments ask. In the end there are runs to be deleted as well, one for every
    fifty that are kept, and it claims while the server, which was started again, deletes them.
    """

    name = "history"
    rounds = 1
    only_ours = True

    def prepare(self) -> None:
        create_pool(self.system)
        self.deployments = [deploy(self.system, f"bench-{number}") for number in range(DEPLOYMENTS)]
        self.templates = ended.create_templates(self.system, self.deployments)
        self.name_of_few = self.system.call("GET", f"/flow_runs/{ended.rarest(self.templates)}")["name"][1:]
        waiting = create_template(self.system, self.deployments[0])
        backlog.load(self.system, waiting, first=1, last=WAITING, due=datetime.now(UTC) + AHEAD)
        self.found: dict[int, dict[str, list[float]]] = {}
        self.refused = 0
        full = self.ended_runs or int(self.choose(FULL, QUICK))
        self.sizes = [min(SMALL, full // 2), full]

    def run(self) -> None:
        filled = 0
        for size in self.sizes:
            start = datetime.now(UTC) - DAYS
            ended.load(self.system, self.templates, count=size - filled, first=filled, start=start, span=DAYS)
            ended.settle(self.system)
            filled = size
            claims, queries = self.claims(), self.queries()
            self.found[size] = claims.calls | queries.calls
            self.refused += sum((*claims.refused.values(), *queries.refused.values()))
        self.pruned = self.claims_beside_the_pruner(filled)

    def claims(self) -> Loaded:
        """Claims alone."""
        return self.system.load("history:claim", callers=1, seconds=self.choose(20, 3), warm_up=1)

    def queries(self) -> Loaded:
        """Everything else."""
        return self.system.load(
            "history:ask",
            callers=1,
            seconds=self.choose(60, 3),
            warm_up=1,
            deployment=self.deployments[1].id,
            flows=[each.flow_id for each in self.deployments],
            name=self.name_of_few,
        )

    def claims_beside_the_pruner(self, filled: int) -> Loaded:
        """Claims while runs of long ago are deleted; notes how many of them are gone after that."""
        count, start = max(filled // 50, 100), datetime.now(UTC) - LONG_AGO
        ended.load(self.system, self.templates, count=count, first=filled, start=start, span=timedelta(days=1))
        assert self.system.server is not None
        self.system.server.stop()
        self.system.start_server()  # which looks for what is too old at once
        loaded = self.claims()
        old = {"flow_runs": {"expected_start_time": {"before_": (start + 2 * timedelta(days=1)).isoformat()}}}
        self.deleted = count - int(self.system.call("POST", "/flow_runs/count", old))
        return loaded

    def measure(self) -> list[Figure]:
        few, many = self.found.values()
        asked = (name for name, _, _ in calls(datetime.now(UTC), deployment="", flows=[], name=""))
        figures = [figure for name in (CLAIM, *asked) if name in few and name in many for figure in self.compared(name)]
        if pruned := self.pruned.calls.get(CLAIM):
            figures.append(Figure(name=f"{CLAIM} while runs are deleted, p99", value=_ms(pruned, 99), unit="ms"))
        return [
            *figures,
            Figure(name="runs that were deleted meanwhile", value=self.deleted, unit="", better=Better.MORE, target=1),
            Figure(name="answers that were errors", value=self.refused, unit="", target=0),
        ]

    def compared(self, name: str) -> Iterator[Figure]:
        """The median and a high percentile of a call, with few runs and with all, and how many times as long that is."""
        last = 99 if name == CLAIM else 95
        for percent in (50, last):
            took = {size: _ms(calls[name], percent) for size, calls in self.found.items()}
            target = HISTORY_TARGET if name == HISTORY and percent == last else None
            for size, milliseconds in took.items():
                yield Figure(name=f"{name}, p{percent}, {size:,} runs over", value=milliseconds, unit="ms", target=target)
        small, full = took.values()
        target = CLAIM_TARGET if name == CLAIM else None
        yield Figure(name=f"{name}, p{last}, times as long", value=full / small, unit="x", target=target)


def _ms(seconds: Sequence[float], percent: float) -> float:
    return percentile(seconds, percent) * 1000


async def claim(caller: Caller) -> None:
    """What a worker asks."""
    while caller.goes_on():
        await claim_and_return(caller)


async def ask(caller: Caller, *, deployment: str, flows: list[str], name: str) -> None:
    """What pages ask, one call after the other."""
    while caller.goes_on():
        for what, target, body in calls(datetime.now(UTC), deployment=deployment, flows=flows, name=name):
            await caller.call(what, "POST", target, msgspec.json.encode(body))


def calls(now: datetime, *, deployment: str, flows: list[str], name: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The calls of pages: a name, the target, and the body. `name` is a part of the names of one in a thousand runs."""
    day: dict[str, Any] = {"expected_start_time": {"after_": now - timedelta(hours=24), "before_": now}}
    pool = {"work_pools": {"name": {"any_": [POOL]}}}
    completed, failed, running = (
        {"state": {"type": {"any_": types}}} for types in (["COMPLETED"], ["FAILED", "CRASHED"], ["RUNNING"])
    )
    of_one = {"deployments": {"id": {"any_": [deployment]}}}
    span = {"history_start": now - timedelta(hours=24), "history_end": now, "history_interval_seconds": 3600}

    # The dashboard.
    yield "count, all", "/flow_runs/count", {}
    yield "count, failed, 24 hours", "/flow_runs/count", {"flow_runs": failed | day}
    yield "count, completed, 24 hours", "/flow_runs/count", {"flow_runs": completed | day}
    yield HISTORY, "/flow_runs/history", span
    yield "bars, 24 hours", "/flow_runs/filter", {"limit": 60, "sort": BY_START, "flow_runs": day}
    yield "flows with failed runs, 24 hours", "/flows/filter", {"limit": 50, "flow_runs": failed | day}
    yield "lateness of a pool, 24 hours", "/flow_runs/lateness", {"flow_runs": day} | pool
    yield "pools", "/work_pools/filter", {"limit": 50}
    # The page of runs.
    yield "newest 50", "/flow_runs/filter", {"limit": 50, "sort": BY_TIME}
    yield "newest 50, failed", "/flow_runs/filter", {"limit": 50, "sort": BY_TIME, "flow_runs": failed}
    yield "50 by start", "/flow_runs/filter", {"limit": 50, "sort": BY_START}
    yield "50 by start, completed", "/flow_runs/filter", {"limit": 50, "sort": BY_START, "flow_runs": completed}
    yield "50 by start, failed", "/flow_runs/filter", {"limit": 50, "sort": BY_START, "flow_runs": failed}
    yield "50 by start, running", "/flow_runs/filter", {"limit": 50, "sort": BY_START, "flow_runs": running}
    yield "50 by start, of a deployment", "/flow_runs/filter", {"limit": 50, "sort": BY_START} | of_one
    yield (
        "50 by start, part of a name",
        "/flow_runs/filter",
        {
            "limit": 50,
            "sort": BY_START,
            "flow_runs": {"name": {"like_": name}},
        },
    )
    yield (
        "50 by start, no such name, 24 hours",
        "/flow_runs/filter",
        {
            "limit": 50,
            "sort": BY_START,
            "flow_runs": {"name": {"like_": f"no-{name}"}} | day,
        },
    )
    yield "count, completed", "/flow_runs/count", {"flow_runs": completed}
    # The pages of flows and of deployments.
    yield "deployments", "/deployments/filter", {"limit": 50}
    yield (
        "last run of a deployment",
        "/flow_runs/filter",
        {
            "limit": 1,
            "sort": BY_TIME,
            "flow_runs": {"expected_start_time": {"before_": now}},
        }
        | of_one,
    )
    yield "next runs of flows", "/ui/flows/next-runs", {"flow_ids": flows}
