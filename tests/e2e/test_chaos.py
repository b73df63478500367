"""Chaos: server, workers and engines are killed at random moments over many short runs, and a checker reads what was left.

What has to hold whatever is killed: every run completes in the end; no attempt that was granted executes twice; no two
attempts of a run execute at once; never more runs execute than their pool allows; and every history is one that the rules
allow.
"""

import pytest
from arena import BLOWS, RUNS, Arena
from real_system import System


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_is_killed_every_run_completes_and_the_rules_hold(system: System, empty_url: str, seed: int) -> None:
    arena = Arena(system, empty_url, seed)
    ids = [system.create_run("work/chaos", journal=str(arena.journal)) for _ in range(RUNS)]
    for blow in range(1, BLOWS + 1):
        share = RUNS * blow // (BLOWS + 2)
        system.until(lambda share=share: len(arena.entries()) >= 2 * share, f"{share} runs to execute")  # type: ignore[misc]
        arena.strike()
    system.until(lambda: arena.completed() == RUNS, "all runs to complete", seconds=120)
    arena.check(ids)
