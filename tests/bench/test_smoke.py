"""One scenario from end to end, as small as can be, with a real server: it gives figures, and leaves nothing behind."""

import os
import sys
from pathlib import Path

import pytest
from bench.postgresql import Postgresql
from bench.processes import MARK, alone
from bench.results import Turn
from bench.scenarios.transitions import Transitions
from bench.session import Choice, Session
from bench.sides import OURS, Side
from bench.system import SQLITE, Stores

SIDE = Side(OURS, (str(Path(sys.executable).with_name("headgate")),), "HEADGATE_", "postgresql", calls_a_second=10_000)


class Small(Transitions):
    """Half a second is enough to see that it works."""

    rounds = 1

    def choose(self, full: float, quick: float) -> float:
        return 0.5


@pytest.mark.e2e
def test_a_scenario_gives_figures_and_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MARK, "")
    said: list[str] = []
    taken: list[Turn] = []
    folder = tmp_path / "work"
    choice = Choice(scenarios=[Small], databases=[SQLITE], sides=[SIDE], quick=True)
    with alone(tmp_path), Postgresql() as postgresql:
        folder.mkdir()
        Session(choice, Stores(folder, postgresql), folder, said.append).run(taken.append)
        assert not marked(str(tmp_path)), "every process that was started has ended"
    (turn,) = taken
    assert turn.trouble is None
    figures = {figure.name: figure.value for figure in turn.figures}
    assert figures["transitions"] > 0
    assert figures["server CPU per transition"] > 0
    assert figures["answers that were errors"] == 0
    assert figures["proposals that were not accepted"] == 0


def marked(folder: str) -> list[str]:
    """Processes that were started for the benchmarks of a folder."""
    mark = f"{MARK}={folder}".encode()
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            environment = Path("/proc", pid, "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if mark in environment:
            found.append(pid)
    return found
