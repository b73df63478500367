"""Many workers under a limit."""

from datetime import UTC, datetime, timedelta

from bench import backlog
from bench.scenarios.drain import WORKERS, Drain
from bench.shape import Figure, rate


class Limit(Drain):
    """The same under a pool limit of ten: how many runs are active at once, at the highest.

    A run counts as active from the answer that accepts it into Pending until the proposal of Completed is sent: fewer than
    the server has to count, so that more than ten prove that the limit did not hold. Each run is held for 50 ms.
    """

    name = "limit"
    limit = 10
    held_seconds = 0.05

    def run(self) -> None:
        function = "claim_all" if self.system.side.is_ours else "poll_all"
        due = datetime.now(UTC) - timedelta(milliseconds=self.count)
        backlog.load(self.system, self.template, first=1, last=self.count, due=due)
        self.loaded = self.system.load(
            f"drain:{function}",
            callers=WORKERS,
            seconds=self.choose(30, 8),
            count=self.count,
            held_seconds=self.held_seconds,
        )

    def measure(self) -> list[Figure]:
        spans = [tuple(note["span"]) for note in self.loaded.notes if "span" in note]
        begun = [note["running"] for note in self.loaded.notes if "running" in note]
        return [
            Figure(name="active at once under a limit of 10", value=most_at_once(spans), unit="", target=self.limit),
            rate("runs completed", len(spans) / self.loaded.seconds),
            Figure(name="runs accepted into Running twice", value=len(begun) - len(set(begun)), unit="", target=0),
        ]


def most_at_once(spans: list[tuple[float, ...]]) -> int:
    """How many of the spans (begin, end) overlap at the time when most do."""
    changes = sorted([(begin, 1) for begin, _ in spans] + [(end, -1) for _, end in spans])
    most = active = 0
    for _, change in changes:
        active += change
        most = max(most, active)
    return most
