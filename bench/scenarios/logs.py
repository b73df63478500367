"""Writing log lines, and reading them."""

from datetime import UTC, datetime, timedelta

import msgspec

from bench.load import Caller
from bench.shape import Figure, Scenario, latencies, rate, refusals
from bench.world import create_pool, create_template, deploy

CALLERS = 4
LINES = 500
"""In one call: the size of a full batch of the peer's clients."""


class Logs(Scenario):
    """Log lines written a second: four callers, each for a run of its own, send batches of 500 lines of 80 characters.

    Then each reads its run's lines from the first on, in pages of 200.
    """

    name = "logs"

    def prepare(self) -> None:
        create_pool(self.system)
        deployment = deploy(self.system)
        self.runs = [create_template(self.system, deployment) for _ in range(CALLERS)]

    def run(self) -> None:
        self.written = self.system.load(
            "logs:write", callers=CALLERS, seconds=self.choose(10, 3), warm_up=self.choose(2, 1), runs=self.runs
        )
        self.read = self.system.load("logs:read", callers=CALLERS, seconds=self.choose(10, 3), runs=self.runs)

    def measure(self) -> list[Figure]:
        pages = len(self.read.calls.get("read", ()))
        return [
            rate("lines written", self.written.rate("write") * LINES, target=200_000),
            *latencies(f"write of {LINES} lines", self.written.calls.get("write", ())),
            rate("lines read", pages * 200 / self.read.seconds),
            *latencies("page of 200 lines", self.read.calls.get("read", ())),
            refusals(self.written),
        ]


async def write(caller: Caller, *, runs: list[str]) -> None:
    """Batch after batch, a microsecond between lines."""
    start, number = datetime.now(UTC), 0
    while caller.goes_on():
        lines = [
            {
                "name": "bench",
                "level": 20,
                "message": f"line {number + offset:>9} of a run: sixty-odd characters of text, as logs have them; the end.",
                "timestamp": (start + timedelta(microseconds=number + offset)).isoformat(),
                "flow_run_id": runs[caller.number],
            }
            for offset in range(LINES)
        ]
        number += LINES
        await caller.call("write", "POST", "/logs/", msgspec.json.encode(lines))


async def read(caller: Caller, *, runs: list[str]) -> None:
    """Page after page, and from the first again after the last."""
    offset = 0
    while caller.goes_on():
        body = {"logs": {"flow_run_id": {"any_": [runs[caller.number]]}}, "offset": offset, "sort": "TIMESTAMP_ASC"}
        answer = await caller.call("read", "POST", "/logs/filter", msgspec.json.encode({**body, "limit": 200}))
        offset = offset + 200 if answer.is_good and answer.body.count(b'"message"') == 200 else 0
